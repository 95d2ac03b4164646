//! The settings, each a documented constant with a reasoned default.

use std::net::SocketAddr;
use std::time::Duration;

use brewline_config::{Environment, Variable};
use brewline_kafka as kafka;
use brewline_messaging::RelaySettings;
use brewline_payment_domain::{KeyLifetime, Rules};
use brewline_postgres as postgres;

const GRPC_LISTEN: Variable = Variable {
    name: "BREWLINE_GRPC_LISTEN",
    default: Some("127.0.0.1:0"),
    help: "Where PaymentService is served. Loopback and any free port unless told otherwise: it is \
           for the service `order` only.",
};

const PROCESSOR_URL: Variable = Variable {
    name: "BREWLINE_PROCESSOR_URL",
    default: None,
    help: "The card processor, such as http://127.0.0.1:8090.",
};

const PROCESSOR_TIMEOUT_MS: Variable = Variable {
    name: "BREWLINE_PROCESSOR_TIMEOUT_MS",
    default: Some("2000"),
    help: "How long one request to the processor may take, in milliseconds; after it the outcome is \
           unknown. 2000: several tries fit into the 20 s that an authorisation has.",
};

const PROCESSOR_CONCURRENCY_MAX: Variable = Variable {
    name: "BREWLINE_PROCESSOR_CONCURRENCY_MAX",
    default: Some("64"),
    help: "Requests to the processor that are open at once; more wait. 64: at 10 ms a request more \
           than this machine can sell, and few enough that a processor in trouble is not run over.",
};

const PROCESSOR_KEY_LIFETIME_MS: Variable = Variable {
    name: "BREWLINE_PROCESSOR_KEY_LIFETIME_MS",
    default: Some("86400000"),
    help: "How long the processor remembers a key, in milliseconds. 24 h is what processors promise. \
           A request older than half of it is looked up before it is repeated, so a saga that an \
           outage set aside, which asks every 30 s, needs more than 70000 to be repeated at all.",
};

const BATCH_ROWS_MAX: Variable = Variable {
    name: "BREWLINE_PAYMENT_BATCH_ROWS_MAX",
    default: Some("500"),
    help: "Commands, or outcomes, recorded in one transaction. 500: the commit is shared by enough.",
};

const QUEUE_ROWS_MAX: Variable = Variable {
    name: "BREWLINE_PAYMENT_QUEUE_ROWS_MAX",
    default: Some("2000"),
    help: "Commands that may wait for their transaction; more wait at the caller. 2000: a second or \
           two of a full load.",
};

const RISK_RULES: Variable = Variable {
    name: "BREWLINE_PAYMENT_RISK_RULES",
    default: Some(
        "card-testing=card declined<=1000,NOK:10000,JPY:1500 5/600; \
         card-declines=card declined 8/3600; card-velocity=card asked 20/60; \
         customer-testing=customer declined<=1000,NOK:10000,JPY:1500 15/60; \
         customer-velocity=customer asked 300/60",
    ),
    help: "The risk rules, separated by semicolons: NAME=card|customer asked|declined[<=MINOR] \
           LIMIT/SECONDS. MINOR is in minor units: `1000,JPY:1500` is 1000 of any currency but the yen, \
           `EUR:1000` counts no other currency. Once LIMIT were counted within so many seconds, the next authorisation is \
           refused; what is refused counts for nothing. `none` for no rules. The defaults: a card \
           that was declined 5 times for small amounts in 10 minutes is being tested; 8 declines in \
           an hour are no typing errors; nobody pays 20 times a minute with one card; 15 small \
           declines a minute are somebody going through many cards; 300 orders a minute are no \
           customer.",
};

/// The settings of the service `payment`.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where gRPC is served.
    pub grpc_listen: SocketAddr,
    /// Its database.
    pub postgres: postgres::Config,
    /// The log.
    pub kafka: kafka::Config,
    /// How events get there.
    pub relay: RelaySettings,
    /// The card processor.
    pub processor: ProcessorConfig,
    /// Which authorisations are too risky.
    pub rules: Rules,
    /// How commands are worked off.
    pub limits: Limits,
}

/// How the card processor is talked to.
#[derive(Debug, Clone)]
pub struct ProcessorConfig {
    /// Its address, without a slash at the end.
    pub url: String,
    /// How long one request may take.
    pub timeout: Duration,
    /// Requests open at once.
    pub concurrency_max: usize,
    /// How long it remembers a key.
    pub key_lifetime: KeyLifetime,
}

/// How many commands are held where.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// In one transaction.
    pub batch_rows_max: usize,
    /// Waiting for one.
    pub queue_rows_max: usize,
}

// === impl Config ===

impl Config {
    /// From the environment.
    pub fn read(env: &mut Environment) -> Option<Self> {
        let grpc_listen = env.read(&GRPC_LISTEN);
        let postgres = postgres::Config::read(env);
        let kafka = kafka::Config::read(env);
        let relay = RelaySettings::read(env, "brewline/payment");
        let processor = ProcessorConfig::read(env);
        let rules = env.read(&RISK_RULES);
        let limits = Limits::read(env);
        Some(Self {
            grpc_listen: grpc_listen?,
            postgres: postgres?,
            kafka: kafka?,
            relay: relay?,
            processor: processor?,
            rules: rules?,
            limits: limits?,
        })
    }
}

// === impl ProcessorConfig ===

impl ProcessorConfig {
    fn read(env: &mut Environment) -> Option<Self> {
        let url = env.read::<String>(&PROCESSOR_URL);
        let timeout = env.millis(&PROCESSOR_TIMEOUT_MS);
        let concurrency_max = env.read::<usize>(&PROCESSOR_CONCURRENCY_MAX);
        let key_lifetime = env.millis(&PROCESSOR_KEY_LIFETIME_MS);
        Some(Self {
            url: url?.trim_end_matches('/').to_owned(),
            timeout: timeout?,
            concurrency_max: concurrency_max?.max(1),
            key_lifetime: KeyLifetime::new(key_lifetime?),
        })
    }
}

// === impl Limits ===

impl Limits {
    fn read(env: &mut Environment) -> Option<Self> {
        let batch_rows_max = env.read::<usize>(&BATCH_ROWS_MAX);
        let queue_rows_max = env.read::<usize>(&QUEUE_ROWS_MAX);
        Some(Self {
            batch_rows_max: batch_rows_max?.max(1),
            queue_rows_max: queue_rows_max?.max(1),
        })
    }
}
