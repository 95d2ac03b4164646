//! Sagas that are due: overdue phases, calls without an answer, attempts after a pause.

use std::time::Duration;

use brewline_failpoint as failpoint;
use brewline_kernel::{OrderId, Timestamp};
use brewline_order_domain::checkout::CheckoutEvent;
use brewline_postgres::Pool;
use brewline_saga::driver::{self, TimerSettings, Timers, TimersFailed};
use tokio_util::sync::CancellationToken;

use super::{Checkouts, Error, Happening};
use crate::outbound::saga_store::{self, SagaRow};

/// How long a saga that cannot be acted upon is left alone.
const POSTPONED_BY: Duration = Duration::from_secs(5);

/// Acts on sagas that are due.
#[derive(Debug)]
pub struct DueSagas {
    pool: Pool,
    checkouts: Checkouts,
}

/// A batch that could not be moved, and whose sagas were in it as far as they are known.
struct Stuck {
    orders: Vec<OrderId>,
    error: Error,
}

// === impl DueSagas ===

impl DueSagas {
    /// Reads and writes through `pool`.
    #[must_use]
    pub const fn new(pool: Pool, checkouts: Checkouts) -> Self {
        Self { pool, checkouts }
    }

    /// Fires timers until `shutdown`; `beat` is called each time round.
    pub async fn run(
        self,
        settings: TimerSettings,
        beat: impl Fn() + Send,
        shutdown: CancellationToken,
    ) {
        driver::fire_timers(&self, settings, beat, shutdown).await;
    }

    async fn fire_due(&self, limit: i64) -> Result<usize, Stuck> {
        let mut connection = self.pool.get().await.map_err(Error::from)?;
        let tx = connection.transaction().await.map_err(Error::from)?;
        let locked = saga_store::claim_due(&tx, limit).await?;
        let orders: Vec<OrderId> = locked.rows.iter().map(|row| row.order_id).collect();
        if orders.is_empty() {
            return Ok(0);
        }
        failpoint::hit("checkout.timer-claimed");
        let due = locked.rows.iter().map(|row| due(row, locked.now)).collect();
        let stuck = |error| Stuck {
            orders: orders.clone(),
            error,
        };
        let moved = self
            .checkouts
            .move_locked(&tx, locked, due)
            .await
            .map_err(stuck)?;
        tx.commit().await.map_err(Error::from)?;
        self.checkouts.committed(moved);
        Ok(orders.len())
    }

    /// After a batch failed for a reason of its own: one at a time, putting off those that fail, so that
    /// they starve nobody.
    async fn fire_one_by_one(&self, limit: i64) -> Result<usize, Error> {
        let mut fired = 0;
        for _ in 0..limit {
            match self.fire_due(1).await {
                Ok(0) => break,
                Ok(count) => fired += count,
                Err(stuck) if stuck.passes() => return Err(stuck.error),
                Err(stuck) => self.put_off(stuck).await?,
            }
        }
        Ok(fired)
    }

    async fn put_off(&self, stuck: Stuck) -> Result<(), Error> {
        let mut connection = self.pool.get().await?;
        let tx = connection.transaction().await?;
        for order_id in &stuck.orders {
            tracing::error!(
                %order_id,
                error = %stuck.error,
                "a due checkout cannot be moved; it is put off"
            );
            saga_store::postpone(&tx, *order_id, POSTPONED_BY).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

impl Timers for DueSagas {
    async fn fire(&self, limit: i64) -> Result<usize, TimersFailed> {
        let fired = match self.fire_due(limit).await {
            Ok(fired) => Ok(fired),
            Err(stuck) if stuck.passes() => Err(stuck.error),
            Err(_) => self.fire_one_by_one(limit).await,
        };
        fired.map_err(|error| TimersFailed(error.to_string()))
    }
}

/// What being due means for `row`: its phase is overdue, or its call is to be made (again).
fn due(row: &SagaRow, now: Timestamp) -> Happening {
    let event = match row.state.is_overdue(now) {
        true => CheckoutEvent::DeadlineReached,
        false => CheckoutEvent::RetryDue,
    };
    Happening::new(row.order_id, event)
}

// === impl Stuck ===

impl Stuck {
    /// Whether waiting helps. A saga whose row cannot even be read is no such case.
    fn passes(&self) -> bool {
        self.orders.is_empty()
            || self
                .error
                .database()
                .is_some_and(|error| error.is_unavailable() || error.is_retryable())
    }
}

impl From<Error> for Stuck {
    fn from(error: Error) -> Self {
        Self {
            orders: Vec::new(),
            error,
        }
    }
}

impl From<saga_store::Error> for Stuck {
    fn from(error: saga_store::Error) -> Self {
        let orders = match &error {
            saga_store::Error::Corrupt { order_id, .. } => vec![*order_id],
            saga_store::Error::Database(_) | saga_store::Error::VersionConflict => Vec::new(),
        };
        Self {
            orders,
            error: error.into(),
        }
    }
}
