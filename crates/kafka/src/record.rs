use std::fmt;
use std::sync::Arc;

use brewline_kernel::Timestamp;
use bytes::Bytes;
use rdkafka::Message as _;
use rdkafka::message::{BorrowedMessage, Headers as _};

/// One partition of one topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition, from 0.
    pub partition: i32,
}

/// A record to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where to.
    pub topic: String,
    /// What decides the partition, unless that is given.
    pub key: Bytes,
    /// The body; none is a tombstone.
    pub payload: Option<Bytes>,
    /// Headers, in order.
    pub headers: Vec<(String, Bytes)>,
    /// The partition, when the key shall not decide.
    pub partition: Option<i32>,
    /// The record's time; the moment of sending when none is given.
    pub timestamp: Option<Timestamp>,
}

/// A record as it came from the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The topic it was in.
    pub topic: Arc<str>,
    /// The partition it was in.
    pub partition: i32,
    /// Its place there.
    pub offset: i64,
    /// The time it carries (Kafka keeps milliseconds); the epoch when it carries none.
    pub timestamp: Timestamp,
    /// Its key; empty when it has none.
    pub key: Bytes,
    /// Its body; none is a tombstone.
    pub payload: Option<Bytes>,
    /// Its headers, in order.
    pub headers: Vec<(String, Bytes)>,
}

// === impl TopicPartition ===

impl TopicPartition {
    /// Names a partition.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self {
            topic: topic.into(),
            partition,
        }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

// === impl Received ===

impl Received {
    /// The first header of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&Bytes> {
        self.headers
            .iter()
            .find(|(given, _)| given == name)
            .map(|(_, value)| value)
    }

    /// The partition it was in.
    #[must_use]
    pub fn topic_partition(&self) -> TopicPartition {
        TopicPartition::new(Arc::clone(&self.topic), self.partition)
    }

    /// How many bytes it holds, roughly, for limits on queues.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let headers: usize = self
            .headers
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        headers + self.key.len() + self.payload.as_ref().map_or(0, Bytes::len)
    }

    /// Copies a record out of the client's memory.
    pub(crate) fn copied(message: &BorrowedMessage<'_>, topic: Arc<str>) -> Self {
        let copy = |bytes: Option<&[u8]>| bytes.map(Bytes::copy_from_slice);
        let headers = message.headers().map_or_else(Vec::new, |headers| {
            headers
                .iter()
                .map(|header| {
                    (
                        header.key.to_owned(),
                        copy(header.value).unwrap_or_default(),
                    )
                })
                .collect()
        });
        Self {
            topic,
            partition: message.partition(),
            offset: message.offset(),
            timestamp: Timestamp::from_millis(message.timestamp().to_millis().unwrap_or(0)),
            key: copy(message.key()).unwrap_or_default(),
            payload: copy(message.payload()),
            headers,
        }
    }
}
