use std::time::Duration;

use anyhow::Context as _;
use brewline_messaging::{
    Connections, ConsumerSpec, Handler, Monitor, Outbox, Progress, consume, operator, relay,
};
use brewline_postgres::{Pool, migrate};
use brewline_proto::customer::v1::customer_service_server::CustomerServiceServer;
use brewline_proto::operator::v1::saga_service_server::SagaServiceServer;
use brewline_proto::order::v1::order_service_server::OrderServiceServer;
use brewline_server::{Context, client, grpc};
use tonic::service::Routes;

use crate::app::checkout::{CallSender, DueSagas};
use crate::app::place_order::PlaceOrders;
use crate::config::Config;
use crate::inbound::catalogue_consumer::CatalogueConsumer;
use crate::inbound::customer_grpc::CustomerGrpc;
use crate::inbound::grpc::OrderGrpc;
use crate::inbound::saga_operator::SagaOperator;
use crate::inbound::stock_consumer::StockConsumer;
use crate::inbound::{catalogue_consumer, readiness, stock_consumer};
use crate::outbound::payments_client::PaymentsClient;
use crate::{MIGRATIONS, Parts};

/// A loop that has not moved for so long is stuck: the process is better started anew.
const STALL: Duration = Duration::from_secs(60);
/// How often the database is asked whether it takes writes, and how long to wait for one that is away.
const DATABASE_CHECK: Duration = Duration::from_secs(1);

/// Starts the service: schema, relay, consumers, checkouts, gRPC.
///
/// # Errors
/// When the schema cannot be made, payment's address is malformed, or the port cannot be bound.
pub async fn run(config: Config, context: Context) -> anyhow::Result<()> {
    make_schema(&context, &config)
        .await
        .context("migrate database")?;
    let pool = Pool::new(&config.postgres);
    let parts = Parts::new(pool, Outbox::new(config.relay.slots), &config.checkout);
    watch_database(&context, &parts.pool);
    start_relay(&context, &config, &parts);
    let monitor = Monitor::default();
    let start = Consumers {
        context: &context,
        config: &config,
        pool: &parts.pool,
        monitor: &monitor,
    };
    start.consumer(catalogue_consumer::SPEC, CatalogueConsumer);
    start.consumer(
        stock_consumer::SPEC,
        StockConsumer::new(parts.checkouts.clone()),
    );
    readiness::watch(&context, &config.kafka, &parts.pool, &monitor);
    start_checkouts(&context, &config, &parts)?;
    let place = PlaceOrders::start(&context, parts.clone(), config.place);
    let routes = routes(&parts, place, monitor);
    grpc::serve(&context, config.grpc_listen, routes).await
}

/// The gRPC services.
fn routes(parts: &Parts, place: PlaceOrders, monitor: Monitor) -> Routes {
    let pool = || parts.pool.clone();
    let orders = OrderGrpc::new(parts.clone(), place, monitor.clone());
    Routes::new(OrderServiceServer::new(orders))
        .add_service(CustomerServiceServer::new(CustomerGrpc::new(parts.clone())))
        .add_service(SagaServiceServer::new(SagaOperator::new(pool())))
        .add_service(operator::service(pool(), monitor))
}

/// Makes the schema; waits for a database that is not there yet. Its connections are its own: those of
/// the service plan for tables that exist.
async fn make_schema(context: &Context, config: &Config) -> anyhow::Result<()> {
    let migrated = context.health().gate("migrated");
    let pool = Pool::new(&config.postgres);
    while let Err(error) = migrate(&pool, MIGRATIONS).await {
        if !error.is_unavailable() && !error.is_retryable() {
            return Err(error.into());
        }
        tracing::warn!(%error, "the database is not available; trying again");
        tokio::time::sleep(DATABASE_CHECK).await;
    }
    pool.close();
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

fn start_relay(context: &Context, config: &Config, parts: &Parts) {
    let work = relay(
        parts.pool.clone(),
        config.postgres.clone(),
        config.kafka.clone(),
        config.relay.clone(),
        context.instance.to_string(),
        context.shutdown(),
    );
    context.spawn("relay", async { work.await.context("relay events") });
}

fn start_checkouts(context: &Context, config: &Config, parts: &Parts) -> anyhow::Result<()> {
    let channel = client::channel(&config.payment_url, context).context("address of payment")?;
    let payments = PaymentsClient::new(channel, config.checkout.call_timeout);
    let (pool, checkouts) = (parts.pool.clone(), parts.checkouts.clone());
    let calls = CallSender::new(pool.clone(), checkouts.clone(), payments);
    let calls = calls.run(context.shutdown());
    context.spawn("checkout-calls", async {
        calls.await.context("call payment")
    });
    let heartbeat = context.health().watch("checkout-timers", STALL);
    let beat = move || heartbeat.beat();
    let timers = DueSagas::new(pool, checkouts);
    let timers = timers.run(config.checkout.timers, beat, context.shutdown());
    context.spawn("checkout-timers", async {
        timers.await;
        Ok(())
    });
    Ok(())
}

/// What starting a consumer takes.
struct Consumers<'a> {
    context: &'a Context,
    config: &'a Config,
    pool: &'a Pool,
    monitor: &'a Monitor,
}

// === impl Consumers ===

impl Consumers<'_> {
    fn consumer<H: Handler>(&self, spec: ConsumerSpec, handler: H) {
        let heartbeat = self.context.health().watch(spec.name, STALL);
        let connections = Connections {
            pool: self.pool.clone(),
            kafka: self.config.kafka.clone(),
            progress: Progress::new(move || heartbeat.beat()),
            monitor: self.monitor.clone(),
        };
        let (settings, shutdown) = (self.config.consumer, self.context.shutdown());
        let work = consume(connections, spec, settings, handler, shutdown);
        self.context
            .spawn(spec.name, async { work.await.context("consume events") });
    }
}
