//! The consumer: one transaction a batch.
//!
//! [`core`] decides what goes into a transaction and what a failure means, `plan` what becomes of
//! each record, `transaction` runs one, `dead_letter` gives a record up, `store`, `parking` and
//! `attempts` hold the SQL, `driver` and `upkeep` connect them with Kafka. `redrive` is what an operator
//! has done about dead letters, `desk` where the operator's API finds the consumers of this process.

mod attempts;
pub mod core;
mod dead_letter;
pub(crate) mod desk;
mod driver;
mod parking;
pub mod plan;
mod redrive;
mod spans;
pub(crate) mod store;
mod transaction;
mod upkeep;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use brewline_kafka as kafka;
use brewline_kafka::{Received, Subscription};
use brewline_postgres as postgres;
use tokio_util::sync::CancellationToken;

use self::core::{Core, Limits};
use crate::cloud_events::{self, Malformed};
use crate::signals::ConsumerSignals;
use crate::{
    ConsumerSettings, ConsumerSpec, Delivery, Error, Handler, Monitor, OUTAGE_BACKOFF, Outbox,
    Progress, maintenance,
};
use dead_letter::DeadLetters;
use driver::Worker;
use store::Store;
use transaction::Applier;

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

/// A partition that was refused is left alone for so long: time for the group to tell whether it is
/// still ours.
const CLAIM_AGAIN_AFTER: Duration = Duration::from_secs(3);
/// A partition that parked too much is looked at again after this.
const PAUSED_FOR: Duration = Duration::from_secs(30);
/// A record that ended the process this often while it was alone in hand is given up.
const DEATHS_MAX: i32 = 2;

/// Consumes until `shutdown`, sharing the partitions with the service's other instances.
///
/// # Errors
/// When Kafka refuses for good or a topic was made anew. Outages are waited for.
pub async fn consume<H: Handler>(
    connections: Connections,
    spec: ConsumerSpec,
    settings: ConsumerSettings,
    handler: H,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let pool = connections.pool.clone();
    let memory = settings.inbox_memory;
    let monitor = connections.monitor.clone();
    let worker = worker(connections, spec, settings, handler, shutdown)?;
    ConsumerSignals(spec.name).begin();
    let _open = desk::open(&monitor, spec.name, &worker.applier);
    tokio::select! {
        done = worker.run() => done,
        never = maintenance::keep_inbox(&pool, spec, memory) => match never {},
    }
}

fn worker<H: Handler>(
    connections: Connections,
    spec: ConsumerSpec,
    settings: ConsumerSettings,
    handler: H,
    shutdown: CancellationToken,
) -> Result<Worker<H>, Error> {
    let topics: Vec<&str> = spec.topics.iter().map(|topic| topic.name).collect();
    let queue = kafka::Limits {
        gather: settings.gather,
        ..kafka::Limits::default()
    };
    let (subscription, inputs) =
        Subscription::start(&connections.kafka, spec.name, &topics, queue)?;
    let pace = connections.pool.pace();
    let applier = Applier {
        store: Store {
            pool: connections.pool,
            consumer: spec.name,
        },
        dead_letters: DeadLetters {
            spec,
            outbox: Outbox::new(settings.outbox_slots),
        },
        spec,
        settings,
        handler,
    };
    Ok(Worker {
        applier: Arc::new(applier),
        core: Core::new(limits(&settings)),
        subscription,
        inputs,
        admin: kafka::Admin::new(&connections.kafka)?,
        progress: connections.progress,
        monitor: connections.monitor,
        shutdown,
        started_at: Instant::now(),
        ticked_at: Instant::now(),
        counted_at: None,
        speaking: BTreeSet::new(),
        silenced: BTreeSet::new(),
        waiting: true,
        pace,
    })
}

const fn limits(settings: &ConsumerSettings) -> Limits {
    Limits {
        batch_records_max: settings.batch_records_max,
        batch_bytes_max: settings.batch_bytes_max,
        attempts_max: settings.attempts_max,
        deaths_max: DEATHS_MAX,
        claim_again_after: CLAIM_AGAIN_AFTER,
        paused_for: PAUSED_FOR,
        backoff: OUTAGE_BACKOFF,
    }
}

/// A record as an event.
pub(crate) fn delivery(record: &Received) -> Result<Delivery, Malformed> {
    Ok(Delivery {
        topic: Arc::clone(&record.topic),
        partition: record.partition,
        offset: record.offset,
        envelope: cloud_events::envelope(record)?,
        payload: record.payload.clone().unwrap_or_default(),
    })
}
