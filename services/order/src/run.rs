use anyhow::Context as _;
use brewline_messaging::{Monitor, Outbox, operator, views};
use brewline_proto::customer::v1::customer_service_server::CustomerServiceServer;
use brewline_proto::operator::v1::saga_service_server::SagaServiceServer;
use brewline_proto::order::v1::order_service_server::OrderServiceServer;
use brewline_server::events::{self, Consumers};
use brewline_server::{Context, client, database, grpc};
use tonic::service::Routes;

use crate::app::checkout;
use crate::app::hear_barista::HearBarista;
use crate::app::place_order::PlaceOrders;
use crate::app::watch_order::Watchers;
use crate::config::Config;
use crate::inbound::catalogue_consumer::CatalogueConsumer;
use crate::inbound::customer_grpc::CustomerGrpc;
use crate::inbound::grpc::OrderGrpc;
use crate::inbound::saga_operator::SagaOperator;
use crate::inbound::stock_consumer::StockConsumer;
use crate::inbound::tickets_consumer::TicketsConsumer;
use crate::inbound::{
    catalogue_consumer, readiness, stock_consumer, tickets_consumer, view_operator,
};
use crate::outbound::payments_client::PaymentsClient;
use crate::{MIGRATIONS, Parts, app};

/// Starts the service: schema, relay, consumers, checkouts, gRPC.
///
/// # Errors
/// When the schema cannot be made, payment's address is malformed, or the port cannot be bound.
pub async fn run(config: Config, context: Context) -> anyhow::Result<()> {
    let pool = database::open(&context, &config.postgres, MIGRATIONS).await?;
    let parts = Parts::new(pool, Outbox::new(config.relay.slots), &config.checkout);
    events::publish(
        &context,
        &parts.pool,
        &config.postgres,
        &config.kafka,
        &config.relay,
    );
    let monitor = Monitor::default();
    let stock = StockConsumer::new(parts.checkouts.clone());
    let tickets = TicketsConsumer::new(HearBarista::new(&parts));
    Consumers::new(
        &context,
        &parts.pool,
        &config.kafka,
        config.consumer,
        monitor.clone(),
    )
    .with(catalogue_consumer::SPEC, CatalogueConsumer)
    .with(stock_consumer::SPEC, stock)
    .with(tickets_consumer::SPEC, tickets)
    .await_assignment();
    readiness::watch(&context, &config.kafka, &parts.pool);
    start_checkouts(&context, &config, &parts)?;
    forget_keys(&context, &parts);
    let place = PlaceOrders::start(&context, parts.clone(), config.place);
    erase_again(&context, &parts);
    let watchers = Watchers::new(config.watchers_max, context.shutdown());
    let views = views::service(view_operator::all(), &config.postgres, &config.kafka);
    let routes = routes(&parts, place, monitor, watchers).add_service(views);
    grpc::serve(&context, config.grpc_listen, routes).await
}

fn forget_keys(context: &Context, parts: &Parts) {
    let (pool, shutdown) = (parts.pool.clone(), context.shutdown());
    context.spawn("forget-keys", async move {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = app::forget_keys::run(pool) => {}
        }
        Ok(())
    });
}

/// Should this database have been restored, whom it knew to be erased is erased once more.
fn erase_again(context: &Context, parts: &Parts) {
    let (parts, shutdown) = (parts.clone(), context.shutdown());
    context.spawn("erase-again", async move {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = app::customers::erase_until_done(&parts) => {}
        }
        Ok(())
    });
}

/// The gRPC services.
fn routes(parts: &Parts, place: PlaceOrders, monitor: Monitor, watchers: Watchers) -> Routes {
    let pool = || parts.pool.clone();
    let orders = OrderGrpc::new(parts.clone(), place, monitor.clone(), watchers);
    Routes::new(OrderServiceServer::new(orders))
        .add_service(CustomerServiceServer::new(CustomerGrpc::new(parts.clone())))
        .add_service(SagaServiceServer::new(SagaOperator::new(parts.clone())))
        .add_service(operator::service(pool(), monitor))
}

fn start_checkouts(context: &Context, config: &Config, parts: &Parts) -> anyhow::Result<()> {
    let channel = client::channel(&config.payment_url, context).context("address of payment")?;
    let payments = PaymentsClient::new(channel, config.checkout.call_timeout);
    let (pool, checkouts) = (&parts.pool, &parts.checkouts);
    checkout::start(context, &config.checkout, pool, checkouts, payments);
    Ok(())
}
