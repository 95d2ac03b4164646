//! What is done now and then beside the work: backlogs are told, old events are forgotten.

use std::time::Duration;

use brewline_postgres::{Error as DatabaseError, Pool};
use tokio_util::sync::CancellationToken;

use crate::outbound::{deliveries, endpoints, event_log, idempotency_store};
use crate::signals;

/// How often.
const EVERY: Duration = Duration::from_secs(10);
/// How many rows are forgotten at once: 5,000 a second, more than come in; more would hold readers up.
const FORGET_MAX: i64 = 50_000;

/// How long answers under idempotency keys are kept: whoever repeats a request does so within days.
const KEYS_KEPT: Duration = Duration::from_secs(7 * 24 * 3_600);

/// Looks after the tables until shutdown. A failure is told and tried again the next time.
pub async fn run(pool: Pool, events_kept: Duration, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        if let Err(error) = look(&pool, events_kept).await {
            tracing::warn!(%error, "the tables were not looked after");
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

async fn look(pool: &Pool, events_kept: Duration) -> Result<(), DatabaseError> {
    let connection = pool.get().await?;
    let (pending, oldest_ms) = deliveries::open(&connection).await?;
    signals::pending(pending, oldest_ms);
    let kept_s = i64::try_from(events_kept.as_secs()).unwrap_or(i64::MAX);
    event_log::forget(&connection, kept_s, FORGET_MAX).await?;
    endpoints::forget(&connection, kept_s, FORGET_MAX).await?;
    idempotency_store::forget(&connection, KEYS_KEPT, FORGET_MAX).await?;
    Ok(())
}
