//! The log: topics, partitions, offsets. Appends are durable; what can fail is the way to it and back.

use std::collections::BTreeMap;
use std::sync::Arc;

use brewline_kernel::{Envelope, Timestamp};
use brewline_messaging::{Delivery, TopicPartition};

/// Partitions of each topic: few, so that orders meet in one.
pub const PARTITIONS: i32 = 3;

/// Who writes which topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// Takes orders and checks them out.
    Order,
    /// Holds stock.
    Inventory,
    /// Moves money.
    Payment,
}

/// An event on its way through an outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Who writes it.
    pub service: Service,
    /// Its place in the outbox.
    pub position: i64,
    /// What is said about it.
    pub envelope: Envelope,
    /// Its body.
    pub body: String,
}

/// A record of the log.
#[derive(Clone, Debug)]
pub struct Record {
    /// The event.
    pub delivery: Delivery,
    /// The epoch of the relay that sent it.
    pub epoch: i64,
    /// When it was appended.
    pub at: Timestamp,
}

/// Every topic.
#[derive(Debug)]
pub struct Log {
    topics: BTreeMap<Service, Arc<str>>,
    partitions: BTreeMap<(Service, i32), Vec<Record>>,
    /// Until when nobody reaches it.
    pub down_until: i64,
}

// === impl Service ===

impl Service {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Order, Self::Inventory, Self::Payment];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Inventory => "inventory",
            Self::Payment => "payment",
        }
    }

    /// The topic it writes.
    #[must_use]
    pub const fn topic(self) -> &'static str {
        match self {
            Self::Order => "brewline.order.events.v1",
            Self::Inventory => "brewline.inventory.events.v1",
            Self::Payment => "brewline.payment.events.v1",
        }
    }

    /// What it consumes, and under which name.
    #[must_use]
    pub const fn consumes(self) -> Option<(Self, &'static str)> {
        match self {
            Self::Order => Some((Self::Inventory, "brewline.order.stock")),
            Self::Inventory => Some((Self::Order, "brewline.inventory.orders")),
            Self::Payment => None,
        }
    }
}

// === impl Log ===

impl Log {
    /// Empty topics.
    #[must_use]
    pub fn new() -> Self {
        let topics = Service::ALL.map(|service| (service, Arc::from(service.topic())));
        Self {
            topics: topics.into(),
            partitions: BTreeMap::new(),
            down_until: 0,
        }
    }

    /// Names a partition of `service`'s topic.
    #[must_use]
    pub fn place(&self, service: Service, partition: i32) -> TopicPartition {
        let topic = self
            .topics
            .get(&service)
            .map_or_else(|| Arc::from(""), Arc::clone);
        TopicPartition::new(topic, partition)
    }

    /// The partition of a subject.
    #[must_use]
    pub fn partition_of(subject: &str) -> i32 {
        let hash = key_of(subject) >> 32;
        i32::try_from(hash % 3).unwrap_or(0) % PARTITIONS
    }

    /// Appends an event; yields its partition and offset.
    pub fn append(&mut self, event: &Outgoing, epoch: i64, at: Timestamp) -> (i32, i64) {
        let partition = Self::partition_of(&event.envelope.subject);
        let topic = self.place(event.service, partition).topic;
        let records = self
            .partitions
            .entry((event.service, partition))
            .or_default();
        let offset = i64::try_from(records.len()).unwrap_or(i64::MAX);
        let delivery = Delivery {
            topic,
            partition,
            offset,
            envelope: event.envelope.clone(),
            payload: event.body.clone().into_bytes().into(),
        };
        records.push(Record {
            delivery,
            epoch,
            at,
        });
        (partition, offset)
    }

    /// At most `limit` records of a partition from `offset` on.
    pub fn fetch(
        &self,
        (service, partition): (Service, i32),
        offset: i64,
        limit: usize,
    ) -> impl Iterator<Item = &Record> {
        let from = usize::try_from(offset).unwrap_or(0);
        let records = self.partitions.get(&(service, partition));
        let records = records.map_or(&[][..], Vec::as_slice);
        records.iter().skip(from).take(limit)
    }

    /// Where a partition ends.
    #[must_use]
    pub fn end(&self, service: Service, partition: i32) -> i64 {
        let records = self.partitions.get(&(service, partition));
        records.map_or(0, |records| {
            i64::try_from(records.len()).unwrap_or(i64::MAX)
        })
    }

    /// Every record, topic by topic, partition by partition.
    pub fn records(&self) -> impl Iterator<Item = (Service, &Record)> {
        let all = self.partitions.iter();
        all.flat_map(|((service, _), records)| records.iter().map(|record| (*service, record)))
    }
}

impl Default for Log {
    fn default() -> Self {
        Self::new()
    }
}

/// Names a subject for whoever has to keep its records in order.
#[must_use]
pub fn key_of(subject: &str) -> u64 {
    subject
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
}
