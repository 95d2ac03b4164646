//! Records as no relay writes them, in the name of the service that may write the topic.

use std::future::ready;
use std::time::Duration;

use anyhow::Context as _;
use brewline_cli::stack::secrets::Secrets;
use brewline_kafka::{Config, Producer, ProducerSettings, Record};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::faults::items;
use crate::platform::Platform;

const OWNER: &str = "order";
const TOPIC: &str = "brewline.order.events.v1";
/// Types that must be read: by consumers with tables, by boards; and one that concerns nobody.
const READ: &str = "brewline.order.v1.OrderPlaced";
const READ_BY_BOARDS: &str = "brewline.order.v1.OrderConfirmed";
const UNKNOWN: &str = "brewline.order.v1.OrderThought";
/// Subjects with an event that cannot be read: a dead letter, and a line of the log, for each.
const SUBJECTS: usize = 15;
/// What follows on one of them: more than a consumer parks for one subject.
const SUCCESSORS: u32 = 1_100;
/// How often one that concerns nobody follows another.
const EVERY: Duration = Duration::from_millis(500);
/// How long the broker may take for all of them.
const WITHIN: Duration = Duration::from_secs(30);
/// Operators who drop side by side.
const DROPPED_AT_ONCE: usize = 8;
/// How long a list may take to be empty.
const DROPPED_WITHIN: Duration = Duration::from_secs(60);

/// Publishes them; at the end gives up what was given up.
pub(crate) async fn records_that_cannot_be_read(
    platform: &Platform,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    timeout(WITHIN, publish(platform))
        .await
        .context("the broker is slow")??;
    stop.cancelled().await;
    timeout(DROPPED_WITHIN, drop_all(platform))
        .await
        .context("dead letters are left")?
}

/// Publishes an event that concerns nobody, again and again: whoever cannot note it is behind.
pub(crate) async fn records_that_concern_nobody(
    platform: &Platform,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let producer = producer(platform)?;
    while !stop.is_cancelled() {
        let sent = producer.send(record(Uuid::new_v4(), UNKNOWN, 1))?;
        timeout(WITHIN, sent)
            .await
            .context("the broker is slow")??;
        sleep(EVERY).await;
    }
    Ok(())
}

fn producer(platform: &Platform) -> anyhow::Result<Producer> {
    let secrets = Secrets::load(&platform.folder()?)?;
    let config = Config::plain(&platform.endpoints()?.kafka.brokers);
    let config = config.with_login(OWNER, secrets.kafka(OWNER));
    Ok(Producer::new(&config, ProducerSettings::default())?)
}

async fn publish(platform: &Platform) -> anyhow::Result<()> {
    let producer = producer(platform)?;
    let subjects: Vec<Uuid> = (0..SUBJECTS).map(|_| Uuid::new_v4()).collect();
    let mut sent = vec![];
    for subject in &subjects {
        sent.push(producer.send(record(*subject, READ, 1))?);
    }
    sent.push(producer.send(record(Uuid::new_v4(), READ_BY_BOARDS, 1))?);
    let held = *subjects.first().context("no subject")?;
    // The same version once more, whole: without it the letter is needed, and could not be given up.
    for version in 1..=SUCCESSORS {
        sent.push(producer.send(record(held, UNKNOWN, version))?);
    }
    producer.hurry();
    for sent in sent {
        sent.await?;
    }
    Ok(())
}

fn record(subject: Uuid, event_type: &str, version: u32) -> Record {
    let header = |name: &str, value: String| (name.to_owned(), Bytes::from(value));
    Record {
        topic: TOPIC.to_owned(),
        key: Bytes::from(subject.to_string()),
        payload: Some(Bytes::from_static(&[0xff; 8])),
        headers: vec![
            header("ce_specversion", "1.0".to_owned()),
            header("ce_id", Uuid::new_v4().to_string()),
            header("ce_type", event_type.to_owned()),
            header("ce_source", OWNER.to_owned()),
            header("ce_subject", subject.to_string()),
            header("ce_time", "2026-11-21T10:15:30.000001Z".to_owned()),
            header("ce_sequence", version.to_string()),
            header("ce_correlationid", Uuid::new_v4().to_string()),
        ],
        partition: None,
        timestamp: None,
    }
}

/// What is dropped may free a successor that is given up in turn.
async fn drop_all(platform: &Platform) -> anyhow::Result<()> {
    loop {
        let letters = items(platform, &["dlq", "list", "--json"]).await?;
        if letters.is_empty() {
            return Ok(());
        }
        let dropped = letters.iter().map(|letter| async {
            let id = letter["id"].as_str().context("a letter without an id")?;
            platform.brewline(&["dlq", "drop", id]).await
        });
        let dropped = stream::iter(dropped).buffer_unordered(DROPPED_AT_ONCE);
        dropped.try_for_each(|_| ready(Ok(()))).await?;
        sleep(Duration::from_millis(200)).await;
    }
}
