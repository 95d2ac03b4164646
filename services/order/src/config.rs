//! The settings of this service.

use std::net::SocketAddr;
use std::time::Duration;

use brewline_config::{Environment, Variable};
use brewline_messaging::{ConsumerSettings, RelaySettings};
use {brewline_kafka as kafka, brewline_postgres as postgres};

use crate::app::checkout;
use crate::app::place_order::AdmissionLimits;

const GRPC_LISTEN: Variable = Variable {
    name: "BREWLINE_GRPC_LISTEN",
    default: Some("127.0.0.1:0"),
    help: "Where gRPC is served. Loopback and any free port unless told otherwise: only the gateway \
           and operators call it.",
};

const PAYMENT_URL: Variable = Variable {
    name: "BREWLINE_PAYMENT_URL",
    default: None,
    help: "Where payment serves gRPC: http://host:port, or file:///path/endpoints.json#payment.",
};

const PLACE_QUEUE_ORDERS_MAX: Variable = Variable {
    name: "BREWLINE_PLACE_QUEUE_ORDERS_MAX",
    default: Some("2048"),
    help: "Orders that may wait for a transaction. 2048: about a second's worth at full load; who \
           comes later is told to come again rather than kept waiting.",
};

const PLACE_BATCH_ORDERS_MAX: Variable = Variable {
    name: "BREWLINE_PLACE_BATCH_ORDERS_MAX",
    default: Some("256"),
    help: "Orders one transaction places. 256: beyond that a commit's cost is shared by enough, and \
           more would only make the first one wait.",
};

const PLACE_WORKERS: Variable = Variable {
    name: "BREWLINE_PLACE_WORKERS",
    default: Some("2"),
    help: "Transactions that place orders at the same time. 2: one gathers while the other's commit \
           waits for the disk.",
};

const PLACE_SETTLE_TARGET_MS: Variable = Variable {
    name: "BREWLINE_PLACE_SETTLE_TARGET_MS",
    default: Some("2000"),
    help: "How long an order may take to settle before fewer new ones are let in, in milliseconds; at \
           twice that none is. 2 s: a fraction of what an order may be pending, so that the orders let \
           in are sold and not turned back by their deadline.",
};

const PLACE_PENDING_FREE: Variable = Variable {
    name: "BREWLINE_PLACE_PENDING_FREE",
    default: Some("1000"),
    help: "Pending orders up to which all new ones are let in, however old those are. 1000: an outage \
           of payment at the pace of a few shops turns nobody away, and two cores settle them in \
           about a second.",
};

const WATCHERS_MAX: Variable = Variable {
    name: "BREWLINE_WATCHERS_MAX",
    default: Some("1000"),
    help: "Streams of one order's events at a time. 1000: each costs a look-up every half second.",
};

/// How this instance runs.
#[derive(Debug)]
pub struct Config {
    /// Where gRPC is served.
    pub grpc_listen: SocketAddr,
    /// The service's own database.
    pub postgres: postgres::Config,
    /// The log.
    pub kafka: kafka::Config,
    /// How the outbox is published.
    pub relay: RelaySettings,
    /// How events are consumed.
    pub consumer: ConsumerSettings,
    /// Where payment serves gRPC.
    pub payment_url: String,
    /// How orders are placed.
    pub place: PlaceLimits,
    /// How checkouts run.
    pub checkout: checkout::Settings,
    /// Streams of one order's events at a time.
    pub watchers_max: usize,
}

/// The limits of placing orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlaceLimits {
    /// Orders that may wait.
    pub queue_orders_max: usize,
    /// Orders one transaction places.
    pub batch_orders_max: usize,
    /// Transactions at the same time.
    pub workers: usize,
    /// When fewer are let in.
    pub admission: AdmissionLimits,
}

/// Reads the settings.
pub fn read(env: &mut Environment) -> Option<Config> {
    let grpc_listen = env.read(&GRPC_LISTEN);
    let postgres = postgres::Config::read(env);
    let kafka = kafka::Config::read(env);
    let relay = RelaySettings::read(env, crate::outbound::store::SOURCE);
    let consumer = ConsumerSettings::read(env);
    let payment_url = env.read(&PAYMENT_URL);
    let place = PlaceLimits::read(env);
    let checkout = checkout::Settings::read(env);
    let watchers_max = positive(env, &WATCHERS_MAX);
    Some(Config {
        grpc_listen: grpc_listen?,
        postgres: postgres?,
        kafka: kafka?,
        relay: relay?,
        consumer: consumer?,
        payment_url: payment_url?,
        place: place?,
        checkout: checkout?,
        watchers_max: watchers_max?,
    })
}

// === impl PlaceLimits ===

impl PlaceLimits {
    fn read(env: &mut Environment) -> Option<Self> {
        let queue_orders_max = positive(env, &PLACE_QUEUE_ORDERS_MAX);
        let batch_orders_max = positive(env, &PLACE_BATCH_ORDERS_MAX);
        let workers = positive(env, &PLACE_WORKERS);
        let settle_target = env.millis(&PLACE_SETTLE_TARGET_MS);
        let pending_free = env.read::<i64>(&PLACE_PENDING_FREE);
        Some(Self {
            queue_orders_max: queue_orders_max?,
            batch_orders_max: batch_orders_max?,
            workers: workers?,
            admission: AdmissionLimits {
                settle_target: settle_target?,
                pending_free: pending_free?.max(0),
            },
        })
    }
}

impl Default for PlaceLimits {
    fn default() -> Self {
        Self {
            queue_orders_max: 2_048,
            batch_orders_max: 256,
            workers: 2,
            admission: AdmissionLimits {
                settle_target: Duration::from_secs(2),
                pending_free: 1_000,
            },
        }
    }
}

fn positive(env: &mut Environment, variable: &Variable) -> Option<usize> {
    let number = env.read::<usize>(variable)?;
    if number == 0 {
        env.fault(format!("{} is 0: it must be at least 1", variable.name));
        return None;
    }
    Some(number)
}
