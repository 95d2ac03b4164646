//! The shell of `barista`: tickets and the wall.
//!
//! What is decided is in `brewline-barista-domain`; here it is loaded, decided and stored with the
//! events that tell it, in one transaction. [`inbound`] is what calls us: gRPC, the orders' events, and our
//! own, which the walls can be made anew from.
//! [`app`] holds a file per use case. [`outbound`] holds all SQL and the encoding of events.

pub mod app;
pub mod config;
pub mod error;
pub mod inbound;
pub mod outbound;
mod signals;

use std::sync::Arc;

use brewline_kernel::system::{SystemClock, SystemIds};
use brewline_messaging::{Monitor, Outbox, operator, views};
use brewline_postgres::{Migration, Pool};
use brewline_proto::fulfilment::v1::fulfilment_service_server::FulfilmentServiceServer;
use brewline_server::events::{self, Consumers};
use brewline_server::{Context, database, grpc};

use crate::app::walls::Walls;
use crate::app::work_ticket::Bench;
use crate::config::Config;
use crate::inbound::grpc::FulfilmentGrpc;
use crate::inbound::order_consumer::{CONSUMER, OrderEvents};
use crate::inbound::wall_consumer;

/// The service's name.
pub const SERVICE: &str = "barista";
/// What its events say they come from.
pub const SOURCE: &str = "brewline/barista";

/// The schema, step by step.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "messaging",
        sql: include_str!("../migrations/0001_messaging.sql"),
    },
    Migration {
        version: 2,
        name: "barista",
        sql: include_str!("../migrations/0002_barista.sql"),
    },
    Migration {
        version: 3,
        name: "operator",
        sql: include_str!("../migrations/0003_operator.sql"),
    },
    Migration {
        version: 4,
        name: "wall_view",
        sql: include_str!("../migrations/0004_wall_view.sql"),
    },
    Migration {
        version: 5,
        name: "wall_written",
        sql: include_str!("../migrations/0005_wall_written.sql"),
    },
];

/// Starts the service: schema, relay, consumer, walls, gRPC.
///
/// # Errors
/// When the schema cannot be made or the port cannot be bound.
pub async fn run(config: Config, context: Context) -> anyhow::Result<()> {
    let pool = database::open(&context, &config.postgres, MIGRATIONS).await?;
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
    let walls = Walls::new(pool.clone(), config.wall_watchers_max);
    watch_walls(&context, walls.clone());
    let service = FulfilmentGrpc {
        bench: bench(&pool, outbox),
        walls,
        monitor: monitor.clone(),
        clock: Arc::new(SystemClock),
        shutdown: context.shutdown(),
    };
    let routes = tonic::service::Routes::new(FulfilmentServiceServer::new(service))
        .add_service(operator::service(pool, monitor))
        .add_service(views::service(wall_consumer::views(), postgres, kafka));
    grpc::serve(&context, config.grpc_listen, routes).await
}

/// Where tickets are worked on.
#[must_use]
pub fn bench(pool: &Pool, outbox: Outbox) -> Bench {
    Bench {
        pool: pool.clone(),
        outbox,
        clock: Arc::new(SystemClock),
        ids: Arc::new(SystemIds),
    }
}

fn watch_walls(context: &Context, walls: Walls) {
    let shutdown = context.shutdown();
    context.spawn("walls", async move {
        tokio::select! {
            () = shutdown.cancelled() => {}
            never = walls.run() => match never {},
        }
        Ok(())
    });
}
