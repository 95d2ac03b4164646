use std::collections::BTreeMap;
use std::time::Duration;

use brewline_kafka::{Config, Reader, Received, Until};
use brewline_kernel::Timestamp;
use uuid::Uuid;

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
}

/// Every topic that holds events, with the service that alone writes it.
#[must_use]
pub const fn topics() -> [(&'static str, &'static str); 5] {
    [
        ("brewline.order.events.v1", "order"),
        ("brewline.customer.events.v1", "order"),
        ("brewline.payment.events.v1", "payment"),
        ("brewline.inventory.events.v1", "inventory"),
        ("brewline.catalogue.events.v1", "inventory"),
    ]
}

/// How long reading one topic may take.
const READ_WITHIN: Duration = Duration::from_secs(120);

/// Reads every event topic from its first offset to the end it has now.
pub(super) async fn read(config: &Config) -> Result<Vec<LogRecord>, String> {
    let mut log = Vec::new();
    for (topic, _) in topics() {
        let read = tokio::time::timeout(READ_WITHIN, read_topic(config, topic)).await;
        let records = read.map_err(|_| format!("{topic} could not be read in {READ_WITHIN:?}"))?;
        log.extend(records.map_err(|error| format!("{topic}: {error}"))?);
    }
    Ok(log)
}

async fn read_topic(config: &Config, topic: &'static str) -> Result<Vec<LogRecord>, String> {
    let from = BTreeMap::new();
    let mut reader = Reader::open(config, &[topic], from, Until::End)
        .await
        .map_err(|error| error.to_string())?;
    let mut records = Vec::new();
    while let Some(received) = reader.next().await {
        let received = received.map_err(|error| error.to_string())?;
        records.push(decode(topic, &received)?);
    }
    // The reader mixes partitions; an order needs them apart.
    records.sort_by_key(|record| (record.partition, record.offset));
    Ok(records)
}

fn decode(topic: &'static str, received: &Received) -> Result<LogRecord, String> {
    let header = |name: &str| {
        let found = received.headers.iter().find(|(given, _)| given == name);
        let text = found.and_then(|(_, value)| std::str::from_utf8(value).ok());
        let (partition, offset) = (received.partition, received.offset);
        text.ok_or_else(|| format!("record {partition}/{offset} has no header {name}"))
    };
    let number = |name: &str| {
        header(name)?
            .parse::<i64>()
            .map_err(|error| format!("header {name}: {error}"))
    };
    let kind = header("ce_type")?;
    Ok(LogRecord {
        topic,
        partition: received.partition,
        offset: received.offset,
        at: received.timestamp,
        id: header("ce_id")?
            .parse()
            .map_err(|error| format!("header ce_id: {error}"))?,
        kind: kind.rsplit('.').next().unwrap_or(kind).to_owned(),
        subject: header("ce_subject")?.to_owned(),
        version: number("ce_sequence")?,
        body: super::digest(received.payload.as_deref().unwrap_or_default()),
        slot: i16::try_from(number("brewline_relay_slot")?).unwrap_or(i16::MAX),
        epoch: number("brewline_relay_epoch")?,
    })
}
