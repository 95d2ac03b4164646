use std::collections::BTreeMap;

use brewline_kernel::Timestamp;
use brewline_postgres::{Connection, Error, Instant};
use uuid::Uuid;

/// How an order stands, as far as it decides whether it can be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The number of its events.
    pub version: i64,
    /// The number of writes to its checkout.
    pub saga_version: i64,
    /// Where its checkout stands.
    pub phase: String,
    /// Why its checkout stands aside; empty when it does not.
    pub parked_reason: String,
    /// Whether its checkout ended and nobody is being asked about it.
    pub closed: bool,
    /// When it was placed.
    pub placed_at: Timestamp,
    /// When its last event happened.
    pub updated_at: Timestamp,
}

/// An order as the view says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The store.
    pub store_id: String,
    /// Its status.
    pub status: String,
    /// Its total in minor units.
    pub total_minor: i64,
    /// Its currency.
    pub currency: String,
    /// When it was placed.
    pub placed_at: Timestamp,
    /// Whether `OrderConfirmed` is among its events.
    pub confirmed: bool,
}

/// One event of an order as the event table holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderEvent {
    /// Its place among the order's events, from 1.
    pub version: i64,
    /// Its id.
    pub id: Uuid,
    /// Its type.
    pub kind: String,
    /// When it happened.
    pub at: Timestamp,
}

/// One entry of a checkout's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SagaEntry {
    /// Counts from 1.
    pub sequence: i64,
    /// When.
    pub at: Timestamp,
    /// The phase before.
    pub from: String,
    /// The phase after.
    pub to: String,
    /// What it reacted to.
    pub trigger: String,
    /// What it decided.
    pub actions: Vec<String>,
}

/// A key and what it made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The key.
    pub key: String,
    /// The order, if it made one.
    pub order: Option<Uuid>,
}

/// The order service's tables, read in one snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Orders {
    /// The view `orders`.
    pub rows: BTreeMap<Uuid, Order>,
    /// The events by order.
    pub events: BTreeMap<Uuid, Vec<OrderEvent>>,
    /// The checkouts' logs by order.
    pub saga_log: BTreeMap<Uuid, Vec<SagaEntry>>,
    /// The idempotency keys of orders.
    pub keys: Vec<IdempotencyKey>,
}

// === impl Orders ===

impl Orders {
    /// Orders placed since an instant; and the keys made since another, which lies a little before.
    pub(super) async fn read(
        db: &Connection,
        since: Timestamp,
        keys_since: Timestamp,
    ) -> Result<Self, Error> {
        let events = events(db, since).await?;
        let mut rows = rows(db, since).await?;
        for (id, order) in &mut rows {
            let own = events.get(id).map_or(&[][..], Vec::as_slice);
            order.confirmed = own
                .iter()
                .any(|event| event.kind.ends_with("OrderConfirmed"));
        }
        let saga_log = saga_log(db, since).await?;
        Ok(Self {
            rows,
            events,
            saga_log,
            keys: keys(db, keys_since).await?,
        })
    }
}

/// How every order stands now.
pub(super) async fn marks(
    db: &Connection,
    since: Timestamp,
) -> Result<BTreeMap<Uuid, Mark>, Error> {
    let sql = "select o.order_id, o.version, s.version, s.state, coalesce(s.parked_reason, ''),
                      s.state in ('completed', 'undone') and o.status <> 'cancelling',
                      o.placed_at, o.updated_at
               from orders o join saga s on s.saga_id = o.order_id where o.placed_at >= $1";
    let rows = db.query(sql, &[&Instant(since)]).await?;
    Ok(rows
        .iter()
        .map(|row| {
            let (Instant(placed_at), Instant(updated_at)) = (row.get(6), row.get(7));
            let mark = Mark {
                version: row.get(1),
                saga_version: row.get(2),
                phase: row.get(3),
                parked_reason: row.get(4),
                closed: row.get(5),
                placed_at,
                updated_at,
            };
            (row.get(0), mark)
        })
        .collect())
}

async fn rows(db: &Connection, since: Timestamp) -> Result<BTreeMap<Uuid, Order>, Error> {
    let sql = "select order_id, store_id, status, total_minor, currency, placed_at
               from orders where placed_at >= $1";
    let rows = db.query(sql, &[&Instant(since)]).await?;
    Ok(rows
        .iter()
        .map(|row| {
            let Instant(placed_at) = row.get(5);
            let order = Order {
                store_id: row.get(1),
                status: row.get(2),
                total_minor: row.get(3),
                currency: row.get(4),
                placed_at,
                confirmed: false,
            };
            (row.get(0), order)
        })
        .collect())
}

async fn events(
    db: &Connection,
    since: Timestamp,
) -> Result<BTreeMap<Uuid, Vec<OrderEvent>>, Error> {
    let sql = "select order_id, version, event_id, type, occurred_at from order_event
               where occurred_at >= $1 order by order_id, version";
    let mut events: BTreeMap<Uuid, Vec<OrderEvent>> = BTreeMap::new();
    for row in db.query(sql, &[&Instant(since)]).await? {
        let Instant(at) = row.get(4);
        let event = OrderEvent {
            version: row.get(1),
            id: row.get(2),
            kind: row.get(3),
            at,
        };
        events.entry(row.get(0)).or_default().push(event);
    }
    Ok(events)
}

async fn saga_log(
    db: &Connection,
    since: Timestamp,
) -> Result<BTreeMap<Uuid, Vec<SagaEntry>>, Error> {
    let sql = "select l.saga_id, l.sequence, l.at, l.from_state, l.to_state, l.trigger, l.actions
               from saga_log l join orders o on o.order_id = l.saga_id
               where o.placed_at >= $1 order by l.saga_id, l.sequence";
    let mut log: BTreeMap<Uuid, Vec<SagaEntry>> = BTreeMap::new();
    for row in db.query(sql, &[&Instant(since)]).await? {
        let Instant(at) = row.get(2);
        let entry = SagaEntry {
            sequence: row.get(1),
            at,
            from: row.get(3),
            to: row.get(4),
            trigger: row.get(5),
            actions: row.get(6),
        };
        log.entry(row.get(0)).or_default().push(entry);
    }
    Ok(log)
}

async fn keys(db: &Connection, since: Timestamp) -> Result<Vec<IdempotencyKey>, Error> {
    let sql = "select key, order_id from idempotency_key
               where order_id is not null and created_at >= $1";
    let rows = db.query(sql, &[&Instant(since)]).await?;
    Ok(rows
        .iter()
        .map(|row| IdempotencyKey {
            key: row.get(0),
            order: row.get(1),
        })
        .collect())
}

// === impl Order ===

impl Order {
    /// Whether its customer has been, or will have been, charged.
    #[must_use]
    pub fn sold(&self) -> bool {
        matches!(
            self.status.as_str(),
            "confirmed" | "cancelling" | "preparing" | "ready" | "collected"
        )
    }
}
