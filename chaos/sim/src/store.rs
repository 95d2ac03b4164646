//! A service's database: serial transactions over plain tables.
//!
//! A transaction locks what it touches, draws its id and its outbox positions, and stays open until it
//! is committed whole or rolled back whole. So positions become visible in another order than they
//! were drawn in, and those of a rolled back transaction never do.

use std::collections::{BTreeMap, BTreeSet};

use brewline_chaos::evidence::{Movement, Posting, SagaEntry};
use brewline_inventory_domain::{Reservation, StockAccount};
use brewline_kernel::{Envelope, OrderId, ProductId, Timestamp};
use brewline_messaging::Delivery;
use brewline_messaging::consumer::plan::Subject;
use brewline_messaging::relay::core::{Read, Row};
use brewline_order_domain::checkout::CheckoutState;
use brewline_order_domain::order::Order;
use brewline_payment_domain::Payment;
use uuid::Uuid;

use crate::broker::{Outgoing, Service, key_of};
use crate::planted;

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

/// One change of a table.
#[derive(Clone, Debug)]
pub enum Write {
    /// An order after one more event.
    Order(Box<Order>, OrderEventRow),
    /// A checkout.
    Saga(OrderId, Box<SagaRow>),
    /// An idempotency key.
    Key(String, OrderId),
    /// A reservation.
    Reservation(OrderId, Reservation),
    /// A stock row.
    Stock(ProductId, StockAccount),
    /// An entry of the stock ledger.
    Movement(Movement),
    /// A payment.
    Payment(Box<Payment>),
    /// An entry of the money ledger.
    Posting(Posting),
    /// An event for the outbox.
    Emit(Envelope, String),
    /// A consumer's position.
    Position(i32, i64),
    /// The last version applied of a subject.
    Applied(Subject, i64, Uuid),
    /// A record held for a missing version.
    Hold(Subject, Delivery),
    /// A held record that waits no more.
    Release(Subject, i64),
    /// A subject that waits no more.
    Flow(Subject),
}

/// A row of the order's event table.
#[derive(Clone, Debug)]
pub struct OrderEventRow {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub kind: &'static str,
    /// When it happened.
    pub at: Timestamp,
}

/// A row of table `saga`, with its log.
#[derive(Clone, Debug)]
pub struct SagaRow {
    /// Everything it remembers.
    pub state: CheckoutState,
    /// When it is looked at next.
    pub due_at: Option<Timestamp>,
    /// How often it was written.
    pub version: i64,
    /// Its steps.
    pub log: Vec<SagaEntry>,
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

/// A consumer's position in a partition.
#[derive(Clone, Copy, Debug, Default)]
pub struct PositionRow {
    /// How often it has changed hands.
    pub epoch: i64,
    /// The next offset.
    pub next: i64,
}

/// What was committed.
#[derive(Debug, Default)]
pub struct Tables {
    /// Orders.
    pub orders: BTreeMap<OrderId, Order>,
    /// Their events.
    pub order_events: BTreeMap<OrderId, Vec<OrderEventRow>>,
    /// Their checkouts.
    pub sagas: BTreeMap<OrderId, SagaRow>,
    /// Idempotency keys.
    pub keys: BTreeMap<String, OrderId>,
    /// Reservations.
    pub reservations: BTreeMap<OrderId, Reservation>,
    /// Stock.
    pub stock: BTreeMap<ProductId, StockAccount>,
    /// The stock ledger.
    pub movements: Vec<Movement>,
    /// Payments.
    pub payments: BTreeMap<OrderId, Payment>,
    /// The money ledger.
    pub postings: Vec<Posting>,
    /// The outbox, by position.
    pub outbox: BTreeMap<i64, Outgoing>,
    /// Consumer positions, by partition.
    pub positions: BTreeMap<i32, PositionRow>,
    /// The inbox.
    pub inbox: BTreeMap<Subject, (i64, Uuid)>,
    /// Records that wait for a missing version.
    pub held: BTreeMap<Subject, Vec<Delivery>>,
    /// Subjects that wait.
    pub waiting: BTreeSet<Subject>,
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
            self.apply(position, write);
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

    fn apply(&mut self, position: Option<i64>, write: Write) {
        let tables = &mut self.tables;
        match write {
            Write::Order(order, event) => {
                tables.order_events.entry(order.id).or_default().push(event);
                tables.orders.insert(order.id, *order);
            }
            Write::Saga(order, saga) => drop(tables.sagas.insert(order, *saga)),
            Write::Key(key, order) => drop(tables.keys.insert(key, order)),
            Write::Reservation(order, reservation) => {
                tables.reservations.insert(order, reservation);
            }
            Write::Stock(product, account) => drop(tables.stock.insert(product, account)),
            Write::Movement(movement) => tables.movements.push(movement),
            Write::Payment(payment) => drop(tables.payments.insert(payment.order_id, *payment)),
            Write::Posting(posting) => tables.postings.push(posting),
            Write::Emit(envelope, body) => {
                let position = position.unwrap_or(0);
                let service = self.service;
                let row = Outgoing {
                    service,
                    position,
                    envelope,
                    body,
                };
                tables.outbox.insert(position, row);
            }
            inbound => tables.consume(inbound),
        }
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

// === impl Tables ===

impl Tables {
    fn consume(&mut self, write: Write) {
        match write {
            Write::Position(partition, next) => {
                let row = self.positions.entry(partition).or_default();
                row.next = row.next.max(next);
            }
            Write::Applied(subject, version, id) => drop(self.inbox.insert(subject, (version, id))),
            Write::Hold(subject, delivery) => {
                self.waiting.insert(subject.clone());
                let held = self.held.entry(subject).or_default();
                held.push(delivery);
                held.sort_by_key(|delivery| delivery.envelope.version);
                held.dedup_by_key(|delivery| delivery.envelope.version);
            }
            Write::Release(subject, version) => {
                if let Some(held) = self.held.get_mut(&subject) {
                    held.retain(|delivery| delivery.envelope.version != version);
                }
            }
            Write::Flow(subject) => {
                self.waiting.remove(&subject);
                self.held.remove(&subject);
            }
            _ => {}
        }
    }
}
