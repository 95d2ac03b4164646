//! A service's own database at start-up: the schema, and whether it takes writes.

use std::fmt;
use std::pin::pin;
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::Context as _;
use brewline_postgres::{self as postgres, Error, Migration, Pool, migrate};
use brewline_telemetry as telemetry;
use brewline_telemetry::metrics::{Gauge, Scraped, Tell, register};
use tokio::time::timeout;

use crate::Context;

/// The pool, as a scrape sees it.
#[derive(Debug)]
struct Connections(Pool);

/// How often the database is asked whether it takes writes, and how long to wait for one that is away.
const CHECK: Duration = Duration::from_secs(1);
/// Whether it takes writes is a question without work: an answer that takes longer is as good as none.
const SILENCE_MAX: Duration = Duration::from_secs(3);
/// How long to wait for a database that is still starting.
const STARTING: Duration = Duration::from_millis(200);

static WRITABLE: LazyLock<Gauge> = LazyLock::new(|| {
    register(
        "brewline_database_writable",
        "1 while the service's database takes writes, 0 while it does not or cannot be asked",
        Gauge::default(),
    )
});

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
    // Told from the start: a service that never finds its database says so too.
    WRITABLE.set(0);
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
    telemetry::metrics::at_scrape(Connections(pool.clone()));
    watch(context, pool.clone());
    Ok(pool)
}

fn watch(context: &Context, pool: Pool) {
    let (gate, shutdown) = (context.health().gate("database"), context.shutdown());
    context.spawn("database-check", async move {
        while !shutdown.is_cancelled() {
            match told(pool.check_writable()).await {
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

/// Tells what comes of a check. A server that hangs is told of long before the driver gives it up.
async fn told(check: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    let mut check = pin!(check);
    let checked = match timeout(SILENCE_MAX, &mut check).await {
        Ok(checked) => checked,
        Err(_) => {
            WRITABLE.set(0);
            check.await
        }
    };
    WRITABLE.set(i64::from(checked.is_ok()));
    checked
}

// === impl Connections ===

impl Scraped for Connections {
    fn tell(&self, tell: &mut Tell<'_>) -> fmt::Result {
        let usage = self.0.usage();
        let count = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        let pool = ("db_client_connection_pool_name", self.0.name());
        let state = |state| [pool, ("db_client_connection_state", state)];
        tell.gauge(
            "db_client_connection_count",
            "Connections of a pool, by state",
            &[
                (state("idle"), count(usage.idle)),
                (state("used"), count(usage.used)),
            ],
        )?;
        tell.gauge(
            "db_client_connection_max",
            "Connections a pool may have",
            &[([pool], count(usage.max))],
        )?;
        tell.gauge(
            "db_client_connection_pending_requests",
            "Those who wait for a connection of a pool",
            &[([pool], count(usage.waiting))],
        )
    }
}
