//! Random rebalances, crashes, lost answers and poison against a model of the position table.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// The position table and what its transactions did: for each partition the offsets applied.
#[derive(Default)]
struct Store {
    positions: BTreeMap<i32, (i64, i64)>,
    applied: BTreeMap<i32, Vec<i64>>,
    dead: BTreeSet<(i32, i64)>,
    counts: BTreeMap<(i32, i64), i32>,
}

impl Store {
    fn claim(&mut self, partition: i32) -> (i64, i64) {
        let row = self.positions.entry(partition).or_default();
        row.0 += 1;
        *row
    }

    /// Commits all moves or none.
    fn commit(&mut self, batch: &Batch<i64>) -> bool {
        let fits = |m: &Move| self.positions.get(&m.place.partition) == Some(&(m.epoch, m.first));
        if !batch.moves.iter().all(fits) {
            return false;
        }
        let mut items = batch.items.iter();
        for step in &batch.moves {
            let partition = step.place.partition;
            self.positions.insert(partition, (step.epoch, step.next));
            let own = items.by_ref().take(step.items).map(|item| item.offset);
            self.applied.entry(partition).or_default().extend(own);
        }
        true
    }
}

const PARTITIONS: i32 = 3;
const RECORDS: i64 = 40;
const POISON: [(i32, i64); 4] = [(0, 3), (0, 4), (1, 17), (2, 39)];

/// A process: its core, and how far it has fetched. A zombie keeps partitions it was not told to
/// have lost.
struct Process {
    core: Core<i64>,
    fetched: BTreeMap<i32, i64>,
}

impl Process {
    fn new() -> Self {
        Self {
            core: Core::new(LIMITS),
            fetched: BTreeMap::new(),
        }
    }

    fn claim(&mut self, store: &mut Store, partition: i32) {
        let (epoch, position) = store.claim(partition);
        self.core.claimed(place(partition), epoch, position);
        let fetched = self.fetched.entry(partition).or_insert(position);
        *fetched = (*fetched).max(position);
    }

    fn fetch(&mut self, partition: i32, count: i64) {
        let Some(next) = self.fetched.get_mut(&partition) else {
            return;
        };
        for offset in *next..(*next + count).min(RECORDS) {
            self.core.fetched(&place(partition), item(offset));
            *next = offset + 1;
        }
    }

    fn turn(&mut self, store: &mut Store, now: Duration, outcome: Outcome) {
        match self.core.next(now) {
            Task::Claim(places) => {
                for place in places {
                    self.claim(store, place.partition);
                }
            }
            Task::Apply(batch) => self.apply(store, batch, now, outcome),
            Task::Wait(_) => {}
        }
    }

    fn apply(&mut self, store: &mut Store, batch: Batch<i64>, now: Duration, outcome: Outcome) {
        let is_poison = batch.moves.iter().any(|m| {
            let poison = |o: i64| POISON.contains(&(m.place.partition, o));
            (m.first..m.next).any(poison)
        });
        let lone = batch
            .lone()
            .map(|(place, offset)| (place.partition, offset));
        let mut exhausted = false;
        if let (Doubt::Count, Some(lone)) = (batch.doubt, lone) {
            let count = store.counts.entry(lone).or_default();
            *count += 1;
            exhausted = self.core.chance(*count, 0) == Chance::Exhausted;
            self.core.counted(&batch);
        }
        match outcome {
            Outcome::Unreachable => self.core.unreachable(Some(batch), now, 1),
            _ if is_poison && !exhausted => self.core.poisoned(batch),
            Outcome::Unanswered => {
                if store.commit(&batch) && exhausted {
                    store.dead.extend(lone);
                }
                self.core.unreachable(Some(batch), now, 1);
            }
            Outcome::Answered => {
                if !store.commit(&batch) {
                    let found: Vec<_> = batch
                        .moves
                        .iter()
                        .map(|m| {
                            let (epoch, position) = store.positions[&m.place.partition];
                            (m.place.clone(), epoch, position)
                        })
                        .collect();
                    self.core.refused(batch, &found, now);
                    return;
                }
                if exhausted {
                    store.dead.extend(lone);
                }
                self.core.committed(&batch);
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Outcome {
    Answered,
    /// Committed, but the answer is lost.
    Unanswered,
    Unreachable,
}

#[derive(Clone, Debug)]
enum Step {
    /// The group gives a partition to a process; the old owner hears of it, or not yet.
    Assign {
        process: usize,
        partition: i32,
        told: bool,
    },
    Fetch {
        process: usize,
        partition: i32,
        count: i64,
    },
    Turn {
        process: usize,
        outcome: Outcome,
    },
    Crash {
        process: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let (process, partition) = (0..2_usize, 0..PARTITIONS);
    let outcome = prop_oneof![
        8 => Just(Outcome::Answered),
        1 => Just(Outcome::Unanswered),
        1 => Just(Outcome::Unreachable),
    ];
    prop_oneof![
        2 => (process.clone(), partition.clone(), any::<bool>())
            .prop_map(|(process, partition, told)| Step::Assign { process, partition, told }),
        6 => (process.clone(), partition, 1..12_i64)
            .prop_map(|(process, partition, count)| Step::Fetch { process, partition, count }),
        12 => (process.clone(), outcome).prop_map(|(process, outcome)| Step::Turn { process, outcome }),
        1 => process.prop_map(|process| Step::Crash { process }),
    ]
}

struct World {
    store: Store,
    processes: Vec<Process>,
    now: Duration,
}

impl World {
    fn run(&mut self, step: &Step) {
        self.now += Duration::from_millis(700);
        match *step {
            Step::Assign {
                process,
                partition,
                told,
            } => self.assign(process, partition, told),
            Step::Fetch {
                process,
                partition,
                count,
            } => {
                self.processes[process].fetch(partition, count);
            }
            Step::Turn { process, outcome } => {
                self.processes[process].turn(&mut self.store, self.now, outcome);
            }
            Step::Crash { process } => self.processes[process] = Process::new(),
        }
        self.check();
    }

    fn assign(&mut self, process: usize, partition: i32, told: bool) {
        if told {
            let other = &mut self.processes[1 - process];
            other.core.released(&[place(partition)]);
            other.fetched.remove(&partition);
        }
        self.processes[process].claim(&mut self.store, partition);
    }

    fn check(&self) {
        for (partition, applied) in &self.store.applied {
            let expected: Vec<i64> = (0..i64::try_from(applied.len()).unwrap()).collect();
            assert_eq!(
                *applied, expected,
                "partition {partition}: repeated, skipped or reordered"
            );
        }
        for (partition, offset) in &POISON {
            let applied = self.store.applied.get(partition);
            let passed = applied.is_some_and(|applied| applied.contains(offset));
            let dead = self.store.dead.contains(&(*partition, *offset));
            assert_eq!(
                passed, dead,
                "poison was passed without a dead letter, or the other way"
            );
        }
        let good = |dead: &&(i32, i64)| !POISON.contains(dead);
        assert_eq!(
            self.store.dead.iter().find(good),
            None,
            "a good record became a dead letter"
        );
    }

    fn settle(&mut self) {
        self.processes[1] = Process::new();
        for partition in 0..PARTITIONS {
            self.assign(0, partition, true);
        }
        for _ in 0..2_000 {
            self.now += Duration::from_secs(10);
            for partition in 0..PARTITIONS {
                self.processes[0].fetch(partition, 5);
            }
            self.processes[0].turn(&mut self.store, self.now, Outcome::Answered);
        }
        self.check();
        for partition in 0..PARTITIONS {
            let applied = self.store.applied.get(&partition).map_or(0, Vec::len);
            assert_eq!(
                i64::try_from(applied).unwrap(),
                RECORDS,
                "partition {partition} is stuck"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn every_record_is_applied_once_or_dead(steps in prop::collection::vec(step(), 0..200)) {
        let mut world = World {
            store: Store::default(),
            processes: vec![Process::new(), Process::new()],
            now: Duration::ZERO,
        };
        for step in &steps {
            world.run(step);
        }
        world.settle();
    }
}
