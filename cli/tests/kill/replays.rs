//! Records published again, byte for byte, by the service that alone may: what a relay does when its
//! acknowledgement is lost, or when it wakes long after its lease.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use brewline_chaos::evidence::topics_there;
use brewline_cli::sources;
use brewline_cli::stack::Folder;
use brewline_cli::stack::secrets::Secrets;
use brewline_kafka::{
    Config, Producer, ProducerSettings, Reader, Received, Record, TopicPartition, Until,
};
use bytes::Bytes;
use futures_util::future::try_join_all;

use crate::platform::Platform;

/// So many records are published twice at once: the live topics carry them in about a second.
const AT_ONCE: usize = 200;
/// So many of each topic's oldest records are published again.
const LATE_OF_EACH_TOPIC: usize = 150;
/// How long the broker may take for each step.
const WITHIN: Duration = Duration::from_secs(20);

/// Publishes every new record of every topic once more as soon as it appears.
pub(crate) async fn at_once(platform: &Platform) -> anyhow::Result<()> {
    let sent = tokio::time::timeout(WITHIN, echo(platform)).await;
    sent.context("too few records appeared")?
}

async fn echo(platform: &Platform) -> anyhow::Result<()> {
    let operator = sources::kafka(&platform.endpoints()?);
    let there = topics_there(&operator).await?;
    let names: Vec<&str> = there.iter().map(|(topic, _)| *topic).collect();
    let ends = Reader::open(&operator, &names, BTreeMap::new(), Until::End)
        .await?
        .ends()
        .clone();
    let mut live = Reader::open(&operator, &names, ends, Until::Stopped).await?;
    let publishers = publishers(platform).await?;
    // The second copies come by as well.
    let mut seen: HashSet<Bytes> = HashSet::new();
    while seen.len() < AT_ONCE {
        let record = live.next().await.context("the log ends")??;
        if seen.insert(
            record
                .header("ce_id")
                .context("a record without id")?
                .clone(),
        ) {
            publish(&publishers, record).await?;
        }
    }
    Ok(())
}

/// Publishes the oldest records of every topic once more, long after they took effect. The relay of
/// orders has changed hands since: its records carry an epoch that is over.
pub(crate) async fn late(platform: &Platform) -> anyhow::Result<()> {
    let (_, pid) = platform.instance("order", 1)?;
    brewline_chaos::faults::kill(pid)?;
    platform.reborn("order", 1, pid).await?;
    let epoch = platform.relay_epoch("order").await?;
    let publishers = publishers(platform).await?;
    for (topic, _) in topics_there(&sources::kafka(&platform.endpoints()?)).await? {
        let oldest = oldest_by(&publishers, platform, topic).await?;
        ensure!(
            topic != "brewline.order.events.v1" || oldest < epoch,
            "no record carries an older epoch than {epoch}: this proves nothing"
        );
    }
    Ok(())
}

/// Publishes the oldest records of a topic again; yields the lowest epoch among them.
pub(crate) async fn oldest_again(platform: &Platform, topic: &str) -> anyhow::Result<i64> {
    oldest_by(&publishers(platform).await?, platform, topic).await
}

async fn oldest_by(
    publishers: &Publishers,
    platform: &Platform,
    topic: &str,
) -> anyhow::Result<i64> {
    let mut lowest = i64::MAX;
    let mut sent = Vec::new();
    for record in oldest(platform, topic).await? {
        let epoch = record.header("brewline_relay_epoch");
        let epoch = epoch.and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
        lowest = lowest.min(epoch.context("a record without epoch")?);
        sent.push(publish(publishers, record));
    }
    // All are under way before the first answer is waited for.
    try_join_all(sent).await?;
    Ok(lowest)
}

/// The oldest records of a topic, of every partition alike.
async fn oldest(platform: &Platform, topic: &str) -> anyhow::Result<Vec<Received>> {
    let operator = sources::kafka(&platform.endpoints()?);
    let reading = Reader::open(&operator, &[topic], BTreeMap::new(), Until::End).await?;
    let mut all = tokio::time::timeout(WITHIN, reading.collect())
        .await
        .with_context(|| format!("{topic} could not be read"))??;
    all.sort_by_key(|record| (record.offset, record.partition));
    all.truncate(LATE_OF_EACH_TOPIC);
    Ok(all)
}

/// A producer for each topic, as the user who may write it.
async fn publishers(platform: &Platform) -> anyhow::Result<Publishers> {
    let secrets = Secrets::load(&Folder::at(platform.data())?)?;
    let brokers = platform.endpoints()?.kafka.brokers;
    let publisher = |(topic, owner): (&'static str, &str)| {
        let config = Config::plain(&brokers).with_login(owner, secrets.kafka(owner));
        Ok((topic, Producer::new(&config, ProducerSettings::default())?))
    };
    let there = topics_there(&sources::kafka(&platform.endpoints()?)).await?;
    there.into_iter().map(publisher).collect()
}

type Publishers = BTreeMap<&'static str, Producer>;

async fn publish(publishers: &Publishers, received: Received) -> anyhow::Result<()> {
    let place: TopicPartition = received.topic_partition();
    let publisher = publishers
        .get(&*place.topic)
        .context("a topic of nobody's")?;
    let record = Record {
        topic: place.topic.to_string(),
        key: received.key,
        payload: received.payload,
        headers: received.headers,
        partition: Some(place.partition),
        timestamp: None,
    };
    let sent = publisher.send(record)?;
    publisher.hurry();
    let answered = tokio::time::timeout(WITHIN, sent).await;
    answered.with_context(|| format!("{place} does not answer"))??;
    Ok(())
}
