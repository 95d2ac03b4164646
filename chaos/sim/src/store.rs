//! A service's database: serial transactions over plain tables.
//!
//! A transaction locks what it touches, draws its id and its outbox positions, and stays open until it
//! is committed whole or rolled back whole. So positions become visible in another order than they
//! were drawn in, and those of a rolled back transaction never do.

use std::collections::BTreeMap;

use brewline_kernel::{OrderId, ProductId};
use brewline_messaging::relay::core::{Read, Row};

use crate::broker::{Outgoing, Service, key_of};
use crate::planted;
use crate::tables::{PositionRow, Tables, Write};

/// What a transaction holds until it ends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lock {
    /// An order's row, checkout, reservation or payment.
    Order(OrderId),
    /// A stock row.
    Stock(ProductId),
    /// A consumer's position.
    Partition(i32),
    /// An idempotency key.
    Key(String),
}

/// The relay's slot.
#[derive(Clone, Copy, Debug, Default)]
pub struct SlotRow {
    /// How often it has changed hands.
    pub epoch: i64,
    /// Everything up to here is in the log.
    pub watermark: i64,
    holder: Option<u8>,
    leased_until: i64,
}

/// A database.
#[derive(Debug)]
pub struct Store {
    service: Service,
    /// What was committed.
    pub tables: Tables,
    /// The relay's slot.
    pub slot: SlotRow,
    /// Until when nobody reaches it.
    pub down_until: i64,
    next_xid: i64,
    next_position: i64,
    open: BTreeMap<i64, Open>,
    locks: BTreeMap<Lock, i64>,
}

#[derive(Debug)]
struct Open {
    replica: u8,
    locks: Vec<Lock>,
    writes: Vec<(Option<i64>, Write)>,
}

// === impl Store ===

impl Store {
    /// An empty database.
    #[must_use]
    pub fn new(service: Service) -> Self {
        Self {
            service,
            tables: Tables::default(),
            slot: SlotRow::default(),
            down_until: 0,
            next_xid: 100,
            next_position: 1,
            open: BTreeMap::new(),
            locks: BTreeMap::new(),
        }
    }

    /// Whether none of these is held.
    #[must_use]
    pub fn is_free(&self, locks: &[Lock]) -> bool {
        !locks.iter().any(|lock| self.locks.contains_key(lock))
    }

    /// Whether no transaction is open.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.open.is_empty()
    }

    /// Opens a transaction whose locks are free; it has its id and its positions from now on.
    pub fn begin(&mut self, replica: u8, locks: Vec<Lock>, writes: Vec<Write>) -> i64 {
        let xid = self.xid();
        for lock in &locks {
            self.locks.insert(lock.clone(), xid);
        }
        let writes = writes
            .into_iter()
            .map(|write| (self.position_of(&write), write))
            .collect();
        self.open.insert(
            xid,
            Open {
                replica,
                locks,
                writes,
            },
        );
        xid
    }

    fn position_of(&mut self, write: &Write) -> Option<i64> {
        let Write::Emit(..) = write else { return None };
        let position = self.next_position;
        self.next_position += 1;
        Some(position)
    }

    fn xid(&mut self) -> i64 {
        let xid = self.next_xid;
        self.next_xid += 1;
        xid
    }

    /// Makes a transaction true. False when it is over already.
    pub fn commit(&mut self, xid: i64) -> bool {
        let Some(open) = self.end(xid) else {
            return false;
        };
        for (position, write) in open.writes {
            self.tables.apply(self.service, position, write);
        }
        true
    }

    /// Makes a transaction never have been.
    pub fn roll_back(&mut self, xid: i64) {
        self.end(xid);
    }

    /// Rolls back what a replica left open when it died.
    pub fn roll_back_all_of(&mut self, replica: u8) {
        let left = self.open.iter().filter(|(_, open)| open.replica == replica);
        let left: Vec<i64> = left.map(|(xid, _)| *xid).collect();
        for xid in left {
            self.end(xid);
        }
    }

    fn end(&mut self, xid: i64) -> Option<Open> {
        let open = self.open.remove(&xid)?;
        for lock in &open.locks {
            self.locks.remove(lock);
        }
        Some(open)
    }

    // --- the relay's slot: statements of their own, which never stay open ---

    /// Takes the slot's lease if it is free; yields epoch and watermark.
    pub fn claim_slot(&mut self, replica: u8, now: i64, lease: i64) -> Option<(i64, i64)> {
        self.xid();
        let slot = &mut self.slot;
        if slot.leased_until >= now && slot.holder != Some(replica) {
            return None;
        }
        slot.epoch = planted::next_epoch(slot.epoch);
        slot.holder = Some(replica);
        slot.leased_until = now + lease;
        Some((slot.epoch, slot.watermark))
    }

    /// Writes the watermark and renews the lease; yields the transaction's id.
    pub fn mark(&mut self, epoch: i64, watermark: i64, leased_until: i64) -> Option<i64> {
        let xid = self.xid();
        if self.slot.epoch != epoch {
            return None;
        }
        self.slot.watermark = watermark;
        self.slot.leased_until = leased_until;
        Some(xid)
    }

    /// What one snapshot shows of the outbox, and its `xmin`.
    #[must_use]
    pub fn read(&self, read: &Read) -> (Vec<Row<Outgoing>>, i64) {
        let mut rows: BTreeMap<i64, &Outgoing> = BTreeMap::new();
        for (first, last) in &read.gaps {
            rows.extend(
                self.tables
                    .outbox
                    .range(*first..=*last)
                    .map(|(p, row)| (*p, row)),
            );
        }
        if let Some(first) = read.after.checked_add(1) {
            let fresh = self.tables.outbox.range(first..).take(read.limit);
            rows.extend(fresh.map(|(p, row)| (*p, row)));
        }
        let rows = rows.into_values().take(read.limit).map(|row| Row {
            position: row.position,
            key: key_of(&row.envelope.subject),
            record: row.clone(),
        });
        let xmin = self.open.keys().next().copied().unwrap_or(self.next_xid);
        (rows.collect(), xmin)
    }

    /// Whether the watermark has reached the last row.
    #[must_use]
    pub fn is_published(&self) -> bool {
        let last = self.tables.outbox.keys().next_back().copied().unwrap_or(0);
        self.slot.watermark >= last
    }

    // --- the consumer's positions ---

    /// Takes a partition over; yields epoch and position, or none while a transaction holds it.
    pub fn claim_partition(&mut self, partition: i32) -> Option<PositionRow> {
        if !self.is_free(&[Lock::Partition(partition)]) {
            return None;
        }
        self.xid();
        let row = self.tables.positions.entry(partition).or_default();
        row.epoch += 1;
        Some(*row)
    }
}
