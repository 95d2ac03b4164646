//! Idempotency keys are kept for a week and for as long as their order is not final, and forgotten then.

use std::time::Duration;

use brewline_postgres::{Error as DatabaseError, Pool};

use crate::outbound::idempotency_store;

/// How long a key is kept at least: longer than any client tries again.
pub const KEPT: Duration = Duration::from_secs(7 * 24 * 3_600);
/// How often it is looked.
const EVERY: Duration = Duration::from_secs(3_600);

/// Forgets keys until it is dropped. A failure is told and tried again the next time.
pub async fn run(pool: Pool) {
    loop {
        match forget(&pool).await {
            Ok(0) => {}
            Ok(forgotten) => tracing::info!(forgotten, "old idempotency keys were forgotten"),
            Err(error) => tracing::warn!(%error, "old idempotency keys were not forgotten"),
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Forgets what was kept long enough; says how many keys.
///
/// # Errors
/// When the database fails.
pub async fn forget(pool: &Pool) -> Result<u64, DatabaseError> {
    let mut forgotten = 0;
    loop {
        let now = idempotency_store::forget_older_than(pool, KEPT).await?;
        forgotten += now;
        if now < idempotency_store::FORGET_ROWS_MAX.unsigned_abs() {
            return Ok(forgotten);
        }
    }
}
