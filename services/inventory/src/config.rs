//! What this service has to be told.

use std::net::SocketAddr;

use brewline_config::{Environment, Variable};
use brewline_messaging::{ConsumerSettings, RelaySettings};
use {brewline_kafka as kafka, brewline_postgres as postgres};

const GRPC_LISTEN: Variable = Variable {
    name: "BREWLINE_GRPC_LISTEN",
    default: Some("127.0.0.1:9203"),
    help: "Where gRPC is served. Loopback unless told otherwise: callers are not authenticated here.",
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
    /// How the relay works.
    pub relay: RelaySettings,
    /// How the consumer works.
    pub consumer: ConsumerSettings,
}

/// Reads every setting before it gives up, so that all faults are told together.
pub fn read(env: &mut Environment) -> Option<Config> {
    let grpc_listen = env.read(&GRPC_LISTEN);
    let postgres = postgres::Config::read(env);
    let kafka = kafka::Config::read(env);
    let relay = RelaySettings::read(env, crate::SOURCE);
    let consumer = ConsumerSettings::read(env);
    Some(Config {
        grpc_listen: grpc_listen?,
        postgres: postgres?,
        kafka: kafka?,
        relay: relay?,
        consumer: consumer?,
    })
}
