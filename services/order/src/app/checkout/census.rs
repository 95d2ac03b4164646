//! Counts checkouts that are not closed, by one slow timer: a scrape asks the database nothing.

use std::time::Duration;

use brewline_postgres::Pool;
use tokio_util::sync::CancellationToken;

use super::signals;
use crate::outbound::saga_store;

/// How often they are counted: as often as people scrape.
const EVERY: Duration = Duration::from_secs(15);

/// Counts until `shutdown`. Every replica tells the same.
pub(super) async fn run(pool: &Pool, shutdown: CancellationToken) {
    while !shutdown.is_cancelled() {
        let counted = async { saga_store::census(&pool.get().await?).await };
        match counted.await {
            Ok(states) => signals::census(&states),
            Err(error) => tracing::debug!(%error, "open checkouts were not counted"),
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}
