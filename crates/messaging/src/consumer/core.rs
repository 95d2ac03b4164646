//! What a consumer decides: what to put into the next transaction, and what to do when that
//! transaction is refused, cannot be reached, or meets a record it chokes on. No I/O, no clock: time
//! comes in as the time since the consumer started. The driver does what it is told.
//!
//! * A partition's position lives in the database. Owning it means holding the row's *epoch*; whoever
//!   claims the partition next raises it, and the old owner's transaction then updates no row.
//! * Records are handed out as a [`Batch`] and come back when it was not committed, so they are always
//!   in one place: here, or in the one batch in hand.
//! * **Halving.** A batch that fails by its own fault is put back and half as much is taken, until one
//!   record stands alone. Success doubles the size again.
//! * **Counting.** A record that stands alone under doubt is counted *before* it is handled, so that a
//!   crash counts too. Doubt also holds at the start: a record that kills the process comes closer to
//!   the front with each life, until it is alone.
//! * **Outages** are waited for with backoff. They are nobody's fault, and nothing is counted.

mod batch;
mod partition;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use brewline_failpoint::planted;
use brewline_kafka::TopicPartition;
use brewline_kernel::Backoff;

pub use batch::{Batch, Chance, Doubt, Item, Move, Task};
use partition::{Partition, State};

/// A consumer's bounds.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Records in a batch.
    pub batch_records_max: usize,
    /// Bytes in a batch; a single larger record is a batch of its own.
    pub batch_bytes_max: usize,
    /// How often a record that stands alone is tried.
    pub attempts_max: i32,
    /// How often the process may die with a record alone in hand.
    pub deaths_max: i32,
    /// How long a partition that was refused is left alone before it is claimed again: time for the
    /// group to tell whether it is still ours.
    pub claim_again_after: Duration,
    /// How long a partition that parked too much is left alone.
    pub paused_for: Duration,
    /// Waits between tries during an outage.
    pub backoff: Backoff,
}

/// A consumer's partitions and what was fetched of them.
#[derive(Debug)]
pub struct Core<R> {
    limits: Limits,
    partitions: BTreeMap<TopicPartition, Partition<R>>,
    // Batches hold at most so many records now; below the limit, there is doubt.
    size: usize,
    counted: Option<(TopicPartition, i64)>,
    // The partition that came first in the last batch: the next batch begins behind it.
    turn: Option<TopicPartition>,
    outages: u32,
    quiet_until: Duration,
}

// === impl Core ===

impl<R> Core<R> {
    /// A consumer without partitions.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            partitions: BTreeMap::new(),
            size: 1,
            counted: None,
            turn: None,
            outages: 0,
            quiet_until: Duration::ZERO,
        }
    }

    /// A partition was given to us: it is to be claimed before anything of it is applied.
    pub fn assigned(&mut self, place: TopicPartition) {
        let partition = Partition {
            epoch: 0,
            position: 0,
            fetched: 0,
            queue: VecDeque::new(),
            state: State::Refused {
                until: Duration::ZERO,
            },
        };
        self.partitions.insert(place, partition);
    }

    /// A partition was claimed. Of one that is still assigned, what was fetched stays: positions
    /// never go back, so it is fetched from there already.
    pub fn claimed(&mut self, place: TopicPartition, epoch: i64, position: i64) {
        let partition = self.partitions.entry(place).or_insert_with(|| Partition {
            epoch,
            position,
            fetched: position,
            queue: VecDeque::new(),
            state: State::Flowing,
        });
        partition.epoch = epoch;
        partition.state = State::Flowing;
        partition.skip_to(position);
    }

    /// A record has come. One that is not asked for (no longer owned, or handled already) is dropped.
    pub fn fetched(&mut self, place: &TopicPartition, item: Item<R>) {
        let Some(partition) = self.partitions.get_mut(place) else {
            return;
        };
        // Offsets may have holes (compaction), but never come again within one assignment, except
        // that the client can hand over a record twice.
        if item.offset >= partition.fetched {
            partition.fetched = item.offset.saturating_add(1);
            partition.queue.push_back(item);
        }
    }

    /// Partitions are no longer ours. Nothing of them is in hand: a batch is finished first.
    pub fn released(&mut self, places: &[TopicPartition]) {
        for place in places {
            self.partitions.remove(place);
        }
    }

    /// What to do now.
    pub fn next(&mut self, now: Duration) -> Task<R> {
        let claims = self.due_claims(now);
        if now < self.quiet_until {
            return Task::Wait(Some(self.quiet_until));
        }
        if !claims.is_empty() {
            return Task::Claim(claims);
        }
        match self.take() {
            Some(batch) => Task::Apply(batch),
            None => Task::Wait(self.next_change()),
        }
    }

    /// The batch's transaction is committed (or its one record became a dead letter).
    pub fn committed(&mut self, batch: &Batch<R>) {
        self.outages = 0;
        self.counted = None;
        self.size = self
            .size
            .saturating_mul(2)
            .min(self.limits.batch_records_max);
        self.turn = batch.moves.first().map(|first| first.place.clone());
        for step in &batch.moves {
            if let Some(partition) = self.partitions.get_mut(&step.place) {
                partition.skip_to(step.next);
            }
        }
    }

    /// The lone record was counted; an outage will not count it again.
    pub fn counted(&mut self, batch: &Batch<R>) {
        self.counted = batch.lone();
    }

    /// The batch failed by its own fault: half as much next time.
    pub fn poisoned(&mut self, batch: Batch<R>) {
        self.outages = 0;
        self.counted = None;
        self.size = (batch.items.len() / 2).max(1);
        self.put_back(batch);
    }

    /// The database or the broker could not be reached: the same again later. `random` is drawn
    /// evenly from all of `u64`.
    pub fn unreachable(&mut self, batch: Option<Batch<R>>, now: Duration, random: u64) {
        let delay = self.limits.backoff.delay(self.outages, random);
        self.outages = self.outages.saturating_add(1);
        self.quiet_until = now.saturating_add(delay);
        if let Some(batch) = batch {
            self.put_back(batch);
        }
    }

    /// Some position did not move. `found` tells what is stored for the batch's partitions.
    pub fn refused(
        &mut self,
        batch: Batch<R>,
        found: &[(TopicPartition, i64, i64)],
        now: Duration,
    ) {
        self.put_back(batch);
        let until = now.saturating_add(self.limits.claim_again_after);
        for (place, epoch, position) in found {
            let Some(partition) = self.partitions.get_mut(place) else {
                continue;
            };
            if partition.epoch == *epoch {
                // Our own commit, whose answer was lost on the way.
                partition.skip_to(*position);
            } else {
                partition.state = State::Refused { until };
            }
        }
    }

    /// Too much is parked behind this batch's records in these partitions.
    pub fn paused(&mut self, batch: Batch<R>, places: &[TopicPartition], now: Duration) {
        self.put_back(batch);
        let until = now.saturating_add(self.limits.paused_for);
        for place in places {
            if let Some(partition) = self.partitions.get_mut(place) {
                partition.state = State::Paused { until };
            }
        }
    }

    /// Whether a record is tried that was counted `attempts` times, this one included, and with
    /// which `deaths` processes have died.
    #[must_use]
    pub const fn chance(&self, attempts: i32, deaths: i32) -> Chance {
        if deaths >= self.limits.deaths_max {
            Chance::Deadly
        } else if attempts > self.limits.attempts_max {
            Chance::Exhausted
        } else {
            Chance::Try
        }
    }

    /// Whether more records are wanted. Partitions that stand still do not count: they must not
    /// starve those that flow.
    #[must_use]
    pub fn has_room(&self) -> bool {
        let flowing = self
            .partitions
            .values()
            .filter(|p| p.state == State::Flowing);
        let queued: usize = flowing.map(|p| p.queue.len()).sum();
        queued < self.limits.batch_records_max.saturating_mul(2)
    }

    /// Whether a partition stands still because too much is parked behind its records.
    #[must_use]
    pub fn is_paused(&self, place: &TopicPartition) -> bool {
        let partition = self.partitions.get(place);
        partition.is_some_and(|partition| matches!(partition.state, State::Paused { .. }))
    }

    /// The partitions owned, with their epochs.
    pub fn owned(&self) -> impl Iterator<Item = (&TopicPartition, i64)> {
        self.partitions
            .iter()
            .map(|(place, partition)| (place, partition.epoch))
    }

    /// The partitions claimed: where each is, and the record that is next.
    pub fn positions(&self) -> impl Iterator<Item = (&TopicPartition, i64, Option<&R>)> {
        let claimed = self
            .partitions
            .iter()
            .filter(|(_, partition)| partition.epoch > 0);
        claimed.map(|(place, partition)| {
            let next = partition.queue.front().map(|item| &item.record);
            (place, partition.position, next)
        })
    }

    fn due_claims(&mut self, now: Duration) -> Vec<TopicPartition> {
        let mut claims = Vec::new();
        for (place, partition) in &mut self.partitions {
            match partition.state {
                State::Refused { until } if until <= now => claims.push(place.clone()),
                State::Paused { until } if until <= now => partition.state = State::Flowing,
                State::Refused { .. } | State::Paused { .. } | State::Flowing => {}
            }
        }
        claims
    }

    fn next_change(&self) -> Option<Duration> {
        let until = |partition: &Partition<R>| match partition.state {
            State::Flowing => None,
            State::Refused { until } | State::Paused { until } => Some(until),
        };
        self.partitions.values().filter_map(until).min()
    }

    /// Takes from each partition in turn, beginning behind the one that came first last time, so that
    /// a busy one cannot starve the rest.
    fn take(&mut self) -> Option<Batch<R>> {
        let mut batch = Batch {
            moves: Vec::new(),
            items: Vec::new(),
            doubt: Doubt::None,
        };
        let mut bytes = 0_usize;
        for place in self.in_turn() {
            let Some(partition) = self.partitions.get_mut(&place) else {
                continue;
            };
            let before = batch.items.len();
            while let Some(item) = partition.queue.front() {
                bytes = bytes.saturating_add(item.bytes);
                let fits = bytes <= self.limits.batch_bytes_max && batch.items.len() < self.size;
                if !fits && !batch.items.is_empty() {
                    break;
                }
                batch.items.extend(partition.queue.pop_front());
            }
            batch
                .moves
                .extend(partition.moved(place, batch.items.get(before..)));
        }
        if planted("consumer-skips-offset") && batch.items.len() > 1 {
            batch.items.pop();
        }
        batch.doubt = self.doubt(&batch);
        (!batch.moves.is_empty()).then_some(batch)
    }

    fn in_turn(&self) -> Vec<TopicPartition> {
        let flowing = |(place, partition): (&TopicPartition, &Partition<R>)| {
            (partition.state == State::Flowing).then(|| place.clone())
        };
        let places = self.partitions.iter().filter_map(flowing);
        let (first, behind): (Vec<_>, Vec<_>) =
            places.partition(|place| self.turn.as_ref().is_some_and(|turn| place <= turn));
        behind.into_iter().chain(first).collect()
    }

    fn doubt(&self, batch: &Batch<R>) -> Doubt {
        if self.size > 1 {
            Doubt::None
        } else if self.counted.is_some() && self.counted == batch.lone() {
            Doubt::Counted
        } else {
            Doubt::Count
        }
    }

    fn put_back(&mut self, batch: Batch<R>) {
        let mut items = batch.items;
        for step in batch.moves.into_iter().rev() {
            let own = items.split_off(items.len().saturating_sub(step.items));
            if let Some(partition) = self.partitions.get_mut(&step.place) {
                for item in own.into_iter().rev() {
                    partition.queue.push_front(item);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
