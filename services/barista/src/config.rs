//! What this service has to be told.

use std::net::SocketAddr;

use brewline_config::{Environment, Variable};
use brewline_messaging::{ConsumerSettings, RelaySettings};
use {brewline_kafka as kafka, brewline_postgres as postgres};

const GRPC_LISTEN: Variable = Variable {
    name: "BREWLINE_GRPC_LISTEN",
    default: Some("127.0.0.1:9204"),
    help: "Where gRPC is served. Loopback unless told otherwise: callers are not authenticated here.",
};

const WALL_WATCHERS_MAX: Variable = Variable {
    name: "BREWLINE_WALL_WATCHERS_MAX",
    default: Some("5000"),
    help: "How many callers may watch walls at the same time; more are told to come again. A few tablets \
           a store, for a thousand stores; each costs a few kilobytes and no query of its own.",
};

/// Everything the service is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where gRPC is served.
    pub grpc_listen: SocketAddr,
    /// How many may watch walls.
    pub wall_watchers_max: usize,
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
    let wall_watchers_max = env.read(&WALL_WATCHERS_MAX);
    let postgres = postgres::Config::read(env);
    let kafka = kafka::Config::read(env);
    let relay = RelaySettings::read(env, crate::SOURCE);
    let consumer = ConsumerSettings::read_of_follower(env);
    Some(Config {
        grpc_listen: grpc_listen?,
        wall_watchers_max: wall_watchers_max?,
        postgres: postgres?,
        kafka: kafka?,
        relay: relay?,
        consumer: consumer?,
    })
}
