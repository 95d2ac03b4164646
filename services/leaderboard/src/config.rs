//! What this service has to be told.

use std::net::SocketAddr;
use std::time::Duration;

use brewline_config::{Environment, Variable};
use {brewline_kafka as kafka, brewline_postgres as postgres};

const GRPC_LISTEN: Variable = Variable {
    name: "BREWLINE_GRPC_LISTEN",
    default: Some("127.0.0.1:9206"),
    help: "Where gRPC is served. Loopback unless told otherwise: callers are not authenticated here.",
};
const SNAPSHOT_INTERVAL: Variable = Variable {
    name: "BREWLINE_SNAPSHOT_INTERVAL_MS",
    default: Some("60000"),
    help: "How long after a snapshot the next one is taken, in milliseconds, if anything has happened. A \
           minute of events is read again in a second. Large boards rest longer: 30 times what the last \
           snapshot took.",
};

/// Everything the service is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where gRPC is served.
    pub grpc_listen: SocketAddr,
    /// The service's own database.
    pub postgres: postgres::Config,
    /// The broker.
    pub kafka: kafka::Config,
    /// How long after a snapshot the next one is taken.
    pub snapshot_interval: Duration,
}

/// Reads every setting before it gives up, so that all faults are told together.
pub fn read(env: &mut Environment) -> Option<Config> {
    let grpc_listen = env.read(&GRPC_LISTEN);
    let postgres = postgres::Config::read(env);
    let kafka = kafka::Config::read(env);
    let snapshot_interval = env.millis(&SNAPSHOT_INTERVAL);
    Some(Config {
        grpc_listen: grpc_listen?,
        postgres: postgres?,
        kafka: kafka?,
        snapshot_interval: snapshot_interval?,
    })
}
