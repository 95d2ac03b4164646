//! The consumer: one transaction a batch.

pub mod core;

use brewline_kafka as kafka;
use brewline_postgres as postgres;
use tokio_util::sync::CancellationToken;

use crate::{ConsumerSettings, ConsumerSpec, Error, Handler, Monitor, Progress};

/// What a consumer is connected to: where it reads, where it writes, and who watches it.
#[derive(Clone, Debug)]
pub struct Connections {
    /// The service's database.
    pub pool: postgres::Pool,
    /// The broker.
    pub kafka: kafka::Config,
    /// Is told that the consumer moves.
    pub progress: Progress,
    /// Is told how far it is.
    pub monitor: Monitor,
}

/// Consumes until `shutdown`, sharing the partitions with the service's other instances.
///
/// # Errors
/// When Kafka refuses for good or a topic was made anew. Outages are waited for.
pub async fn consume<H: Handler>(
    _connections: Connections,
    _spec: ConsumerSpec,
    _settings: ConsumerSettings,
    _handler: H,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    shutdown.cancelled().await;
    Ok(())
}
