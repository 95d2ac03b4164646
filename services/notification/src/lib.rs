//! The shell of `notification`: who is told what becomes of orders, by mail, by webhook, or on request.
//!
//! What is decided is in `brewline-notification-domain`. [`inbound`] is what calls us: the orders' and the
//! customers' events, and gRPC. [`app`] holds a file per use case. [`outbound`] holds all SQL, the mail
//! server, webhooks and the encoding of events.
//!
//! It asks nobody: addresses come from customers' events, everything else from orders' events.

pub mod app;
pub mod config;
pub mod error;
pub mod inbound;
pub mod outbound;
mod signals;

use std::sync::Arc;

use anyhow::Context as _;
use brewline_kernel::system::{SystemClock, SystemIds};
use brewline_messaging::{Monitor, Outbox, operator, views};
use brewline_postgres::{Migration, Pool};
use brewline_proto::notification::v1::notification_service_server::NotificationServiceServer;
use brewline_server::events::{self, Consumers};
use brewline_server::{Context, database, grpc};
use tonic::service::Routes;

use crate::app::call_hooks::CallHooks;
use crate::app::housekeeping;
use crate::app::meet_customers::MeetCustomers;
use crate::app::send_mails::SendMails;
use crate::config::Config;
use crate::inbound::customer_consumer::{self, CustomerEvents};
use crate::inbound::grpc::NotificationGrpc;
use crate::inbound::order_consumer::{self, OrderEvents, Wake};
use crate::inbound::view_operator;
use crate::outbound::caller::Caller;
use crate::outbound::https;
use crate::outbound::mailer::Mailer;

/// The service's name.
pub const SERVICE: &str = "notification";
/// What its events say they come from.
pub const SOURCE: &str = "brewline/notification";

/// The schema, step by step.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "messaging",
        sql: include_str!("../migrations/0001_messaging.sql"),
    },
    Migration {
        version: 2,
        name: "notification",
        sql: include_str!("../migrations/0002_notification.sql"),
    },
    Migration {
        version: 3,
        name: "operator",
        sql: include_str!("../migrations/0003_operator.sql"),
    },
    Migration {
        version: 4,
        name: "housekeeping",
        sql: include_str!("../migrations/0004_housekeeping.sql"),
    },
    Migration {
        version: 5,
        name: "claims",
        sql: include_str!("../migrations/0005_claims.sql"),
    },
    Migration {
        version: 6,
        name: "no_statistics_of_persons",
        sql: include_str!("../migrations/0006_no_statistics_of_persons.sql"),
    },
];

/// Starts the service: schema, relay, consumers, workers, gRPC.
///
/// # Errors
/// When the schema cannot be made, the file of authorities cannot be read, or the port cannot be bound.
pub async fn run(config: Config, context: Context) -> anyhow::Result<()> {
    let pool = database::open(&context, &config.postgres, MIGRATIONS).await?;
    let (postgres, kafka) = (&config.postgres, &config.kafka);
    events::publish(&context, &pool, postgres, kafka, &config.relay);
    let (monitor, wake) = (Monitor::default(), Wake::default());
    consume(&config, &context, &pool, &monitor, &wake);
    work(&config, &context, &pool, &wake)?;
    let service = NotificationGrpc {
        pool: pool.clone(),
        monitor: monitor.clone(),
        calls: Arc::clone(&wake.calls),
        allow_private: config.call.allow_private,
        secret_overlap: config.secret_overlap,
    };
    let routes = Routes::new(NotificationServiceServer::new(service))
        .add_service(operator::service(pool, monitor))
        .add_service(views::service(view_operator::all(), postgres, kafka));
    grpc::serve(&context, config.grpc_listen, routes).await
}

fn consume(config: &Config, context: &Context, pool: &Pool, monitor: &Monitor, wake: &Wake) {
    let outbox = Outbox::new(config.relay.slots);
    let orders = OrderEvents {
        outbox,
        clock: Arc::new(SystemClock),
        ids: Arc::new(SystemIds),
        customer_wait: config.customer_wait,
        wake: wake.clone(),
    };
    let customers = CustomerEvents {
        outbox,
        clock: Arc::new(SystemClock),
        ids: Arc::new(SystemIds),
        wake: wake.clone(),
    };
    let (kafka, settings) = (&config.kafka, config.consumer);
    Consumers::new(context, pool, kafka, settings, monitor.clone())
        .with(order_consumer::CONSUMER, orders)
        .with(customer_consumer::CONSUMER, customers)
        .await_assignment();
}

/// The loops that move deliveries on.
fn work(config: &Config, context: &Context, pool: &Pool, wake: &Wake) -> anyhow::Result<()> {
    let outbox = Outbox::new(config.relay.slots);
    let mails = SendMails {
        pool: pool.clone(),
        outbox,
        clock: Arc::new(SystemClock),
        ids: Arc::new(SystemIds),
        mailer: Arc::new(Mailer::new(config.mail.clone())),
        settings: config.mail.clone(),
        wake: Arc::clone(&wake.mails),
    };
    let meet = MeetCustomers {
        pool: pool.clone(),
        outbox,
        clock: Arc::new(SystemClock),
        ids: Arc::new(SystemIds),
        mails: Arc::clone(&wake.mails),
    };
    let tls = https::trust(config.authorities.as_deref()).context("trust for webhooks")?;
    let calls = CallHooks {
        pool: pool.clone(),
        clock: Arc::new(SystemClock),
        caller: Arc::new(Caller::new(config.call, tls)),
        settings: config.call,
        wake: Arc::clone(&wake.calls),
    };
    let shutdown = context.shutdown();
    spawn(context, "webhooks", calls.run(shutdown.clone()));
    spawn(context, "mails", mails.run(shutdown.clone()));
    spawn(context, "meet-customers", meet.run(shutdown.clone()));
    let keep = housekeeping::run(pool.clone(), config.events_kept, shutdown);
    spawn(context, "housekeeping", keep);
    Ok(())
}

fn spawn(context: &Context, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
    context.spawn(name, async {
        work.await;
        Ok(())
    });
}
