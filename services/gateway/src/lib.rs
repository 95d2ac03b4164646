//! The edge: REST in, gRPC out. It keeps nothing and decides nothing about coffee.
//!
//! ```text
//!  server::http ──► inbound::edge ──► inbound::{orders, customers, catalogue, stock} ──► outbound ──► gRPC
//!  slow heads       principal, trace,   parse strictly, call, show                        deadline, trace
//!                   limits, problems
//! ```
//!
//! A write is sent upstream at most once: when its outcome is not known the caller is told so and
//! repeats it under the same key. Every "no" leaves as `application/problem+json`.

mod config;
mod inbound;
mod outbound;
mod signals;

use brewline_server::{Context, http};

pub use config::{Config, read};
pub use inbound::served;

/// The `OpenAPI` document, as it is served.
pub const OPENAPI: &str = include_str!("../openapi.json");

/// The event catalogue, as it is served.
pub const ASYNCAPI: &str = include_str!("../../../proto/asyncapi.yaml");

/// Starts the service; it goes on in the context's tasks.
///
/// # Errors
/// When an upstream's URL makes no sense or the address cannot be bound.
pub async fn run(config: Config, context: Context) -> anyhow::Result<()> {
    start(config, context).await.map(drop)
}

/// Like [`run`], and tells where it listens.
///
/// # Errors
/// Like [`run`].
pub async fn start(config: Config, context: Context) -> anyhow::Result<std::net::SocketAddr> {
    signals::begin();
    let gate = context.health().gate("http");
    let upstreams = outbound::Upstreams::new(&config, &context)?;
    let limits = http::Limits {
        connections_max: config.connections_max,
        header_read_timeout: config.header_read_timeout,
    };
    let router = inbound::router(inbound::Edge::new(upstreams, &config, context.shutdown()));
    let address = http::serve(&context, config.listen, router, limits).await?;
    gate.open();
    Ok(address)
}
