//! Consumers: two replicas share the partitions. Here is what `messaging`'s driver does around the
//! core and the plan.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use brewline_failpoint::planted;
use brewline_kernel::{Backoff, OrderId};
use brewline_messaging::consumer::core::{Batch, Core, Doubt, Item, Limits, Move, Task};
use brewline_messaging::consumer::plan::{Plan, Stored, Subject, plan, subject_of};
use brewline_messaging::inbox::{Judge, Key, Known};
use brewline_messaging::{Delivery, TopicKind, TopicPartition};

use crate::broker::{PARTITIONS, Service};
use crate::process::{After, Calls, Pid, Step};
use crate::store::{Lock, Store};
use crate::tables::Write;
use crate::transactions::Access;
use crate::world::{MS, SECOND, World};

const MEMORY: Duration = Duration::from_secs(14 * 24 * 3_600);

/// Nothing here is poison, so nothing is given up: a record that cannot be applied stays, and the
/// liveness phase fails. Dead letters are proved on real servers.
const LIMITS: Limits = Limits {
    batch_records_max: 5,
    batch_bytes_max: 1 << 20,
    attempts_max: i32::MAX,
    deaths_max: i32::MAX,
    claim_again_after: Duration::from_secs(1),
    paused_for: Duration::from_secs(5),
    backoff: match Backoff::new(Duration::from_millis(50), Duration::from_secs(2)) {
        Ok(backoff) => backoff,
        Err(_) => panic!("the first wait is not longer than the longest"),
    },
};

/// A replica's consumer.
#[derive(Debug)]
pub struct Consumer {
    core: Core<Delivery>,
    since: i64,
    // Where each partition is read from next, once it was told where to begin.
    reads: BTreeMap<i32, i64>,
    in_hand: Option<Batch<Delivery>>,
    // A transaction is open.
    busy: bool,
}

/// What a service's handler wants written.
#[derive(Debug, Default)]
pub struct Effect {
    /// Writes, in order.
    pub writes: Vec<Write>,
    /// Calls to be made after the commit.
    pub calls: Calls,
}

// === impl Consumer ===

impl Consumer {
    /// One without partitions, since `now`.
    #[must_use]
    pub const fn new(now: i64) -> Self {
        Self {
            core: Core::new(LIMITS),
            since: now,
            reads: BTreeMap::new(),
            in_hand: None,
            busy: false,
        }
    }

    /// Whether a batch is in hand: it is finished before partitions come or go.
    #[must_use]
    pub const fn is_at_work(&self) -> bool {
        self.busy || self.in_hand.is_some()
    }

    /// Partitions are given to it, to be claimed.
    pub fn assigned(&mut self, place: TopicPartition) {
        self.released(std::slice::from_ref(&place));
        self.core.assigned(place);
    }

    /// Partitions are no longer its.
    pub fn released(&mut self, places: &[TopicPartition]) {
        self.core.released(places);
        for place in places {
            self.reads.remove(&place.partition);
        }
    }

    fn clock(&self, now: i64) -> Duration {
        Duration::from_micros(u64::try_from(now - self.since).unwrap_or(0))
    }
}

// === impl World ===

impl World {
    pub(crate) fn consumer_mut(&mut self, pid: Pid) -> Option<&mut Consumer> {
        Some(&mut self.processes.get_mut(&pid)?.consumer)
    }

    /// A record was appended: whoever has its partition fetches soon.
    pub fn wake_consumer(&mut self, writer: Service, partition: i32) {
        for service in Service::ALL {
            let reads = service.consumes().is_some_and(|(from, _)| from == writer);
            if let Some(replica) = self.owners.get(&(service, partition)).filter(|_| reads) {
                let pid = (service, *replica);
                self.soon(pid, (MS, 15 * MS), Step::Consume { poll: false });
            }
        }
    }

    /// Fetches, then does what the core says.
    pub fn consumer_turn(&mut self, pid: Pid, poll: bool) {
        if poll {
            self.soon(pid, (500 * MS, 900 * MS), Step::Consume { poll: true });
        }
        let now = self.now;
        self.fetch(pid);
        let Some(consumer) = self
            .consumer_mut(pid)
            .filter(|c| !c.busy && c.in_hand.is_none())
        else {
            return;
        };
        let clock = consumer.clock(now);
        match consumer.core.next(clock) {
            Task::Claim(places) => {
                let partitions: Vec<i32> = places.iter().map(|place| place.partition).collect();
                self.claim(pid, &partitions);
            }
            Task::Apply(batch) => {
                consumer.in_hand = Some(batch);
                self.soon(pid, (0, 3 * MS), Step::Apply);
                if self.trouble(8) {
                    self.pause(pid, "pause with a batch in hand");
                }
            }
            Task::Wait(Some(until)) => {
                let wait = i64::try_from(until.saturating_sub(clock).as_micros()).unwrap_or(0);
                self.soon(pid, (wait + 1, wait + 1), Step::Consume { poll: false });
            }
            Task::Wait(None) => {}
        }
    }

    fn fetch(&mut self, pid: Pid) {
        let Some((from, _)) = pid.0.consumes() else {
            return;
        };
        if self.log.down_until > self.now {
            return;
        }
        // The client may hand over again what it has handed over before.
        let again = if self.trouble(20) { 3 } else { 0 };
        for partition in 0..PARTITIONS {
            let place = self.log.place(from, partition);
            let Some(process) = self.processes.get_mut(&pid) else {
                return;
            };
            let consumer = &mut process.consumer;
            let Some(next) = consumer.reads.get_mut(&partition) else {
                continue;
            };
            if !consumer.core.has_room() {
                return;
            }
            let start = (*next - again).max(0);
            for record in self.log.fetch((from, partition), start, 6) {
                let record = record.delivery.clone();
                let offset = record.offset;
                *next = offset + 1;
                let bytes = record.payload.len();
                consumer.core.fetched(
                    &place,
                    Item {
                        offset,
                        bytes,
                        record,
                    },
                );
            }
        }
    }

    fn claim(&mut self, pid: Pid, partitions: &[i32]) {
        let Some((from, _)) = pid.0.consumes() else {
            return;
        };
        let locks: Vec<Lock> = partitions.iter().map(|p| Lock::Partition(*p)).collect();
        let access = self.access(pid.0, &locks);
        if access != Access::Free {
            let (now, random) = (self.now, self.random.next());
            let Some(consumer) = self.consumer_mut(pid) else {
                return;
            };
            let clock = consumer.clock(now);
            if access == Access::Down {
                consumer.core.unreachable(None, clock, random);
            }
            self.soon(pid, (50 * MS, 200 * MS), Step::Consume { poll: false });
            return;
        }
        for partition in partitions {
            let claimed = self
                .stores
                .get_mut(&pid.0)
                .and_then(|s| s.claim_partition(*partition));
            let Some(row) = claimed else { continue };
            let (epoch, next) = (row.epoch, row.next);
            self.tell(format_args!(
                "{}-{} claims partition {partition}: epoch {epoch}, offset {next}",
                pid.0.name(),
                pid.1
            ));
            let place = self.log.place(from, *partition);
            let Some(consumer) = self.consumer_mut(pid) else {
                return;
            };
            consumer.core.claimed(place, epoch, next);
            consumer.reads.entry(*partition).or_insert(next);
        }
        self.soon(pid, (0, 5 * MS), Step::Consume { poll: false });
    }

    /// Applies the batch in hand in one transaction.
    pub fn consumer_apply(&mut self, pid: Pid) {
        let Some(batch) = self
            .consumer_mut(pid)
            .and_then(|consumer| consumer.in_hand.take())
        else {
            return;
        };
        let locks = self.locks_of(&batch);
        match self.access(pid.0, &locks) {
            Access::Busy => {
                if let Some(consumer) = self.consumer_mut(pid) {
                    consumer.in_hand = Some(batch);
                }
                self.soon(pid, (5 * MS, 80 * MS), Step::Apply);
            }
            Access::Down => self.consumer_waits(pid, batch),
            Access::Free => self.apply_free(pid, batch, locks),
        }
    }

    fn apply_free(&mut self, pid: Pid, batch: Batch<Delivery>, locks: Vec<Lock>) {
        let (now, instant) = (self.now, self.instant());
        let Some(store) = self.stores.get(&pid.0) else {
            return;
        };
        let moved = batch.moves.iter().all(|step| is_in_place(store, step));
        let found = positions(store, &batch);
        let deliveries: Vec<Delivery> =
            batch.items.iter().map(|item| item.record.clone()).collect();
        let stored = stored(store, &deliveries);
        let Some(consumer) = self.consumer_mut(pid) else {
            return;
        };
        if batch.doubt == Doubt::Count {
            consumer.core.counted(&batch);
        }
        if !moved {
            let clock = consumer.clock(now);
            consumer.core.refused(batch, &found, clock);
            self.struck("fenced consumer");
            self.tell(format_args!("{}-{} is refused", pid.0.name(), pid.1));
            self.soon(pid, (0, 20 * MS), Step::Consume { poll: false });
            return;
        }
        let plan = plan(deliveries, stored, |_| {
            Judge::new(TopicKind::Events, instant, MEMORY)
        });
        match self.handle(pid.0, &plan.fresh) {
            Ok(effect) => {
                let writes = writes(&batch.moves, plan, effect.writes);
                if let Some(consumer) = self.consumer_mut(pid) {
                    consumer.busy = true;
                }
                self.submit(pid, locks, writes, After::Consumed(batch, effect.calls));
            }
            Err(reason) => {
                self.tell(format_args!("{}-{}: poison: {reason}", pid.0.name(), pid.1));
                if let Some(consumer) = self.consumer_mut(pid) {
                    consumer.core.poisoned(batch);
                }
                self.soon(pid, (300 * MS, SECOND), Step::Consume { poll: false });
            }
        }
    }

    fn handle(&mut self, service: Service, fresh: &[Delivery]) -> Result<Effect, String> {
        match service {
            Service::Order => self.take_stock_news(fresh),
            Service::Inventory => self.settle(fresh),
            Service::Payment => Ok(Effect::default()),
        }
    }

    fn locks_of(&self, batch: &Batch<Delivery>) -> Vec<Lock> {
        let mut locks: BTreeSet<Lock> = batch
            .moves
            .iter()
            .map(|m| Lock::Partition(m.place.partition))
            .collect();
        for item in &batch.items {
            let order = item.record.envelope.subject.parse::<OrderId>().ok();
            locks.extend(order.map(Lock::Order));
            locks.extend(self.stock_of(&item.record).into_iter().map(Lock::Stock));
        }
        locks.into_iter().collect()
    }

    /// The transaction of a batch has ended.
    pub fn consumed(&mut self, pid: Pid, batch: Batch<Delivery>, ok: bool) {
        let Some(consumer) = self.consumer_mut(pid) else {
            return;
        };
        consumer.busy = false;
        if ok {
            consumer.core.committed(&batch);
            self.soon(pid, (0, 3 * MS), Step::Consume { poll: false });
        } else {
            self.consumer_waits(pid, batch);
        }
    }

    fn consumer_waits(&mut self, pid: Pid, batch: Batch<Delivery>) {
        let (now, random) = (self.now, self.random.next());
        let Some(consumer) = self.consumer_mut(pid) else {
            return;
        };
        let clock = consumer.clock(now);
        consumer.core.unreachable(Some(batch), clock, random);
        self.soon(pid, (50 * MS, 300 * MS), Step::Consume { poll: false });
    }
}

fn is_in_place(store: &Store, step: &Move) -> bool {
    let row = store.tables.positions.get(&step.place.partition);
    let unchecked = planted("consumer-ignores-position");
    row.is_some_and(|row| unchecked || (row.epoch == step.epoch && row.next == step.first))
}

fn positions(store: &Store, batch: &Batch<Delivery>) -> Vec<(TopicPartition, i64, i64)> {
    let row = |step: &Move| {
        let row = store.tables.positions.get(&step.place.partition)?;
        Some((step.place.clone(), row.epoch, row.next))
    };
    batch.moves.iter().filter_map(row).collect()
}

fn stored(store: &Store, batch: &[Delivery]) -> Stored {
    let tables = &store.tables;
    let mut stored = Stored::default();
    for subject in batch.iter().map(subject_of) {
        let waits = tables.waiting.contains(&subject);
        let known = Known {
            version: tables.inbox.get(&subject).map(|(version, _)| *version),
            key: if waits { Key::Waiting } else { Key::Flowing },
        };
        if let Some(held) = tables.held.get(&subject).filter(|_| waits) {
            stored.held.insert(subject.clone(), held.clone());
        }
        stored.known.insert(subject, known);
    }
    stored
}

fn writes(moves: &[Move], plan: Plan, effect: Vec<Write>) -> Vec<Write> {
    let moves = moves
        .iter()
        .map(|step| Write::Position(step.place.partition, step.next));
    let applied = plan.applied.into_iter();
    let applied = applied.map(|(subject, row)| Write::Applied(subject, row.version, row.event_id));
    let hold = |(_, delivery): (usize, Delivery)| {
        let subject: Subject = subject_of(&delivery);
        Write::Hold(subject, delivery)
    };
    let held = plan.parked.into_iter().map(hold);
    let released = plan.released.into_iter();
    let released = released.map(|(subject, version)| Write::Release(subject, version));
    let flowing = plan.flowing.into_iter().map(Write::Flow);
    let all = moves.chain(effect).chain(applied).chain(held);
    all.chain(released).chain(flowing).collect()
}
