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

use anyhow::Context as _;
use brewline_kernel::system::{SystemClock, SystemIds};
use brewline_messaging::{Monitor, Outbox, operator};
use brewline_postgres as postgres;
use brewline_proto::payment::v1::payment_service_server::PaymentServiceServer;
use brewline_server::{Context, database, events, grpc};
use tonic::service::Routes;

pub use config::Config;
pub use error::Error;

use app::{Machinery, Operations};
use inbound::Payments;
use outbound::processor::Processor;
use outbound::store::MIGRATIONS;

/// Starts the service: schema, stages, relay, gRPC.
///
/// # Errors
/// When something cannot be built, migrated or bound.
pub async fn run(config: Config, context: Context) -> anyhow::Result<()> {
    let pool = database::open(&context, &config.postgres, MIGRATIONS).await?;
    events::publish(
        &context,
        &pool,
        &config.postgres,
        &config.kafka,
        &config.relay,
    );
    let operations = Operations::start(&context, machinery(&config, &pool)?);
    // It consumes nothing: for people on call there are its relay's slots to see.
    let operator = operator::service(pool, Monitor::default());
    let routes =
        Routes::new(PaymentServiceServer::new(Payments::new(operations))).add_service(operator);
    grpc::serve(&context, config.grpc_listen, routes).await
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
        rules: Arc::new(config.rules.clone()),
        limits: config.limits,
    })
}
