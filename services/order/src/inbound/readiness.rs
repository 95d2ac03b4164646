//! When this service may be sent work: once each of its consumers has its partitions looked after, and
//! once the copy of the catalogue holds everything that was published before this process started.

use std::collections::BTreeMap;
use std::time::Duration;

use brewline_kafka::{self as kafka, Admin, TopicPartition};
use brewline_postgres::{self as postgres, Pool};
use brewline_server::Context;

use super::{catalogue_consumer, stock_consumer};

/// How often it is looked.
const CHECK: Duration = Duration::from_millis(100);

const POSITIONS: &str =
    "select partition, next_offset from consumer_position where consumer = $1 and topic = $2";

/// What a consumer must have reached.
#[derive(Debug, Clone, Copy)]
enum Reached {
    /// Somebody looks after each partition.
    Assigned,
    /// And has handled all that was there at the start.
    CaughtUp,
}

/// Why it cannot be said yet.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Kafka(#[from] kafka::Error),
    #[error(transparent)]
    Database(#[from] postgres::Error),
}

/// Opens the gates `consumers` and `catalogue`. They stay open: a rebalance is routine, and later
/// catalogue events are waited for by those who carry their tokens.
///
/// The positions are the service's, not this replica's: partitions are shared, and a replica beyond
/// their number has none, while the copy of the catalogue is everybody's.
pub fn watch(context: &Context, kafka: &kafka::Config, pool: &Pool) {
    let catalogue = (catalogue_consumer::SPEC.name, catalogue_consumer::TOPIC);
    let stock = (stock_consumer::SPEC.name, stock_consumer::TOPIC);
    for (name, (consumer, topic), reached) in [
        ("catalogue", catalogue, Reached::CaughtUp),
        ("consumers", stock, Reached::Assigned),
    ] {
        let (gate, shutdown) = (context.health().gate(name), context.shutdown());
        let (kafka, pool) = (kafka.clone(), pool.clone());
        context.spawn(name, async move {
            let wait = wait(&kafka, &pool, consumer, topic, reached);
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = wait => gate.open(),
            }
            Ok(())
        });
    }
}

async fn wait(
    kafka: &kafka::Config,
    pool: &Pool,
    consumer: &'static str,
    topic: &'static str,
    reached: Reached,
) {
    let ends = loop {
        match ends(kafka, topic).await {
            Ok(ends) => break ends,
            Err(error) => tracing::warn!(%error, topic, "the topic's ends are not known yet"),
        }
        tokio::time::sleep(CHECK * 10).await;
    };
    loop {
        match positions(pool, consumer, topic).await {
            Ok(positions) if reached.holds(&ends, &positions) => return,
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, consumer, "positions cannot be read"),
        }
        tokio::time::sleep(CHECK).await;
    }
}

async fn ends(
    kafka: &kafka::Config,
    topic: &'static str,
) -> Result<BTreeMap<TopicPartition, i64>, Error> {
    Ok(Admin::new(kafka)?.end_offsets(&[topic]).await?)
}

async fn positions(
    pool: &Pool,
    consumer: &'static str,
    topic: &'static str,
) -> Result<BTreeMap<i32, i64>, Error> {
    let connection = pool.get().await?;
    let rows = connection.query(POSITIONS, &[&consumer, &topic]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

// === impl Reached ===

impl Reached {
    fn holds(self, ends: &BTreeMap<TopicPartition, i64>, positions: &BTreeMap<i32, i64>) -> bool {
        ends.iter().all(|(place, end)| {
            let position = positions.get(&place.partition);
            match self {
                Self::Assigned => position.is_some(),
                Self::CaughtUp => position.is_some_and(|next| next >= end),
            }
        })
    }
}
