use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use brewline_kafka::{Admin, Config, Reader, Received, TopicPartition, Until};
use brewline_kernel::Timestamp;
use uuid::Uuid;

use super::Fact;

/// One record of an event topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// Where it stands in [`topics`].
    pub topic: &'static str,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// When it was appended.
    pub at: Timestamp,
    /// When the event happened.
    pub happened: Timestamp,
    /// The event's id.
    pub id: Uuid,
    /// The event's type, without its package.
    pub kind: String,
    /// The subject.
    pub subject: String,
    /// The subject's version.
    pub version: i64,
    /// The digest of its body.
    pub body: u64,
    /// The relay slot it came through.
    pub slot: i16,
    /// The epoch of the relay that sent it.
    pub epoch: i64,
    /// What it says, where a checker has to know it.
    pub fact: Option<Arc<Fact>>,
}

/// The topic of what consumers gave up of customers' records. Those hold personal data.
const DEAD: &str = "brewline.customer.events.v1.dead-letter";

/// One record of the dead-letter topic of customers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadRecord {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Whether it has a body: one of a compacted topic never does.
    pub has_body: bool,
}

/// A record of an event topic that is no event, as far as anybody can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Where it stands in [`topics`].
    pub topic: &'static str,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// When it was appended.
    pub at: Timestamp,
    /// What it lacks.
    pub why: String,
}

/// What the topics hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Topics {
    /// Every event.
    pub(super) records: Vec<LogRecord>,
    /// What is none.
    pub(super) unreadable: Vec<Unreadable>,
    /// The dead-letter topic of customers.
    pub(super) dead: Vec<DeadRecord>,
}

/// Every topic that holds events, with the service that alone writes it.
#[must_use]
pub const fn topics() -> [(&'static str, &'static str); 7] {
    [
        ("brewline.order.events.v1", "order"),
        ("brewline.customer.events.v1", "order"),
        ("brewline.payment.events.v1", "payment"),
        ("brewline.inventory.events.v1", "inventory"),
        ("brewline.catalogue.events.v1", "inventory"),
        ("brewline.fulfilment.events.v1", "barista"),
        ("brewline.notification.events.v1", "notification"),
    ]
}

/// Those that the log of `config` has: an older stack lacks the younger ones.
///
/// # Errors
/// When the broker does not answer.
pub async fn topics_there(
    config: &Config,
) -> Result<Vec<(&'static str, &'static str)>, brewline_kafka::Error> {
    let there = there(config).await?;
    let known = topics().into_iter();
    Ok(known
        .filter(|(topic, _)| there.contains_key(*topic))
        .collect())
}

async fn there(config: &Config) -> Result<BTreeMap<String, i32>, brewline_kafka::Error> {
    Admin::new(config)?.topics().await
}

/// How long reading the topics may take.
const READ_WITHIN: Duration = Duration::from_secs(300);

/// Every event topic as far as it was read. What is in a log does not change, so a second reading goes
/// on where the first one ended.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    read: Topics,
    // Topics come, and none goes: once all are there nobody has to ask again.
    there: Vec<&'static str>,
    next: BTreeMap<TopicPartition, i64>,
}

// === impl Log ===

impl Log {
    /// Reads on to the ends that the topics have now.
    pub(super) async fn read_on(&mut self, config: &Config) -> Result<&Topics, String> {
        let read = tokio::time::timeout(READ_WITHIN, self.fresh(config)).await;
        let (fresh, ends) =
            read.map_err(|_| format!("the topics could not be read in {READ_WITHIN:?}"))??;
        self.read.records.extend(fresh.records);
        self.read.unreadable.extend(fresh.unreadable);
        self.read.dead.extend(fresh.dead);
        self.next.extend(ends);
        // The reader mixes partitions; an order needs them apart.
        self.read
            .records
            .sort_by_key(|record| (record.topic, record.partition, record.offset));
        Ok(&self.read)
    }

    async fn fresh(&mut self, config: &Config) -> Result<Fresh, String> {
        if self.there.len() <= topics().len() {
            let there = there(config).await.map_err(|error| error.to_string())?;
            let read = topics().into_iter().map(|(topic, _)| topic).chain([DEAD]);
            self.there = read.filter(|topic| there.contains_key(*topic)).collect();
        }
        fresh(config, &self.there, self.next.clone()).await
    }
}

type Fresh = (Topics, BTreeMap<TopicPartition, i64>);

async fn fresh(
    config: &Config,
    topics: &[&str],
    from: BTreeMap<TopicPartition, i64>,
) -> Result<Fresh, String> {
    let mut reader = Reader::open(config, topics, from, Until::End)
        .await
        .map_err(|error| error.to_string())?;
    let mut read = Topics::default();
    while let Some(received) = reader.next().await {
        let received = received.map_err(|error| error.to_string())?;
        read.take(received);
    }
    Ok((read, reader.ends().clone()))
}

// === impl Topics ===

impl Topics {
    fn take(&mut self, received: Received) {
        let of = topics()
            .into_iter()
            .find(|(name, _)| *name == &*received.topic);
        match of.map(|(topic, _)| (topic, decode(topic, &received))) {
            Some((_, Ok(record))) => self.records.push(record),
            // Whoever may write to a topic can write this. It says nothing, and hides nothing.
            Some((topic, Err(why))) => self.unreadable.push(Unreadable {
                topic,
                partition: received.partition,
                offset: received.offset,
                at: received.timestamp,
                why,
            }),
            None if &*received.topic == DEAD => self.dead.push(DeadRecord {
                partition: received.partition,
                offset: received.offset,
                has_body: received.payload.is_some_and(|body| !body.is_empty()),
            }),
            None => {}
        }
    }
}

fn decode(topic: &'static str, received: &Received) -> Result<LogRecord, String> {
    let header = |name: &str| {
        let found = received.headers.iter().find(|(given, _)| given == name);
        let text = found.and_then(|(_, value)| std::str::from_utf8(value).ok());
        text.ok_or_else(|| format!("it has no header {name}"))
    };
    let number = |name: &str| {
        header(name)?
            .parse::<i64>()
            .map_err(|error| format!("header {name}: {error}"))
    };
    let kind = header("ce_type")?;
    let kind = kind.rsplit('.').next().unwrap_or(kind).to_owned();
    let body = received.payload.as_deref().unwrap_or_default();
    let happened: jiff::Timestamp = header("ce_time")?
        .parse()
        .map_err(|error| format!("header ce_time: {error}"))?;
    Ok(LogRecord {
        topic,
        partition: received.partition,
        offset: received.offset,
        at: received.timestamp,
        id: header("ce_id")?
            .parse()
            .map_err(|error| format!("header ce_id: {error}"))?,
        happened: Timestamp::from_micros(happened.as_microsecond()),
        fact: Fact::read(&kind, body).map(Arc::new),
        kind,
        subject: header("ce_subject")?.to_owned(),
        version: number("ce_sequence")?,
        body: super::digest(body),
        slot: i16::try_from(number("brewline_relay_slot")?).unwrap_or(i16::MAX),
        epoch: number("brewline_relay_epoch")?,
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn received(headers: &[(&str, &str)]) -> Received {
        let header = |(name, value): &(&str, &str)| {
            ((*name).to_owned(), Bytes::copy_from_slice(value.as_bytes()))
        };
        Received {
            topic: "brewline.order.events.v1".into(),
            partition: 2,
            offset: 54,
            key: Bytes::from_static(b"odd"),
            payload: Some(Bytes::from_static(b"x")),
            headers: headers.iter().map(header).collect(),
            timestamp: Timestamp::EPOCH,
        }
    }

    #[test]
    fn what_is_no_event_hides_none_of_the_others() {
        let event = [
            ("ce_type", "brewline.order.v1.OrderReady"),
            ("ce_id", "01a1ffb3-67ae-73d1-8fc4-eec6e714deec"),
            ("ce_time", "2026-11-21T20:02:22Z"),
            ("ce_subject", "01a1ffb3-67ae-73d1-8fc4-eec6e714deec"),
            ("ce_sequence", "4"),
            ("brewline_relay_slot", "0"),
            ("brewline_relay_epoch", "1"),
        ];
        let mut read = Topics::default();
        read.take(received(&[]));
        read.take(received(&event));
        read.take(received(&event[..6]));
        let why: Vec<&str> = read.unreadable.iter().map(|it| it.why.as_str()).collect();
        assert_eq!(
            why,
            [
                "it has no header ce_type",
                "it has no header brewline_relay_epoch"
            ]
        );
        assert_eq!(read.records.len(), 1);
    }
}
