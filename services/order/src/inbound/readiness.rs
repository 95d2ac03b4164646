//! When this service may be sent work: once its consumers own partitions, and once the copy of the
//! catalogue holds everything that was published before this process started.

use std::collections::BTreeMap;
use std::time::Duration;

use brewline_kafka::{self as kafka, Admin, TopicPartition};
use brewline_messaging::Monitor;
use brewline_postgres::{self as postgres, Pool};
use brewline_server::Context;

use super::{catalogue_consumer, stock_consumer};

/// How often it is looked.
const CHECK: Duration = Duration::from_millis(100);
/// How long a first assignment may take.
const ASSIGNED_WAIT_MAX: Duration = Duration::from_secs(30);

const POSITIONS: &str =
    "select partition, next_offset from consumer_position where consumer = $1 and topic = $2";

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
pub fn watch(context: &Context, kafka: &kafka::Config, pool: &Pool, monitor: &Monitor) {
    let (kafka, pool, monitor) = (kafka.clone(), pool.clone(), monitor.clone());
    open(context, "catalogue", async move {
        caught_up(&kafka, &pool).await;
    });
    open(context, "consumers", async move {
        // Replicas beyond the number of partitions get none, and are ready all the same by then.
        if tokio::time::timeout(ASSIGNED_WAIT_MAX, assigned(&monitor))
            .await
            .is_err()
        {
            tracing::info!("this instance got no partitions; others have them");
        }
    });
}

/// Opens a gate once `ready` has ended.
fn open(context: &Context, name: &'static str, ready: impl Future<Output = ()> + Send + 'static) {
    let (gate, shutdown) = (context.health().gate(name), context.shutdown());
    context.spawn(name, async move {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = ready => gate.open(),
        }
        Ok(())
    });
}

/// Ends when each consumer of this process owns a partition.
async fn assigned(monitor: &Monitor) {
    let consumers = [catalogue_consumer::SPEC.name, stock_consumer::SPEC.name];
    loop {
        let owned = monitor.owned();
        let owns = |name: &&str| owned.keys().any(|place| place.consumer == **name);
        if consumers.iter().all(owns) {
            return;
        }
        tokio::time::sleep(CHECK).await;
    }
}

/// Ends when the copy of the catalogue holds all that the topic held at the start. The positions are the
/// service's, not this instance's: partitions are shared, and so is the copy.
async fn caught_up(kafka: &kafka::Config, pool: &Pool) {
    let ends = loop {
        match ends(kafka, catalogue_consumer::TOPIC).await {
            Ok(ends) => break ends,
            Err(error) => tracing::warn!(%error, "the ends of the catalogue are not known yet"),
        }
        tokio::time::sleep(CHECK * 10).await;
    };
    loop {
        match positions(pool).await {
            Ok(positions) if reached(&ends, &positions) => return,
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "positions cannot be read"),
        }
        tokio::time::sleep(CHECK).await;
    }
}

fn reached(ends: &BTreeMap<TopicPartition, i64>, positions: &BTreeMap<i32, i64>) -> bool {
    ends.iter().all(|(place, end)| {
        let next = positions.get(&place.partition);
        next.is_some_and(|next| next >= end)
    })
}

async fn ends(
    kafka: &kafka::Config,
    topic: &'static str,
) -> Result<BTreeMap<TopicPartition, i64>, Error> {
    Ok(Admin::new(kafka)?.end_offsets(&[topic]).await?)
}

async fn positions(pool: &Pool) -> Result<BTreeMap<i32, i64>, Error> {
    let connection = pool.get().await?;
    let (consumer, topic) = (catalogue_consumer::SPEC.name, catalogue_consumer::TOPIC);
    let rows = connection.query(POSITIONS, &[&consumer, &topic]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}
