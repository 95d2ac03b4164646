//! When this service may be sent work: once the copy of the catalogue holds everything that was
//! published before this process started. (That its consumers own partitions is waited for elsewhere.)

use std::collections::BTreeMap;
use std::time::Duration;

use brewline_kafka::{self as kafka, Admin, TopicPartition};
use brewline_postgres::{self as postgres, Pool};
use brewline_server::Context;

use super::catalogue_consumer;

/// How often it is looked.
const CHECK: Duration = Duration::from_millis(100);

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

/// Opens the gate `catalogue`. It stays open: later catalogue events are waited for by those who carry
/// their tokens.
pub fn watch(context: &Context, kafka: &kafka::Config, pool: &Pool) {
    let (kafka, pool) = (kafka.clone(), pool.clone());
    context.open_when("catalogue", async move { caught_up(&kafka, &pool).await });
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
