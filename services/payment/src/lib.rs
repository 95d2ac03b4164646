//! The service `payment`: holds, takes and gives back orders' money at the card processor, keeps the
//! double-entry ledger of it, and tells the log. See the README beside it.
//!
//! [`app`] works commands off in three stages; the rules are in `brewline-payment-domain`.

pub mod app;
pub mod config;
mod error;
pub mod inbound;
pub mod outbound;
mod signals;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use brewline_kernel::system::{SystemClock, SystemIds};
use brewline_messaging::{self as messaging, Monitor, Outbox};
use brewline_postgres as postgres;
use brewline_proto::payment::v1::payment_service_server::PaymentServiceServer;
use brewline_server::{self as server, Context};
use tonic::service::Routes;

pub use config::Config;
pub use error::Error;

use app::{Machinery, Operations};
use inbound::Payments;
use outbound::processor::Processor;
use outbound::store::MIGRATIONS;

/// How often the database is asked whether it takes writes.
const WRITABLE_INTERVAL: Duration = Duration::from_secs(1);

/// How long to wait for a database that is not there yet.
const MIGRATE_RETRY: Duration = Duration::from_millis(200);

/// Starts the service: schema, stages, relay, gRPC.
///
/// # Errors
/// When something cannot be built, migrated or bound.
pub async fn run(config: Config, context: Context) -> anyhow::Result<()> {
    let pool = postgres::Pool::new(&config.postgres);
    let (migrated, writable) = (
        context.health().gate("migrated"),
        context.health().gate("database-takes-writes"),
    );
    let operations = Operations::start(&context, machinery(&config, &pool)?);
    // It consumes nothing: for people on call there are its relay's slots to see.
    let operator = messaging::operator::service(pool.clone(), Monitor::default());
    let routes =
        Routes::new(PaymentServiceServer::new(Payments::new(operations))).add_service(operator);
    server::grpc::serve(&context, config.grpc_listen, routes).await?;
    migrate(&pool).await?;
    migrated.open();
    context.spawn(
        "writable",
        watch_writable(pool.clone(), writable, context.clone()),
    );
    relay(&context, config, pool);
    Ok(())
}

fn machinery(config: &Config, pool: &postgres::Pool) -> anyhow::Result<Machinery> {
    let processor = Processor::new(&config.processor).context("build the processor's client")?;
    Ok(Machinery {
        pool: pool.clone(),
        processor,
        concurrency_max: config.processor.concurrency_max,
        patience: config.processor.timeout,
        key_lifetime: config.processor.key_lifetime,
        outbox: Outbox::new(config.relay.slots),
        clock: Arc::new(SystemClock),
        ids: Arc::new(SystemIds),
        limits: config.limits,
    })
}

/// Brings the schema up to date, waiting for a database that is still starting.
async fn migrate(pool: &postgres::Pool) -> anyhow::Result<()> {
    loop {
        match postgres::migrate(pool, MIGRATIONS).await {
            Err(error) if error.is_unavailable() => {
                tracing::info!(%error, "waiting for the database");
                tokio::time::sleep(MIGRATE_RETRY).await;
            }
            ended => return ended.context("migrate"),
        }
    }
}

async fn watch_writable(
    pool: postgres::Pool,
    gate: server::Gate,
    context: Context,
) -> anyhow::Result<()> {
    let shutdown = context.shutdown();
    while !shutdown.is_cancelled() {
        match pool.check_writable().await {
            Ok(()) => gate.open(),
            Err(error) => gate.close(error.to_string()),
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(WRITABLE_INTERVAL) => {}
        }
    }
    Ok(())
}

fn relay(context: &Context, config: Config, pool: postgres::Pool) {
    let (shutdown, instance) = (context.shutdown(), context.instance.to_string());
    context.spawn("relay", async move {
        let relay = messaging::relay(
            pool,
            config.postgres,
            config.kafka,
            config.relay,
            instance,
            shutdown,
        );
        relay.await.context("publish the outbox")
    });
}
