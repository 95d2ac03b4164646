//! A service's own database at start-up: the schema, and whether it takes writes.

use std::time::Duration;

use anyhow::Context as _;
use brewline_postgres::{self as postgres, Migration, Pool, migrate};

use crate::Context;

/// How often the database is asked whether it takes writes, and how long to wait for one that is away.
const CHECK: Duration = Duration::from_secs(1);
/// How long to wait for a database that is still starting.
const STARTING: Duration = Duration::from_millis(200);

/// Brings the schema up to date, waiting for a database that is not there yet, and yields the pool the
/// service works with. Readiness waits for the schema, and from then on for the database to take writes.
///
/// # Errors
/// When the schema cannot be made.
pub async fn open(
    context: &Context,
    config: &postgres::Config,
    migrations: &[Migration],
) -> anyhow::Result<Pool> {
    let migrated = context.health().gate("migrated");
    // Connections of their own, closed afterwards: those of the service plan for tables that exist.
    let pool = Pool::new(config);
    while let Err(error) = migrate(&pool, migrations).await {
        if !error.is_unavailable() && !error.is_retryable() {
            return Err(error).context("migrate database");
        }
        tracing::warn!(%error, "the database is not available; trying again");
        tokio::time::sleep(STARTING).await;
    }
    pool.close();
    migrated.open();
    let pool = Pool::new(config);
    watch(context, pool.clone());
    Ok(pool)
}

fn watch(context: &Context, pool: Pool) {
    let (gate, shutdown) = (context.health().gate("database"), context.shutdown());
    context.spawn("database-check", async move {
        while !shutdown.is_cancelled() {
            match pool.check_writable().await {
                Ok(()) => gate.open(),
                Err(error) => gate.close(error.to_string()),
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(CHECK) => {}
            }
        }
        Ok(())
    });
}
