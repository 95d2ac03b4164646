//! What is done now and then beside the work: reservations that last too long are told, answers that
//! nobody can still ask for are forgotten.

use std::sync::LazyLock;
use std::time::Duration;

use brewline_kernel::{Clock, OrderId, Timestamp};
use brewline_postgres::{Error as DatabaseError, Pool};
use uuid::Uuid;

use crate::outbound::{adjustments, store};
use crate::signals;

/// A reservation older than this is told: its order has long run out of time by then.
pub const OVERDUE_AFTER: Duration = Duration::from_secs(5 * 60);
/// How often it is looked.
const EVERY: Duration = Duration::from_secs(30);
/// How far back the first look goes: what became overdue while nobody looked.
const FIRST_LOOK_BACK: Duration = Duration::from_secs(3_600);
/// How long the answer to an adjustment can be asked for again.
pub const ANSWERS_KEPT: Duration = Duration::from_secs(7 * 24 * 3_600);

/// Looks after the tables until it is dropped. A failure is told and tried again the next time.
pub async fn run(pool: Pool, clock: impl Clock) {
    // Told from the start: an alert on an increase never sees a first event that is the first thing told.
    LazyLock::force(&signals::RESERVATIONS_OVERDUE);
    let mut looked_until = clock.now().minus(FIRST_LOOK_BACK);
    loop {
        let until = clock.now().minus(OVERDUE_AFTER);
        match overdue(&pool, looked_until, until).await {
            Ok(orders) => {
                tell(&orders);
                looked_until = until;
            }
            Err(error) => tracing::warn!(%error, "overdue reservations were not looked for"),
        }
        if let Err(error) = forget_answers(&pool).await {
            tracing::warn!(%error, "old answers to adjustments were not forgotten");
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// The orders made in `from..until` whose stock is still only reserved. An order's id tells when it was
/// made, so each look reads the few rows of its own span and finds each order once.
///
/// # Errors
/// When the database fails.
pub async fn overdue(
    pool: &Pool,
    from: Timestamp,
    until: Timestamp,
) -> Result<Vec<OrderId>, DatabaseError> {
    store::still_reserved(pool, first_id_at(from), first_id_at(until)).await
}

/// Forgets the answers that were kept long enough; says how many.
///
/// # Errors
/// When the database fails.
pub async fn forget_answers(pool: &Pool) -> Result<u64, DatabaseError> {
    adjustments::forget_older_than(pool, ANSWERS_KEPT).await
}

fn tell(orders: &[OrderId]) {
    for order_id in orders {
        signals::RESERVATIONS_OVERDUE.inc();
        tracing::error!(
            %order_id,
            "a reservation is older than 5 min: its order neither commits nor releases it"
        );
    }
}

/// The lowest UUID of version 7 that can be made at that instant.
fn first_id_at(instant: Timestamp) -> Uuid {
    let millis = u64::try_from(instant.as_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid()
}
