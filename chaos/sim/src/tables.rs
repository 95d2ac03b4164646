//! What a database holds, and how it changes.

use std::collections::{BTreeMap, BTreeSet};

use brewline_chaos::evidence::{Movement, Posting, SagaEntry};
use brewline_inventory_domain::{Reservation, StockAccount};
use brewline_kernel::{Envelope, OrderId, ProductId, Timestamp};
use brewline_messaging::Delivery;
use brewline_messaging::consumer::plan::Subject;
use brewline_order_domain::checkout::CheckoutState;
use brewline_order_domain::order::Order;
use brewline_payment_domain::Payment;
use uuid::Uuid;

use crate::broker::{Outgoing, Service};

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

// === impl Tables ===

impl Tables {
    /// Makes a change; an event takes its place in the outbox of `service` at `position`.
    pub fn apply(&mut self, service: Service, position: Option<i64>, write: Write) {
        match write {
            Write::Order(order, event) => {
                self.order_events.entry(order.id).or_default().push(event);
                self.orders.insert(order.id, *order);
            }
            Write::Saga(order, saga) => drop(self.sagas.insert(order, *saga)),
            Write::Key(key, order) => drop(self.keys.insert(key, order)),
            Write::Reservation(order, reservation) => {
                self.reservations.insert(order, reservation);
            }
            Write::Stock(product, account) => drop(self.stock.insert(product, account)),
            Write::Movement(movement) => self.movements.push(movement),
            Write::Payment(payment) => drop(self.payments.insert(payment.order_id, *payment)),
            Write::Posting(posting) => self.postings.push(posting),
            Write::Emit(envelope, body) => {
                let position = position.unwrap_or(0);
                let row = Outgoing {
                    service,
                    position,
                    envelope,
                    body,
                };
                self.outbox.insert(position, row);
            }
            inbound @ (Write::Position(..)
            | Write::Applied(..)
            | Write::Hold(..)
            | Write::Release(..)
            | Write::Flow(_)) => self.consume(inbound),
        }
    }

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
            Write::Order(..)
            | Write::Saga(..)
            | Write::Key(..)
            | Write::Reservation(..)
            | Write::Stock(..)
            | Write::Movement(_)
            | Write::Payment(_)
            | Write::Posting(_)
            | Write::Emit(..) => {}
        }
    }
}
