//! Orders in the database: folded from their events, appended with their row and their outbox pointer.
//!
//! Whoever changes orders loads them with [`load_orders`], decides, and hands the events to
//! [`Store::append`], all in one transaction. One statement a table, however many orders.

use std::collections::BTreeMap;
use std::sync::Arc;

use brewline_kernel::{Envelope, IdGenerator, OrderId, TraceParent};
use brewline_messaging::Outbox;
use brewline_order_domain::order::{self, Order, OrderEvent};
use brewline_postgres::{self as postgres, Connection, Instant, Transaction};
use uuid::Uuid;

use super::event_codec;
use rows::Rows;

mod rows;

/// The topic of order events.
pub const TOPIC: &str = "brewline.order.events.v1";
/// The aggregate's name in the outbox; the view `outbox_record` finds the body by it.
pub const AGGREGATE_TYPE: &str = "order";
/// Who writes these events.
pub const SOURCE: &str = "brewline/order";

/// What was decided about one order, on the state it was loaded in.
#[derive(Debug, Clone)]
pub struct Change {
    before: Option<Order>,
    events: Vec<OrderEvent>,
    cause: Cause,
}

/// What led to a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cause {
    /// Shared by everything that one request set in motion.
    pub correlation_id: Uuid,
    /// The event that led to it; none when a request or a timer did.
    pub causation_id: Option<Uuid>,
    /// The trace it belongs to.
    pub traceparent: Option<TraceParent>,
}

/// Why orders could not be loaded or appended to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database's fault.
    #[error(transparent)]
    Database(#[from] postgres::Error),
    /// Somebody else wrote the version that was decided on.
    #[error("an order was changed by somebody else in between")]
    VersionConflict,
    /// What is stored cannot be read.
    #[error("order {order_id} cannot be read: {detail}")]
    Corrupt {
        /// The order.
        order_id: OrderId,
        /// What is wrong.
        detail: String,
    },
    /// Events that cannot be the first of an order.
    #[error("these events do not make an order")]
    NotAnOrder,
}

/// Writes orders. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    outbox: Outbox,
    ids: Arc<dyn IdGenerator>,
}

const LOCK: &str =
    "select order_id from orders where order_id = any($1) order by order_id for update";

const EVENTS: &str = "select order_id, version, type, payload, occurred_at from order_event \
    where order_id = any($1) order by order_id, version";

const FIRST_EVENTS: &str = "select order_id, version, type, payload, occurred_at from order_event \
    where order_id = any($1) and version = 1 order by order_id";

/// The orders named, folded from their events; those that do not exist are absent. Their rows stay
/// locked until the transaction ends, taken in id order, so that two loaders never wait for each other
/// in a circle.
///
/// # Errors
/// When the database fails or an event cannot be read.
pub async fn load_orders(
    tx: &Transaction<'_>,
    order_ids: &[OrderId],
) -> Result<BTreeMap<OrderId, Order>, Error> {
    let ids = uuids(order_ids);
    let named: [&(dyn postgres::ToSql + Sync); 1] = [&ids];
    // Sent together, run in turn: the second statement's snapshot is taken once the locks are held, so
    // it sees what the former holders committed.
    let (_, rows) = futures_util::try_join!(tx.query(LOCK, &named), tx.query(EVENTS, &named))?;
    fold_rows(&rows)
}

/// The orders named as they were accepted, whatever happened to them since; no locks.
///
/// # Errors
/// When the database fails or an event cannot be read.
pub async fn load_as_placed(
    tx: &Transaction<'_>,
    order_ids: &[OrderId],
) -> Result<BTreeMap<OrderId, Order>, Error> {
    let rows = tx.query(FIRST_EVENTS, &[&uuids(order_ids)]).await?;
    fold_rows(&rows)
}

/// One order's events, oldest first, each with the order after it.
///
/// # Errors
/// When the database fails or an event cannot be read.
pub async fn history(
    connection: &Connection,
    order_id: OrderId,
) -> Result<Vec<(OrderEvent, Order)>, Error> {
    let rows = connection.query(EVENTS, &[&uuids(&[order_id])]).await?;
    let (mut history, mut order) = (Vec::with_capacity(rows.len()), None);
    for row in &rows {
        let (event, after) = next(order, row)?;
        order = Some(after.clone());
        history.push((event, after));
    }
    Ok(history)
}

/// Writes events and rows that are true already, and tells nobody.
///
/// # Errors
/// As [`Store::append`].
pub async fn replay(
    tx: &Transaction<'_>,
    changes: Vec<Change>,
    ids: &dyn IdGenerator,
) -> Result<(), Error> {
    let mut rows = Rows::default();
    for change in changes {
        rows.add(change, ids)?;
    }
    futures_util::try_join!(rows.insert_events(tx), rows.write_orders(tx))?;
    Ok(())
}

fn uuids(order_ids: &[OrderId]) -> Vec<Uuid> {
    order_ids.iter().map(OrderId::as_uuid).collect()
}

fn fold_rows(rows: &[postgres::Row]) -> Result<BTreeMap<OrderId, Order>, Error> {
    let mut orders = BTreeMap::new();
    for row in rows {
        let order_id = OrderId::new(row.get(0));
        let (_, order) = next(orders.remove(&order_id), row)?;
        orders.insert(order_id, order);
    }
    Ok(orders)
}

/// The event in `row`, and the order after it.
fn next(before: Option<Order>, row: &postgres::Row) -> Result<(OrderEvent, Order), Error> {
    let order_id = OrderId::new(row.get(0));
    let corrupt = |detail: String| Error::Corrupt { order_id, detail };
    let event = event_codec::decode(row.get(2), row.get(3), row.get::<_, Instant>(4).0)
        .map_err(|error| corrupt(error.to_string()))?;
    let order = order::evolve(before, &event)
        .ok_or_else(|| corrupt("its first event does not place it".to_owned()))?;
    if order.version != row.get::<_, i64>(1) {
        return Err(corrupt("its versions have a gap".to_owned()));
    }
    Ok((event, order))
}

// === impl Change ===

impl Change {
    /// `events` decided on `before`; none when they place the order.
    #[must_use]
    pub const fn new(before: Option<Order>, events: Vec<OrderEvent>, cause: Cause) -> Self {
        Self {
            before,
            events,
            cause,
        }
    }
}

// === impl Cause ===

impl Cause {
    /// A request about an order. Everything that happens to one order is set in motion by its placing,
    /// so the order's id serves as the correlation id and nobody has to carry another one.
    #[must_use]
    pub const fn request(order_id: OrderId, traceparent: Option<TraceParent>) -> Self {
        Self {
            correlation_id: order_id.as_uuid(),
            causation_id: None,
            traceparent,
        }
    }

    /// An event that was consumed.
    #[must_use]
    pub fn event(envelope: &Envelope) -> Self {
        Self {
            correlation_id: envelope.correlation_id,
            causation_id: Some(envelope.id),
            traceparent: envelope.traceparent,
        }
    }
}

// === impl Error ===

impl From<Error> for brewline_messaging::Failure {
    /// A version conflict cannot happen to who loaded under the row's lock; should it, the batch is
    /// halved and tried again like any other fault of a record.
    fn from(error: Error) -> Self {
        match error {
            Error::Database(error) => Self::Database(error),
            Error::VersionConflict | Error::Corrupt { .. } | Error::NotAnOrder => Self::Poison {
                reason: error.to_string(),
            },
        }
    }
}

// === impl Store ===

impl Store {
    /// Writes through `outbox`, naming events by `ids`.
    #[must_use]
    pub fn new(outbox: Outbox, ids: Arc<dyn IdGenerator>) -> Self {
        Self { outbox, ids }
    }

    /// The outbox, for events that are not about orders.
    #[must_use]
    pub const fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Makes the changes true: events, rows and outbox pointers. Answers the orders after them, in the
    /// order given; a change without events is left as it was. Each order stands in `changes` once.
    ///
    /// # Errors
    /// [`Error::VersionConflict`] when an order is no longer at the version its change was decided on;
    /// the transaction is then of no further use.
    pub async fn append(
        &self,
        tx: &Transaction<'_>,
        changes: Vec<Change>,
    ) -> Result<Vec<Order>, Error> {
        let mut rows = Rows::default();
        let mut after = Vec::with_capacity(changes.len());
        for change in changes {
            after.push(rows.add(change, &*self.ids)?);
        }
        let pointers = rows.take_pointers();
        futures_util::try_join!(rows.insert_events(tx), rows.write_orders(tx), async {
            Ok(self.outbox.append(tx, &pointers).await?)
        })?;
        Ok(after)
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}
