//! The orders' events that are shown outside, in an order that never changes.
//!
//! A reader remembers the last position it saw and asks for what comes after it. So a position must never
//! appear below one that was visible already. Positions are drawn under a lock that is held until the
//! transaction ends, and the server releases locks after the commit is visible: whoever draws the next one
//! draws it when all lower ones can be seen. Writers of several replicas wait for each other for the end
//! of a transaction only; the alternative, reading below the oldest running transaction, would wait for the
//! slowest transaction of the whole server.

use brewline_kernel::Timestamp;
use brewline_postgres::{Connection, Error as DatabaseError, Instant, Row, Transaction};
use bytes::Bytes;
use uuid::Uuid;

// The lock's number means nothing; it is this statement's own.
const APPEND: &str = "
    with locked as materialized (select pg_advisory_xact_lock(6587891121))
    insert into event_log (position, event_id, order_id, type, store_id, occurred_at, payload)
    select nextval('event_position'), event_id, order_id, type, store_id, occurred_at, payload
      from (select e.* from locked cross join
                   unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[], $6::bytea[])
                   with ordinality as e(event_id, order_id, type, store_id, occurred_at, payload, n)
             order by e.n) as e";

// A filter that matches little must not read the whole log: a page looks at a bounded stretch, and the
// next page begins where it ended.
const AFTER: &str = "
    with stretch as (
        select position, event_id, order_id, type, store_id, occurred_at, payload
          from event_log where position > $1 order by position limit $4
    )
    select position, event_id, order_id, type, store_id, occurred_at, payload,
           (type = any($2::text[]) and ($3::text is null or store_id = $3)) as wanted
      from stretch order by position";

const LAST: &str = "select coalesce(max(position), 0) from event_log";

// The oldest have the lowest positions: it is enough to look at those.
const FORGET: &str = "
    delete from event_log where position in (
        select position
          from (select position, recorded_at from event_log order by position limit $2) as oldest
         where recorded_at < now() - $1::bigint * interval '1 s')";

/// An event as it is shown outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutsideEvent {
    /// The event's id.
    pub id: Uuid,
    /// The order.
    pub order: Uuid,
    /// Such as `order.confirmed`.
    pub kind: String,
    /// The store.
    pub store: String,
    /// When it happened.
    pub at: Timestamp,
    /// The event's body, as it came.
    pub payload: Bytes,
}

/// Which events are wanted.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Types.
    pub types: Vec<String>,
    /// Of this store only.
    pub store: Option<String>,
}

/// A stretch of the log, filtered.
#[derive(Clone, Debug)]
pub struct Page {
    /// The events that are wanted.
    pub events: Vec<OutsideEvent>,
    /// Where the next page begins.
    pub next: i64,
}

/// Appends events, in their order. Call it last: others wait for the commit.
///
/// # Errors
/// When the database fails.
pub async fn append(tx: &Transaction<'_>, events: &[OutsideEvent]) -> Result<(), DatabaseError> {
    if events.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = events.iter().map(|e| e.id).collect();
    let orders: Vec<Uuid> = events.iter().map(|e| e.order).collect();
    let types: Vec<&str> = events.iter().map(|e| e.kind.as_str()).collect();
    let stores: Vec<&str> = events.iter().map(|e| e.store.as_str()).collect();
    let times: Vec<Instant> = events.iter().map(|e| Instant(e.at)).collect();
    let payloads: Vec<&[u8]> = events.iter().map(|e| e.payload.as_ref()).collect();
    tx.execute(APPEND, &[&ids, &orders, &types, &stores, &times, &payloads])
        .await
        .map(drop)
}

/// What is wanted of the events after a position, at most `most`, out of the next `stretch`.
///
/// # Errors
/// When the database fails.
pub async fn after(
    connection: &Connection,
    position: i64,
    filter: &Filter,
    most: usize,
    stretch: i64,
) -> Result<Page, DatabaseError> {
    let rows = connection
        .query(AFTER, &[&position, &filter.types, &filter.store, &stretch])
        .await?;
    let (mut events, mut next) = (Vec::new(), position);
    for row in &rows {
        if row.try_get("wanted")? {
            if events.len() == most {
                break;
            }
            events.push(event(row)?);
        }
        next = row.try_get("position")?;
    }
    Ok(Page { events, next })
}

/// The last position.
///
/// # Errors
/// When the database fails.
pub async fn last(tx: &Transaction<'_>) -> Result<i64, DatabaseError> {
    Ok(tx.query_one(LAST, &[]).await?.try_get(0)?)
}

/// Forgets events older than so many seconds, at most `most`; says how many.
///
/// # Errors
/// When the database fails.
pub async fn forget(connection: &Connection, kept_s: i64, most: i64) -> Result<u64, DatabaseError> {
    connection.execute(FORGET, &[&kept_s, &most]).await
}

/// An event's columns, of this table or of `call`.
///
/// # Errors
/// When a column is not there.
pub fn event(row: &Row) -> Result<OutsideEvent, DatabaseError> {
    let payload: Vec<u8> = row.try_get("payload")?;
    Ok(OutsideEvent {
        id: row.try_get("event_id")?,
        order: row.try_get("order_id")?,
        kind: row.try_get("type")?,
        store: row.try_get("store_id")?,
        at: row.try_get::<_, Instant>("occurred_at")?.0,
        payload: payload.into(),
    })
}
