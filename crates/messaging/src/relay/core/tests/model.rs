//! Random writers, holders, failures and crashes against a model of the database and the log.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

/// A database with several writers, as far as a relay can see it.
#[derive(Default)]
struct Database {
    next_xid: i64,
    next_position: i64,
    running: BTreeMap<i64, Writer>,
    committed: BTreeMap<i64, (u64, i64)>,
    versions: BTreeMap<u64, i64>,
    watermark: i64,
    epoch: u64,
}

#[derive(Default)]
struct Writer {
    rows: BTreeMap<i64, (u64, i64)>,
}

impl Database {
    fn begin(&mut self) -> i64 {
        self.next_xid += 1;
        self.running.insert(self.next_xid, Writer::default());
        self.next_xid
    }

    /// Writes the key's next version, unless another writer holds the key's lock.
    fn write(&mut self, xid: i64, key: u64) {
        let locked = |writer: &Writer| writer.rows.values().any(|(k, _)| *k == key);
        let by_other = self
            .running
            .iter()
            .any(|(id, writer)| *id != xid && locked(writer));
        let Some(writer) = self.running.get_mut(&xid).filter(|_| !by_other) else {
            return;
        };
        let own = writer.rows.values().filter(|(k, _)| *k == key).count();
        let version =
            self.versions.get(&key).copied().unwrap_or(0) + 1 + i64::try_from(own).unwrap();
        self.next_position += 1;
        writer.rows.insert(self.next_position, (key, version));
    }

    fn commit(&mut self, xid: i64) {
        for (position, (key, version)) in self.running.remove(&xid).unwrap_or_default().rows {
            self.versions.insert(key, version);
            self.committed.insert(position, (key, version));
        }
    }

    fn xmin(&self) -> i64 {
        self.running
            .keys()
            .next()
            .copied()
            .unwrap_or(self.next_xid + 1)
    }

    fn read(&self, read: &Read) -> Vec<Row<(u64, i64)>> {
        let wanted = |position: i64| {
            position > read.after || read.gaps.iter().any(|(f, l)| (*f..=*l).contains(&position))
        };
        let rows = self
            .committed
            .iter()
            .filter(|(position, _)| wanted(**position));
        rows.take(read.limit)
            .map(|(position, record)| Row {
                position: *position,
                key: record.0,
                record: *record,
            })
            .collect()
    }
}

/// One process with a relay: `queue` is what its producer has not delivered yet.
struct Holder {
    core: Core<(u64, i64)>,
    epoch: u64,
    queue: Vec<Send<(u64, i64)>>,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Begin,
    Write {
        writer: usize,
        key: u64,
    },
    Commit {
        writer: usize,
    },
    RollBack {
        writer: usize,
    },
    Read {
        holder: usize,
    },
    /// The broker takes the oldest record of a key; the acknowledgement may be lost.
    Deliver {
        holder: usize,
        pick: usize,
        acked: bool,
    },
    Fail {
        holder: usize,
        pick: usize,
    },
    Mark {
        holder: usize,
    },
    /// Another process claims the lease (or the same one after a crash); the old one lives on.
    Claim {
        holder: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let (writer, holder, pick) = (0..4_usize, 0..2_usize, 0..8_usize);
    prop_oneof![
        2 => Just(Step::Begin),
        6 => (writer.clone(), 0..3_u64).prop_map(|(writer, key)| Step::Write { writer, key }),
        3 => writer.clone().prop_map(|writer| Step::Commit { writer }),
        1 => writer.prop_map(|writer| Step::RollBack { writer }),
        4 => holder.clone().prop_map(|holder| Step::Read { holder }),
        6 => (holder.clone(), pick.clone(), prop::bool::weighted(0.9))
            .prop_map(|(holder, pick, acked)| Step::Deliver { holder, pick, acked }),
        1 => (holder.clone(), pick).prop_map(|(holder, pick)| Step::Fail { holder, pick }),
        3 => holder.clone().prop_map(|holder| Step::Mark { holder }),
        1 => holder.prop_map(|holder| Step::Claim { holder }),
    ]
}

struct World {
    database: Database,
    holders: Vec<Holder>,
    log: Vec<(u64, i64)>,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            database: Database::default(),
            holders: Vec::new(),
            log: Vec::new(),
        };
        for _ in 0..2 {
            world.holders.push(Holder {
                core: Core::new(LIMITS, 0),
                epoch: 0,
                queue: Vec::new(),
            });
        }
        world.claim(0);
        world
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Begin if self.database.running.len() < 4 => {
                self.database.begin();
            }
            Step::Begin => {}
            Step::Write { writer, key } => self.with_writer(writer, |db, xid| db.write(xid, key)),
            Step::Commit { writer } => self.with_writer(writer, Database::commit),
            Step::RollBack { writer } => self.with_writer(writer, |db, xid| {
                db.running.remove(&xid);
            }),
            Step::Read { holder } => self.read(holder),
            Step::Deliver {
                holder,
                pick,
                acked,
            } => self.deliver(holder, pick, acked),
            Step::Fail { holder, pick } => self.fail(holder, pick),
            Step::Mark { holder } => self.mark(holder),
            Step::Claim { holder } => self.claim(holder),
        }
        self.check();
    }

    fn with_writer(&mut self, index: usize, run: impl FnOnce(&mut Database, i64)) {
        if let Some(xid) = self.database.running.keys().nth(index).copied() {
            run(&mut self.database, xid);
        }
    }

    /// Reads and sends need no valid epoch: a zombie may do both.
    fn read(&mut self, index: usize) {
        let holder = &mut self.holders[index];
        if holder.epoch == 0 {
            return;
        }
        if let Some(read) = holder.core.next_read() {
            let (rows, xmin) = (self.database.read(&read), self.database.xmin());
            holder.queue.extend(holder.core.rows(&read, rows, xmin));
        }
    }

    fn deliver(&mut self, index: usize, pick: usize, acked: bool) {
        let holder = &mut self.holders[index];
        let Some(send) = holder.queue.get(pick).cloned() else {
            return;
        };
        self.log.push(send.record);
        holder.queue.remove(pick);
        if acked {
            holder.queue.extend(holder.core.acked(send.ticket));
        } else if holder.core.failed(send.ticket) {
            holder.queue.clear();
        }
    }

    fn fail(&mut self, index: usize, pick: usize) {
        let holder = &mut self.holders[index];
        if pick < holder.queue.len() {
            let send = holder.queue.remove(pick);
            // The rest of the queue is not purged here: what was in flight may still get through.
            holder.core.failed(send.ticket);
        }
    }

    fn mark(&mut self, index: usize) {
        let holder = &mut self.holders[index];
        if holder.epoch != self.database.epoch {
            if holder.epoch != 0 {
                holder.epoch = 0;
                holder.core.reset();
            }
            return;
        }
        let mark = holder.core.mark();
        assert!(
            mark.watermark >= self.database.watermark,
            "the watermark went back"
        );
        self.database.watermark = mark.watermark;
        self.database.next_xid += 1;
        holder.core.marked(mark, self.database.next_xid);
    }

    fn claim(&mut self, index: usize) {
        self.database.epoch += 1;
        let queue = std::mem::take(&mut self.holders[index].queue);
        self.holders[index] = Holder {
            core: Core::new(LIMITS, self.database.watermark),
            epoch: self.database.epoch,
            // What the old life had in flight may still get through; its tickets are nobody's.
            queue: Vec::new(),
        };
        self.log.extend(queue.first().map(|send| send.record));
    }

    fn check(&self) {
        let mut first: BTreeMap<u64, i64> = BTreeMap::new();
        for (key, version) in &self.log {
            let known = first.entry(*key).or_insert(0);
            assert!(
                *version <= *known + 1,
                "key {key}: {version} came before {}",
                *known + 1
            );
            *known = (*known).max(*version);
        }
        let published: BTreeSet<_> = self.log.iter().collect();
        let below = self.database.committed.range(..=self.database.watermark);
        for (position, record) in below {
            assert!(
                published.contains(record),
                "position {position} was passed unpublished"
            );
        }
        for writer in self.database.running.values() {
            for position in writer.rows.keys() {
                assert!(
                    *position > self.database.watermark,
                    "{position} may still commit"
                );
            }
        }
    }

    /// Heals everything and lets one holder finish.
    fn settle(&mut self) {
        for xid in self.database.running.keys().copied().collect::<Vec<_>>() {
            self.database.commit(xid);
        }
        self.claim(0);
        for _ in 0..10_000 {
            if self.database.watermark >= self.database.next_position {
                break;
            }
            self.read(0);
            while !self.holders[0].queue.is_empty() {
                self.deliver(0, 0, true);
            }
            self.mark(0);
        }
        self.check();
        let published: BTreeSet<_> = self.log.iter().collect();
        assert!(
            self.database
                .committed
                .values()
                .all(|record| published.contains(record))
        );
        // Positions above the last committed one were rolled back, and nobody has to know.
        let last = self
            .database
            .committed
            .keys()
            .next_back()
            .copied()
            .unwrap_or(0);
        assert!(
            self.database.watermark >= last,
            "the watermark stays behind for ever"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn no_row_is_lost_and_no_key_inverted(steps in prop::collection::vec(step(), 0..120)) {
        let mut world = World::new();
        for step in steps {
            world.run(step);
        }
        world.settle();
    }
}
