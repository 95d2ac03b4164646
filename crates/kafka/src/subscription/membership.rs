//! What happens to partitions: the callbacks of the client, which run on the polling thread, inside
//! its polls.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;
use tokio::sync::{mpsc, oneshot};

use super::shared::Shared;
use super::{Input, wait};
use crate::{Connection, Error, TopicPartition};

/// What the client calls back, and what outlives the client: one may be replaced by another.
pub(super) struct Membership {
    pub(super) connection: Connection,
    pub(super) shared: Arc<Shared>,
    pub(super) inputs: mpsc::Sender<Input>,
    /// Counts callbacks: a poll that ran one returns nothing, as an empty queue does.
    pub(super) events: AtomicU64,
    drain: Duration,
    state: Mutex<State>,
}

/// Only the polling thread takes this lock; it exists because callbacks get a shared reference.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) partitions: BTreeMap<TopicPartition, Progress>,
    /// What did not fit into the channel yet, oldest first.
    pub(super) waiting: VecDeque<Input>,
}

/// Where a partition of ours stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Progress {
    /// The next offset to hand over; none until the application said where to begin. What comes
    /// below it is a leftover of an earlier beginning.
    pub(super) next: Option<i64>,
    /// Whether the client has been told to pause.
    pub(super) paused: bool,
}

// === impl State ===

impl State {
    /// The next offsets of the partitions that are being read.
    pub(super) fn reading(&self) -> BTreeMap<TopicPartition, i64> {
        self.partitions
            .iter()
            .filter(|(_, progress)| !progress.paused)
            .filter_map(|(partition, progress)| Some((partition.clone(), progress.next?)))
            .collect()
    }
}

// === impl Membership ===

impl Membership {
    pub(super) fn new(
        connection: Connection,
        shared: Arc<Shared>,
        inputs: mpsc::Sender<Input>,
        drain: Duration,
    ) -> Self {
        Self {
            connection,
            shared,
            inputs,
            events: AtomicU64::new(0),
            drain,
            state: Mutex::default(),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the broker the offsets that the application noted for `of`, or for all partitions.
    pub(super) fn commit_noted(&self, consumer: &BaseConsumer<Callbacks>) {
        let noted = self
            .shared
            .note(|wishes| std::mem::take(&mut wishes.commits));
        let mut list = TopicPartitionList::with_capacity(noted.len());
        let state = self.state();
        for (partition, next) in noted
            .iter()
            .filter(|(own, _)| state.partitions.contains_key(own))
        {
            let offset = Offset::Offset(*next);
            drop(list.add_partition_offset(&partition.topic, partition.partition, offset));
        }
        drop(state);
        if list.count() > 0
            && let Err(error) = consumer.commit(&list, CommitMode::Async)
        {
            tracing::debug!(%error, "the offsets for tools were not committed");
        }
    }

    fn gained(&self, consumer: &BaseConsumer<Callbacks>, list: &TopicPartitionList) {
        if list.count() == 0 {
            return;
        }
        // Silent until the application has looked up its own position. The client keeps the pause
        // only as long as the partition is ours, and it is new here.
        if let Err(error) = consumer.pause(list) {
            tracing::warn!(%error, "a new partition could not be paused");
        }
        let partitions = names(list);
        let fresh = Progress {
            next: None,
            paused: true,
        };
        // A wish for an earlier tenancy must not start this one.
        self.shared.note(|wishes| {
            for partition in &partitions {
                wishes.starts.remove(partition);
                wishes.paused.remove(partition);
            }
        });
        let mut state = self.state();
        state.partitions.extend(
            partitions
                .iter()
                .map(|partition| (partition.clone(), fresh)),
        );
        state.waiting.push_back(Input::Assigned(partitions));
    }

    fn revoked(&self, consumer: &BaseConsumer<Callbacks>, list: &TopicPartitionList) {
        if list.count() == 0 {
            return;
        }
        let partitions = names(list);
        self.forget(&partitions);
        if consumer.assignment_lost() {
            self.state()
                .waiting
                .push_back(Input::Lost(partitions.clone()));
        } else if !self.shared.stopping() {
            self.wait_until_drained(partitions.clone());
            self.commit_noted(consumer);
        }
        let mut state = self.state();
        for partition in &partitions {
            state.partitions.remove(partition);
        }
    }

    /// A partition began where the application wanted it to: what waits from before is dropped.
    pub(super) fn begin(&self, partition: &TopicPartition, offset: i64) {
        self.forget(std::slice::from_ref(partition));
        if let Some(progress) = self.state().partitions.get_mut(partition) {
            progress.next = Some(offset);
        }
    }

    /// Stops handing over records of these partitions; what waits for room in the channel is dropped,
    /// since nobody has seen it.
    fn forget(&self, partitions: &[TopicPartition]) {
        let mut state = self.state();
        for input in &mut state.waiting {
            if let Input::Records(records) = input {
                records.retain(|record| !partitions.contains(&record.topic_partition()));
            }
        }
        for partition in partitions {
            if let Some(progress) = state.partitions.get_mut(partition) {
                progress.next = None;
            }
        }
    }

    /// Blocks the polling thread, and with it the hand-over, within bounds. Heartbeats go on: the
    /// client sends them from a thread of its own.
    fn wait_until_drained(&self, partitions: Vec<TopicPartition>) {
        let deadline = Instant::now() + self.drain;
        let (drained, answer) = oneshot::channel();
        self.state().waiting.push_back(Input::Revoking {
            partitions,
            drained,
        });
        let stopping = || self.shared.stopping();
        loop {
            let Some(input) = self.state().waiting.pop_front() else {
                break;
            };
            match wait::until(deadline, stopping, self.inputs.reserve()) {
                Some(Ok(room)) => room.send(input),
                // Nobody listens any more, or nobody made room in time.
                Some(Err(_)) | None => return,
            }
        }
        // An error means that the sender was dropped: whoever had it is done too.
        if wait::until(deadline, stopping, answer).is_none() && !stopping() {
            tracing::warn!(
                drain_ms = self.drain.as_millis(),
                "revoked partitions were not drained in time"
            );
        }
    }
}

/// The membership as one client sees it.
pub(super) struct Callbacks {
    member: Arc<Membership>,
    /// The client was abandoned: the membership is another's, and this one's calls mean nothing to it.
    is_muted: AtomicBool,
}

// === impl Callbacks ===

impl Callbacks {
    pub(super) const fn new(member: Arc<Membership>) -> Self {
        Self {
            member,
            is_muted: AtomicBool::new(false),
        }
    }

    pub(super) const fn member(&self) -> &Arc<Membership> {
        &self.member
    }

    pub(super) fn mute(&self) {
        self.is_muted.store(true, Ordering::Relaxed);
    }

    fn called(&self) -> Option<&Membership> {
        if self.is_muted.load(Ordering::Relaxed) {
            return None;
        }
        self.member.events.fetch_add(1, Ordering::Relaxed);
        Some(&self.member)
    }
}

impl ClientContext for Callbacks {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if let Some(member) = self.called() {
            member.connection.log(level, facility, message);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if let Some(member) = self.called() {
            member.connection.error(error, reason);
        }
    }
}

impl ConsumerContext for Callbacks {
    /// Replaces the wrapper's own: an assignment begins at an explicit offset, which spares the client
    /// the question for the group's offsets, whose answer could come after the application's.
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        event: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        let Some(member) = self.called() else {
            // It had no partitions when it was abandoned, and takes none now.
            drop(consumer.incremental_unassign(list));
            return;
        };
        let done = if event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            member.connection.works();
            let assigned = list
                .set_all_offsets(Offset::Offset(0))
                .and_then(|()| consumer.incremental_assign(list));
            member.gained(consumer, list);
            assigned
        } else {
            member.revoked(consumer, list);
            consumer.incremental_unassign(list)
        };
        if let Err(error) = done {
            let failed = Error::while_doing("rebalance")(error);
            member.state().waiting.push_back(Input::Failed(failed));
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        self.called();
        if let Err(error) = result {
            tracing::debug!(%error, "the offsets for tools were not committed");
        }
    }
}

pub(super) fn names(list: &TopicPartitionList) -> Vec<TopicPartition> {
    list.elements()
        .iter()
        .map(|element| TopicPartition::new(element.topic(), element.partition()))
        .collect()
}
