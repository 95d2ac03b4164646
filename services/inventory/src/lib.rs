//! The shell of `inventory`: stores, products, stock, reservations.
//!
//! What is decided is in `brewline-inventory-domain`; here it is loaded, decided and stored with the
//! events that tell it, in one transaction. [`inbound`] is what calls us: gRPC and the orders' events.
//! [`app`] holds a file per use case. [`outbound`] holds all SQL and the encoding of events.

pub mod app;
pub mod config;
pub mod error;
pub mod inbound;
pub mod outbound;
mod signals;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use brewline_kernel::system::{SystemClock, SystemIds};
use brewline_messaging::{Connections, Monitor, Outbox, Progress, consume, operator, relay};
use brewline_postgres::{Migration, Pool, migrate};
use brewline_proto::catalogue::v1::catalogue_service_server::CatalogueServiceServer;
use brewline_proto::inventory::v1::inventory_service_server::InventoryServiceServer;
use brewline_server::{Context, grpc};
use tonic::service::Routes;

use crate::app::adjust_stock::Stock;
use crate::app::change_catalogue::Catalogue;
use crate::config::Config;
use crate::inbound::grpc::CatalogueGrpc;
use crate::inbound::order_consumer::{CONSUMER, OrderEvents};
use crate::inbound::stock_grpc::StockGrpc;

/// The service's name.
pub const SERVICE: &str = "inventory";
/// What its events say they come from.
pub const SOURCE: &str = "brewline/inventory";

/// The schema, step by step.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "messaging",
        sql: include_str!("../migrations/0001_messaging.sql"),
    },
    Migration {
        version: 2,
        name: "inventory",
        sql: include_str!("../migrations/0002_inventory.sql"),
    },
];

/// A consumer that has not moved for so long is stuck: the process is better started anew.
const CONSUMER_STALL: Duration = Duration::from_secs(60);
/// How often the database is asked whether it takes writes.
const DATABASE_CHECK: Duration = Duration::from_secs(1);

/// How often it is looked whether the consumer has partitions.
const ASSIGNED_CHECK: Duration = Duration::from_millis(100);
/// Replicas beyond the number of partitions get none: by then they are ready all the same.
const ASSIGNED_WAIT_MAX: Duration = Duration::from_secs(30);

/// Starts the service: schema, relay, consumer, gRPC.
///
/// # Errors
/// When the schema cannot be made or the port cannot be bound.
pub async fn run(config: Config, context: Context) -> anyhow::Result<()> {
    let pool = Pool::new(&config.postgres);
    let outbox = Outbox::new(config.relay.slots);
    watch_database(&context, &pool);
    make_schema(&context, &pool)
        .await
        .context("migrate database")?;
    let monitor = Monitor::default();
    start_relay(&context, &config, &pool);
    start_consumer(&context, &config, &pool, outbox, &monitor);
    watch_assignment(&context, monitor.clone());
    let routes = routes(&pool, outbox).add_service(operator::service(pool, monitor));
    grpc::serve(&context, config.grpc_listen, routes).await
}

/// The service's own gRPC services; the operator's comes beside them.
#[must_use]
pub fn routes(pool: &Pool, outbox: Outbox) -> Routes {
    let catalogue = CatalogueGrpc(Catalogue {
        pool: pool.clone(),
        outbox,
        clock: Arc::new(SystemClock),
        ids: Arc::new(SystemIds),
    });
    let stock = StockGrpc(Stock {
        pool: pool.clone(),
        outbox,
        clock: Arc::new(SystemClock),
        ids: Arc::new(SystemIds),
    });
    Routes::new(CatalogueServiceServer::new(catalogue))
        .add_service(InventoryServiceServer::new(stock))
}

/// Makes the schema; waits for a database that is not there yet.
async fn make_schema(context: &Context, pool: &Pool) -> anyhow::Result<()> {
    let migrated = context.health().gate("migrated");
    while let Err(error) = migrate(pool, MIGRATIONS).await {
        if !error.is_unavailable() && !error.is_retryable() {
            return Err(error.into());
        }
        tracing::warn!(error = %error, "the database is not available; trying again");
        tokio::time::sleep(DATABASE_CHECK).await;
    }
    app::planted::open_the_guard(pool).await?;
    migrated.open();
    Ok(())
}

fn watch_database(context: &Context, pool: &Pool) {
    let (gate, pool) = (context.health().gate("database"), pool.clone());
    let shutdown = context.shutdown();
    context.spawn("database-check", async move {
        while !shutdown.is_cancelled() {
            match pool.check_writable().await {
                Ok(()) => gate.open(),
                Err(error) => gate.close(error.to_string()),
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(DATABASE_CHECK) => {}
            }
        }
        Ok(())
    });
}

fn start_relay(context: &Context, config: &Config, pool: &Pool) {
    let work = relay(
        pool.clone(),
        config.postgres.clone(),
        config.kafka.clone(),
        config.relay.clone(),
        context.instance.to_string(),
        context.shutdown(),
    );
    context.spawn("relay", async { work.await.context("relay events") });
}

fn start_consumer(
    context: &Context,
    config: &Config,
    pool: &Pool,
    outbox: Outbox,
    monitor: &Monitor,
) {
    let heartbeat = context.health().watch(CONSUMER.name, CONSUMER_STALL);
    let connections = Connections {
        pool: pool.clone(),
        kafka: config.kafka.clone(),
        progress: Progress::new(move || heartbeat.beat()),
        monitor: monitor.clone(),
    };
    let handler = OrderEvents {
        outbox,
        clock: Arc::new(SystemClock),
        ids: Arc::new(SystemIds),
    };
    let settings = config.consumer;
    let work = Box::pin(consume(
        connections,
        CONSUMER,
        settings,
        handler,
        context.shutdown(),
    ));
    context.spawn("consumer", async {
        work.await.context("consume order events")
    });
}

/// Opens its gate once the consumer owns partitions. It stays open: a rebalance is routine.
fn watch_assignment(context: &Context, monitor: Monitor) {
    let (gate, shutdown) = (context.health().gate("consumer"), context.shutdown());
    context.spawn("assignment-check", async move {
        let assigned = async {
            while monitor.owned().is_empty() {
                tokio::time::sleep(ASSIGNED_CHECK).await;
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            _ = tokio::time::timeout(ASSIGNED_WAIT_MAX, assigned) => gate.open(),
        }
        Ok(())
    });
}
