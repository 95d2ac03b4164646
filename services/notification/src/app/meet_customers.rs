//! Messages that came before their customers: sent once those are known, given up after a while.
//!
//! The two consumers do not see each other's open transactions, so neither could be the one who notices.
//! This looks at what both have committed.

use std::sync::Arc;
use std::time::Duration;

use brewline_kernel::{Clock, IdGenerator};
use brewline_messaging::Outbox;
use brewline_postgres::{Error as DatabaseError, Pool};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::outbound::deliveries;
use crate::outbound::event_codec::{self, Ended};

/// How often it is looked.
const EVERY: Duration = Duration::from_millis(500);
/// How many are moved in one transaction.
const BATCH_MAX: i64 = 500;

/// What it needs.
#[derive(Clone)]
pub struct MeetCustomers {
    /// The service's own database.
    pub pool: Pool,
    /// Where events go.
    pub outbox: Outbox,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Names events.
    pub ids: Arc<dyn IdGenerator>,
    /// Wakes those who send.
    pub mails: Arc<Notify>,
}

// === impl MeetCustomers ===

impl MeetCustomers {
    /// Looks until shutdown.
    pub async fn run(self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            if let Err(error) = self.look().await {
                tracing::warn!(%error, "messages that wait for customers were not looked at");
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    /// One look.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn look(&self) -> Result<(), DatabaseError> {
        let mut connection = self.pool.get().await?;
        let tx = connection.transaction().await?;
        let met = deliveries::known_now(&tx, BATCH_MAX).await?;
        if !met.is_empty() {
            deliveries::wait_no_more(&tx, &met).await?;
        }
        let expired = deliveries::unknown_too_long(&tx, BATCH_MAX).await?;
        let how = Ended::Expired("the customer is not known".to_owned());
        let event = |told| event_codec::ended(self.ids.next(), self.clock.now(), told, &how);
        let events: Vec<_> = expired.iter().map(event).collect();
        self.outbox.append(&tx, &events).await?;
        tx.commit().await?;
        if !met.is_empty() {
            self.mails.notify_one();
        }
        Ok(())
    }
}

impl std::fmt::Debug for MeetCustomers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MeetCustomers").finish_non_exhaustive()
    }
}
