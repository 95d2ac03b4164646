//! A service's events at start-up: its relay, its consumers, and when those count as ready.

use std::time::Duration;

use anyhow::Context as _;
use brewline_messaging::{
    Connections, ConsumerSettings, ConsumerSpec, Handler, Monitor, Progress, RelaySettings,
    consume, relay,
};
use brewline_postgres::Pool;
use {brewline_kafka as kafka, brewline_postgres as postgres};

use crate::Context;

/// A consumer that has not moved for so long is stuck: the process is better started anew.
const STALL: Duration = Duration::from_secs(60);
/// How often it is looked whether the consumers have partitions.
const ASSIGNED_CHECK: Duration = Duration::from_millis(100);
/// Replicas beyond the number of partitions get none: by then they are ready all the same.
const ASSIGNED_WAIT_MAX: Duration = Duration::from_secs(30);

/// Publishes what the service leaves in its outbox.
pub fn publish(
    context: &Context,
    pool: &Pool,
    postgres: &postgres::Config,
    kafka: &kafka::Config,
    settings: &RelaySettings,
) {
    let work = relay(
        pool.clone(),
        postgres.clone(),
        kafka.clone(),
        settings.clone(),
        context.instance.to_string(),
        context.shutdown(),
    );
    context.spawn("relay", async { work.await.context("publish the outbox") });
}

/// Starts consumers.
#[derive(Debug)]
pub struct Consumers<'a> {
    context: &'a Context,
    pool: &'a Pool,
    kafka: &'a kafka::Config,
    settings: ConsumerSettings,
    monitor: Monitor,
    names: Vec<&'static str>,
}

// === impl Consumers ===

impl<'a> Consumers<'a> {
    /// None yet; all will write through `pool` and tell `monitor` how far they are.
    #[must_use]
    pub const fn new(
        context: &'a Context,
        pool: &'a Pool,
        kafka: &'a kafka::Config,
        settings: ConsumerSettings,
        monitor: Monitor,
    ) -> Self {
        Self {
            context,
            pool,
            kafka,
            settings,
            monitor,
            names: Vec::new(),
        }
    }

    /// Starts one. It feeds liveness as long as it moves.
    #[must_use]
    pub fn with<H: Handler>(mut self, spec: ConsumerSpec, handler: H) -> Self {
        let heartbeat = self.context.health().watch(spec.name, STALL);
        let connections = Connections {
            pool: self.pool.clone(),
            kafka: self.kafka.clone(),
            progress: Progress::new(move || heartbeat.beat()),
            monitor: self.monitor.clone(),
        };
        let shutdown = self.context.shutdown();
        // Boxed: the future holds the handler's, which can be large.
        let work = Box::pin(consume(connections, spec, self.settings, handler, shutdown));
        self.context
            .spawn(spec.name, async { work.await.context("consume events") });
        self.names.push(spec.name);
        self
    }

    /// Readiness waits until each of them owns a partition. Once open it stays open: a rebalance is
    /// routine.
    pub fn await_assignment(self) {
        let (names, monitor) = (self.names, self.monitor);
        self.context.open_when("consumers", async move {
            let assigned = tokio::time::timeout(ASSIGNED_WAIT_MAX, assigned(&names, &monitor));
            if assigned.await.is_err() {
                tracing::info!("this instance got no partitions; others have them");
            }
        });
    }
}

/// Ends when each consumer owns a partition.
async fn assigned(names: &[&str], monitor: &Monitor) {
    loop {
        let owned = monitor.owned();
        let owns = |name: &&str| owned.keys().any(|place| place.consumer == **name);
        if names.iter().all(owns) {
            return;
        }
        tokio::time::sleep(ASSIGNED_CHECK).await;
    }
}
