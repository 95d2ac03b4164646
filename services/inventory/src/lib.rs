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

use brewline_kernel::system::{SystemClock, SystemIds};
use brewline_messaging::{Monitor, Outbox, operator};
use brewline_postgres::{Migration, Pool};
use brewline_proto::catalogue::v1::catalogue_service_server::CatalogueServiceServer;
use brewline_proto::inventory::v1::inventory_service_server::InventoryServiceServer;
use brewline_server::events::{self, Consumers};
use brewline_server::{Context, database, grpc};
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
    Migration {
        version: 3,
        name: "housekeeping",
        sql: include_str!("../migrations/0003_housekeeping.sql"),
    },
    Migration {
        version: 4,
        name: "operator",
        sql: include_str!("../migrations/0004_operator.sql"),
    },
];

/// Starts the service: schema, relay, consumer, gRPC.
///
/// # Errors
/// When the schema cannot be made or the port cannot be bound.
pub async fn run(config: Config, context: Context) -> anyhow::Result<()> {
    let pool = database::open(&context, &config.postgres, MIGRATIONS).await?;
    app::planted::open_the_guard(&pool).await?;
    let outbox = Outbox::new(config.relay.slots);
    let (postgres, kafka) = (&config.postgres, &config.kafka);
    events::publish(&context, &pool, postgres, kafka, &config.relay);
    let monitor = Monitor::default();
    let orders = OrderEvents {
        outbox,
        clock: Arc::new(SystemClock),
        ids: Arc::new(SystemIds),
    };
    Consumers::new(&context, &pool, kafka, config.consumer, monitor.clone())
        .with(CONSUMER, orders)
        .await_assignment();
    keep_house(&context, pool.clone());
    let routes = routes(&pool, outbox).add_service(operator::service(pool, monitor));
    grpc::serve(&context, config.grpc_listen, routes).await
}

fn keep_house(context: &Context, pool: Pool) {
    let shutdown = context.shutdown();
    context.spawn("housekeeping", async move {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = app::housekeeping::run(pool, SystemClock) => {}
        }
        Ok(())
    });
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
