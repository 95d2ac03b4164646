//! The polling thread.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::Message as _;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::sync::mpsc::error::TrySendError;

use super::client::Client;
use super::membership::{Membership, names};
use super::{Input, Limits, wait};
use crate::standstill::{ANSWER_WAIT, CutOff, Standstill};
use crate::{Error, Received, TopicPartition, native};

/// Wake-ups come by themselves; this only bounds the damage of one that does not.
const PARK: Duration = Duration::from_millis(100);
/// A beginning that the client refused (it was still setting the partition up) is tried again.
const RETRY: Duration = Duration::from_millis(5);
/// A queue full for this long pauses its partitions: below it, not asking for records is cheaper,
/// since a pause throws away what was fetched ahead.
const FULL: Duration = Duration::from_millis(100);
/// How often offsets are told to the broker and ends are noted.
const HOUSEKEEPING: Duration = Duration::from_secs(1);
/// The longest the thread asks whether a broker is there, once a second: in trouble, or without partitions.
const PROBE_WAIT: Duration = Duration::from_millis(200);
/// A seek only changes the client's own state.
const SEEK_WAIT: Duration = Duration::from_secs(1);

pub(super) struct Poller {
    client: Client,
    member: Arc<Membership>,
    limits: Limits,
    standstill: Standstill,
    cut_off: CutOff,
    /// The ends of silent partitions, as they were answered: later than what their last fetch said.
    asked_ends: BTreeMap<TopicPartition, i64>,
    full_since: Option<Instant>,
    paused_full: bool,
    retry: bool,
    kept_house: Instant,
}

// === impl Poller ===

impl Poller {
    pub(super) fn new(client: Client, limits: Limits) -> Self {
        Self {
            member: Arc::clone(client.member()),
            client,
            limits,
            standstill: Standstill::new(limits.patience),
            cut_off: CutOff::default(),
            asked_ends: BTreeMap::new(),
            full_since: None,
            paused_full: false,
            retry: false,
            kept_house: Instant::now(),
        }
    }

    /// Polls until it is told to stop, then leaves the group.
    pub(super) fn run(mut self) {
        self.member.shared.run_by(thread::current());
        while !self.member.shared.stopping() {
            self.member.shared.polled();
            let busy = self.turn();
            if self.member.inputs.is_closed() {
                // Nobody listens: leave, so that others take over.
                self.member.shared.stop();
            } else if !busy {
                thread::park_timeout(if self.retry { RETRY } else { PARK });
            }
        }
        self.member.commit_noted(self.client.consumer());
        // Dropping the consumer leaves the group, revocation callbacks included.
    }

    /// One round; whether there may be more to do at once.
    fn turn(&mut self) -> bool {
        if self.member.shared.take_changed() || self.retry {
            self.begin_wished();
        }
        if self.kept_house.elapsed() >= HOUSEKEEPING {
            self.keep_house();
        }
        let room = self.hand_over() || self.wait_for_room();
        self.note_room(room);
        self.apply_pauses();
        // While there is no room the wait for it takes the place of parking. Paused partitions give no
        // records, but the client is polled all the same: it may want to call back.
        let mut more = !room;
        if room || self.paused_full {
            more |= self.take_batch();
            self.hand_over();
        }
        more
    }

    /// Moves what waits into the channel; whether all of it found room.
    fn hand_over(&self) -> bool {
        let mut state = self.member.state();
        while !state.waiting.is_empty() {
            match self.member.inputs.try_reserve() {
                Ok(room) => {
                    if let Some(input) = state.waiting.pop_front() {
                        room.send(input);
                    }
                }
                Err(TrySendError::Full(())) => return false,
                Err(TrySendError::Closed(())) => {
                    state.waiting.clear();
                }
            }
        }
        true
    }

    /// Waits for room for the oldest input, for a moment: the client must be polled on time.
    fn wait_for_room(&self) -> bool {
        let shared = &self.member.shared;
        let deadline = Instant::now() + if self.paused_full { PARK } else { FULL };
        let interrupted = || shared.stopping() || shared.has_changed();
        match wait::until(deadline, interrupted, self.member.inputs.reserve()) {
            Some(Ok(room)) => {
                if let Some(input) = self.member.state().waiting.pop_front() {
                    room.send(input);
                }
                self.hand_over()
            }
            Some(Err(_)) | None => false,
        }
    }

    /// Remembers for how long the queue has been full, and decides on the pause.
    fn note_room(&mut self, room: bool) {
        if room {
            self.full_since = None;
            self.paused_full = false;
        } else {
            let since = *self.full_since.get_or_insert_with(Instant::now);
            self.paused_full = since.elapsed() >= FULL;
        }
    }

    /// Takes what the client has, up to the limits of one batch; whether there may be more.
    fn take_batch(&self) -> bool {
        let mut records = Vec::new();
        let mut bytes = 0;
        let more = loop {
            if records.len() >= self.limits.batch_records_max
                || bytes >= self.limits.batch_bytes_max
            {
                break true;
            }
            let events = self.member.events.load(Ordering::Relaxed);
            match self.client.consumer().poll(Duration::ZERO) {
                Some(Ok(message)) => {
                    if let Some(record) = self.received(&message) {
                        bytes += record.bytes();
                        records.push(record);
                    }
                }
                Some(Err(error)) => self.trouble(error),
                // A callback ran instead: records may lie behind it, and nobody wakes us for them.
                None if self.member.events.load(Ordering::Relaxed) != events => {
                    if self.member.shared.stopping() || !self.member.state().waiting.is_empty() {
                        break true;
                    }
                }
                None => break false,
            }
        };
        if !records.is_empty() {
            self.member.connection.works();
            self.member
                .state()
                .waiting
                .push_back(Input::Records(records));
        }
        more
    }

    /// Copies a record, unless it is a leftover from before a partition was revoked or began anew.
    fn received(&self, message: &BorrowedMessage<'_>) -> Option<Received> {
        let topic = self.topic(message.topic());
        let partition = TopicPartition::new(Arc::clone(&topic), message.partition());
        let mut state = self.member.state();
        let progress = state.partitions.get_mut(&partition)?;
        let next = progress.next?;
        if message.offset() < next {
            return None;
        }
        progress.next = Some(message.offset().saturating_add(1));
        drop(state);
        Some(Received::copied(message, topic))
    }

    /// One shared name per topic instead of one per record.
    fn topic(&self, name: &str) -> Arc<str> {
        let topics = &mut self.client.topics().iter();
        let known = topics.find(|topic| topic.as_ref() == name);
        known.map_or_else(|| Arc::from(name), Arc::clone)
    }

    fn trouble(&self, error: KafkaError) {
        let transient = matches!(
            error.rdkafka_error_code(),
            Some(
                Code::BrokerTransportFailure
                    | Code::AllBrokersDown
                    | Code::Resolve
                    | Code::OperationTimedOut
            )
        );
        // The client mends these by itself, and its connection already tells of them.
        if transient {
            return;
        }
        self.failed(Error::while_doing("consume")(error));
    }

    fn failed(&self, failed: Error) {
        if failed.is_fatal() {
            tracing::error!(error = %failed, "the consumer cannot go on");
        }
        let mut state = self.member.state();
        if !matches!(state.waiting.back(), Some(Input::Failed(_))) {
            state.waiting.push_back(Input::Failed(failed));
        }
    }

    /// Moves partitions to where the application wants them to begin.
    fn begin_wished(&mut self) {
        let starts = self
            .member
            .shared
            .note(|wishes| std::mem::take(&mut wishes.starts));
        self.retry = false;
        for (partition, offset) in starts {
            if !self.member.state().partitions.contains_key(&partition) {
                continue;
            }
            match self.seek(&partition, offset) {
                Ok(()) => self.member.begin(&partition, offset),
                Err(error) => {
                    // Just assigned, the client may still be setting the partition up.
                    tracing::trace!(%error, %partition, "the beginning was refused for now");
                    self.retry = true;
                    self.member.shared.note(|wishes| {
                        // A later wish wins.
                        wishes.starts.entry(partition).or_insert(offset);
                    });
                }
            }
        }
    }

    fn seek(&self, partition: &TopicPartition, offset: i64) -> KafkaResult<()> {
        let mut list = TopicPartitionList::with_capacity(1);
        let (topic, place) = (&partition.topic, partition.partition);
        list.add_partition_offset(topic, place, Offset::Offset(offset))?;
        let answers = self.client.consumer().seek_partitions(list, SEEK_WAIT)?;
        answers
            .elements()
            .iter()
            .try_for_each(|element| element.error())
    }

    /// Makes the client pause what shall be silent, and nothing else.
    fn apply_pauses(&self) {
        let wished = self.member.shared.note(|wishes| wishes.paused.clone());
        let (mut pause, mut resume) = (TopicPartitionList::new(), TopicPartitionList::new());
        let mut state = self.member.state();
        for (partition, progress) in &mut state.partitions {
            let silent = progress.next.is_none() || self.paused_full || wished.contains(partition);
            if silent != progress.paused {
                progress.paused = silent;
                let list = if silent { &mut pause } else { &mut resume };
                list.add_partition(&partition.topic, partition.partition);
            }
        }
        drop(state);
        let paused = if pause.count() > 0 {
            self.client.consumer().pause(&pause)
        } else {
            Ok(())
        };
        let resumed = if resume.count() > 0 {
            self.client.consumer().resume(&resume)
        } else {
            Ok(())
        };
        if let Err(error) = paused.and(resumed) {
            let (pause, resume) = (names(&pause), names(&resume));
            tracing::warn!(%error, ?pause, ?resume, "partitions could not be paused or resumed");
        }
    }

    fn keep_house(&mut self) {
        self.kept_house = Instant::now();
        self.member.commit_noted(self.client.consumer());
        self.look_for_brokers();
        self.look_for_standstill();
        self.note_ends();
    }

    /// An idle consumer would not notice that its broker is back, nor one without partitions that its client
    /// has lost every broker.
    fn look_for_brokers(&mut self) {
        let complains = !self.member.connection.is_sound();
        let is_idle = self.member.state().partitions.is_empty();
        if !complains && !is_idle {
            return self.cut_off.reached();
        }
        if self.reaches_a_broker() {
            self.member.connection.works();
            self.cut_off.reached();
        } else if is_idle
            && self
                .cut_off
                .unreached(complains, self.limits.patience, Instant::now())
        {
            tracing::warn!("the Kafka client finds no broker; it is replaced");
            if let Err(error) = self.client.abandon() {
                self.failed(error);
            }
        }
    }

    fn reaches_a_broker(&self) -> bool {
        let topics = self.client.topics();
        let consumer = self.client.consumer();
        let asked = topics
            .first()
            .map(|topic| consumer.fetch_metadata(Some(topic), PROBE_WAIT));
        asked.is_some_and(|answer| answer.is_ok())
    }

    fn note_ends(&self) {
        let partitions: Vec<_> = self.member.state().partitions.keys().cloned().collect();
        let client = self.client.consumer().client();
        let ends = partitions.into_iter().filter_map(|own| {
            let fetched = native::cached_end(client, &own.topic, own.partition);
            let end = fetched.max(self.asked_ends.get(&own).copied())?;
            Some((own, end))
        });
        let ends = ends.collect();
        self.member.shared.note(|wishes| wishes.ends = ends);
    }

    /// Asks where a partition ends that has been silent, and replaces a client that has lost one.
    fn look_for_standstill(&mut self) {
        // A client that knows of its trouble gets over it by itself, and would only be held up.
        if !self.member.connection.is_sound() {
            return;
        }
        let reading = self.member.state().reading();
        let Some(partition) = self.standstill.question(&reading, Instant::now()) else {
            return;
        };
        let (topic, place) = (&partition.topic, partition.partition);
        // Asked again in a second, if it did not answer.
        let asked = self
            .client
            .consumer()
            .fetch_watermarks(topic, place, ANSWER_WAIT);
        let Ok((_, end)) = asked else {
            return;
        };
        self.asked_ends.insert(partition.clone(), end);
        if self.standstill.answered(&partition, end, Instant::now()) {
            let next = reading.get(&partition);
            tracing::warn!(%partition, next, end, "the Kafka client lost a partition; it is replaced");
            if let Err(error) = self.client.replace() {
                self.failed(error);
            }
        }
    }
}
