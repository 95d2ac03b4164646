use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::Message as _;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::sync::mpsc;

use crate::admin::{blocking, offsets};
use crate::standstill::{ANSWER_WAIT, Standstill};
use crate::subscription::PATIENCE;
use crate::{Config, Connection, Error, Received, TopicPartition};

/// Records read ahead of whoever asks.
const AHEAD_RECORDS: usize = 1_024;
/// How often the thread looks whether anybody still reads.
const POLL: Duration = Duration::from_millis(200);
/// A reader that reads to the end gives up when nothing comes for this long before it.
const SILENCE: Duration = Duration::from_secs(30);

/// How far to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// To the ends that the partitions have at the beginning.
    End,
    /// For as long as somebody asks.
    Stopped,
}

/// Reads topics without a group: for readiness, `verify` and `events tail`. Records come in order
/// within each partition; partitions are mixed.
pub struct Reader {
    records: mpsc::Receiver<Result<Received, Error>>,
    ends: BTreeMap<TopicPartition, i64>,
}

/// The context of a client that belongs to no group.
pub(crate) struct Metadata(pub(crate) Connection);

// === impl Reader ===

impl Reader {
    /// Begins to read all partitions of `topics`. Partitions missing from `from` begin at their first
    /// record.
    ///
    /// # Errors
    /// When a topic does not exist or the broker does not answer.
    pub async fn open(
        config: &Config,
        topics: &[&str],
        from: BTreeMap<TopicPartition, i64>,
        until: Until,
    ) -> Result<Self, Error> {
        let topics: Vec<String> = topics.iter().map(|topic| (*topic).to_owned()).collect();
        let config = config.clone();
        let (consumer, starts, ends) = blocking(move || prepare(&config, &topics, &from)).await?;
        let (sender, records) = mpsc::channel(AHEAD_RECORDS);
        let work = Work {
            consumer,
            sender,
            left: left(&starts, &ends),
            until,
            starts,
            standstill: Standstill::new(PATIENCE),
        };
        thread::Builder::new()
            .name("kafka-read".to_owned())
            .spawn(move || work.run())
            .map_err(|_| Error::Closed)?;
        Ok(Self { records, ends })
    }

    /// The next record; none at the end.
    pub async fn next(&mut self) -> Option<Result<Received, Error>> {
        self.records.recv().await
    }

    /// Everything up to the end.
    ///
    /// # Errors
    /// At the first record that cannot be read.
    pub async fn collect(mut self) -> Result<Vec<Received>, Error> {
        let mut all = Vec::new();
        while let Some(record) = self.next().await {
            all.push(record?);
        }
        Ok(all)
    }

    /// The end of each partition when reading began.
    #[must_use]
    pub const fn ends(&self) -> &BTreeMap<TopicPartition, i64> {
        &self.ends
    }
}

/// For plain threads; inside an async task use [`Reader::next`].
impl Iterator for Reader {
    type Item = Result<Received, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.records.blocking_recv()
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("ends", &self.ends)
            .finish_non_exhaustive()
    }
}

type Offsets = BTreeMap<TopicPartition, i64>;

fn prepare(
    config: &Config,
    topics: &[String],
    from: &Offsets,
) -> Result<(BaseConsumer<Metadata>, Offsets, Offsets), Error> {
    let mut settings = config.client();
    settings
        // Assigning needs a name, though nothing is ever joined or committed under it.
        .set("group.id", "brewline.reader")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "earliest")
        .set("queued.max.messages.kbytes", "16384")
        .set("fetch.queue.backoff.ms", "10");
    let consumer: BaseConsumer<Metadata> = settings
        .create_with_context(Metadata(Connection::default()))
        .map_err(Error::while_doing("make a reader"))?;
    let names: Vec<&str> = topics.iter().map(String::as_str).collect();
    let ends = offsets(&consumer, &names, Offset::End)?;
    let mut starts = offsets(&consumer, &names, Offset::Beginning)?;
    let mut list = TopicPartitionList::with_capacity(starts.len());
    for (partition, start) in &mut starts {
        *start = (*start).max(from.get(partition).copied().unwrap_or(0));
        let offset = Offset::Offset(*start);
        list.add_partition_offset(&partition.topic, partition.partition, offset)
            .map_err(Error::while_doing("choose where to read"))?;
    }
    consumer
        .assign(&list)
        .map_err(Error::while_doing("begin to read"))?;
    Ok((consumer, starts, ends))
}

/// The partitions that hold anything to read.
fn left(starts: &Offsets, ends: &Offsets) -> Offsets {
    let unread = |(partition, end): (&TopicPartition, &i64)| {
        let start = starts.get(partition).copied().unwrap_or(0);
        (start < *end).then(|| (partition.clone(), *end))
    };
    ends.iter().filter_map(unread).collect()
}

struct Work {
    consumer: BaseConsumer<Metadata>,
    sender: mpsc::Sender<Result<Received, Error>>,
    /// What is still to be read, with its end.
    left: Offsets,
    until: Until,
    /// Where partitions began.
    starts: Offsets,
    standstill: Standstill,
}

// === impl Work ===

impl Work {
    fn run(mut self) {
        let mut topics: BTreeMap<String, Arc<str>> = BTreeMap::new();
        let mut heard = Instant::now();
        while !self.sender.is_closed() && (self.until == Until::Stopped || !self.left.is_empty()) {
            let answer = match self.consumer.poll(POLL) {
                Some(Ok(message)) => {
                    heard = Instant::now();
                    let topic = topics
                        .entry(message.topic().to_owned())
                        .or_insert_with(|| Arc::from(message.topic()));
                    let record = Received::copied(&message, Arc::clone(topic));
                    if !is_wanted(&mut self.left, self.until, &record) {
                        continue;
                    }
                    Ok(record)
                }
                Some(Err(KafkaError::PartitionEOF(_))) | None => {
                    self.drop_finished();
                    let lost = self.has_lost_a_partition();
                    if !lost && (self.until == Until::Stopped || heard.elapsed() < SILENCE) {
                        continue;
                    }
                    Err(Error::Unanswered {
                        doing: "read on",
                        complaint: self.consumer.context().0.last_error(),
                    })
                }
                Some(Err(error)) if is_transient(&error) => continue,
                Some(Err(error)) => Err(Error::while_doing("read")(error)),
            };
            let failed = answer.is_err();
            if self.sender.blocking_send(answer).is_err() || failed {
                return;
            }
        }
    }

    /// Whether a reader opened anew would get further than this one.
    fn has_lost_a_partition(&mut self) -> bool {
        let reading = self.positions();
        let Some(partition) = self.standstill.question(&reading, Instant::now()) else {
            return false;
        };
        let (topic, place) = (&partition.topic, partition.partition);
        self.consumer
            .fetch_watermarks(topic, place, ANSWER_WAIT)
            .is_ok_and(|(_, end)| self.standstill.answered(&partition, end, Instant::now()))
    }

    /// The next offsets of all partitions.
    fn positions(&self) -> Offsets {
        let mut next = self.starts.clone();
        let read = self.consumer.position().unwrap_or_default();
        for element in read.elements() {
            // One of which nothing was read yet has no position.
            if let Offset::Offset(offset) = element.offset() {
                next.insert(
                    TopicPartition::new(element.topic(), element.partition()),
                    offset,
                );
            }
        }
        next
    }

    /// Ends that no record reaches (markers of transactions, compaction) are known by the position
    /// alone.
    fn drop_finished(&mut self) {
        for (partition, next) in self.positions() {
            if self.left.get(&partition).is_some_and(|end| next >= *end) {
                self.left.remove(&partition);
            }
        }
    }
}

/// Whether a record lies before the end; notes when it is the last one.
fn is_wanted(left: &mut Offsets, until: Until, record: &Received) -> bool {
    let partition = record.topic_partition();
    let Some(end) = left.get(&partition).copied() else {
        return until == Until::Stopped;
    };
    if record.offset.saturating_add(1) >= end {
        left.remove(&partition);
    }
    until == Until::Stopped || record.offset < end
}

fn is_transient(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        // A reader needs no group, so it does not matter that this user may not name one.
        Some(
            Code::GroupAuthorizationFailed
                | Code::BrokerTransportFailure
                | Code::AllBrokersDown
                | Code::Resolve
                | Code::OperationTimedOut
        )
    )
}

impl ClientContext for Metadata {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // The client looks for the coordinator of its group all the same; an end of a partition that
        // is met before the first read is told here, too.
        let harmless = [Code::GroupAuthorizationFailed, Code::PartitionEOF];
        if !error
            .rdkafka_error_code()
            .is_some_and(|code| harmless.contains(&code))
        {
            self.0.error(error, reason);
        }
    }
}

impl ConsumerContext for Metadata {}
