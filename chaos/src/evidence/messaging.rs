use std::collections::{BTreeMap, BTreeSet};

use brewline_kernel::Timestamp;
use brewline_postgres::{Connection, Error, Instant, Row};
use uuid::Uuid;

/// One event on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRow {
    /// The event's id.
    pub id: Uuid,
    /// The topic it goes to.
    pub topic: String,
    /// The subject it is about.
    pub subject: String,
    /// The subject's version.
    pub version: i64,
    /// The digest of its body; none of a body that was blanked, as those of erased customers are.
    pub body: Option<u64>,
    /// The relay slot.
    pub slot: i16,
    /// Its position in the slot.
    pub position: i64,
    /// How long before reading it was written, in seconds.
    pub age_seconds: i64,
}

/// A relay slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Its number.
    pub slot: i16,
    /// How often it has changed hands.
    pub epoch: i64,
    /// Everything up to here is said to be in the log.
    pub watermark: i64,
}

/// How far a consumer is in one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The consumer.
    pub consumer: String,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// How often it has changed hands.
    pub epoch: i64,
    /// The next offset to be handled.
    pub next_offset: i64,
}

/// The last version of a subject that a consumer applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxRow {
    /// The version.
    pub version: i64,
    /// The event that carried it.
    pub event_id: Uuid,
}

/// A record given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The consumer that gave it up.
    pub consumer: String,
    /// Where its record stands.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// The event, where the record says which.
    pub event: Option<Uuid>,
    /// The subject behind which later records wait.
    pub subject: String,
    /// Why.
    pub reason: String,
    /// Whether nobody has decided on it yet.
    pub open: bool,
}

/// One service's message tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Messaging {
    /// What was to be published.
    pub outbox: Vec<OutboxRow>,
    /// The relay's slots.
    pub slots: Vec<Slot>,
    /// How far each consumer is.
    pub positions: Vec<Position>,
    /// By consumer, topic and subject.
    pub inbox: BTreeMap<(String, String, String), InboxRow>,
    /// Records given up.
    pub dead_letters: Vec<DeadLetter>,
    /// Consumer and subject of every key that waits.
    pub parked: BTreeSet<(String, String)>,
    /// Consumer, topic, subject and version of every record that waits.
    pub parked_records: BTreeSet<(String, String, String, i64)>,
    /// Where bodies of customers' records are kept (`dead letters`, `parked records`), and the customer
    /// whose personal data is in them.
    pub personal: BTreeSet<(&'static str, String)>,
}

// === impl Messaging ===

impl Messaging {
    /// Rows of the outbox and the inbox are read from `since` on, everything else whole.
    pub(super) async fn read(db: &Connection, since: Timestamp) -> Result<Self, Error> {
        Ok(Self {
            outbox: outbox(db, since).await?,
            slots: slots(db).await?,
            positions: positions(db).await?,
            inbox: inbox(db, since).await?,
            dead_letters: dead_letters(db).await?,
            parked: parked(db).await?,
            parked_records: parked_records(db).await?,
            personal: personal(db).await?,
        })
    }
}

pub(super) async fn slots(db: &Connection) -> Result<Vec<Slot>, Error> {
    let sql = "select slot, epoch, watermark from relay_slot order by slot";
    let rows = db.query(sql, &[]).await?;
    Ok(rows
        .iter()
        .map(|row| Slot {
            slot: row.get(0),
            epoch: row.get(1),
            watermark: row.get(2),
        })
        .collect())
}

async fn outbox(db: &Connection, since: Timestamp) -> Result<Vec<OutboxRow>, Error> {
    let sql = "select id, topic, aggregate_id, version, coalesce(payload, ''), slot, position,
                      extract(epoch from now() - occurred_at)::bigint
               from outbox_record where occurred_at >= $1 order by slot, position";
    Ok(outbox_rows(&db.query(sql, &[&Instant(since)]).await?))
}

/// The rows of these events, whatever their position.
pub(super) async fn rows_of(db: &Connection, events: &[Uuid]) -> Result<Vec<OutboxRow>, Error> {
    let sql = "select id, topic, aggregate_id, version, coalesce(payload, ''), slot, position,
                      extract(epoch from now() - occurred_at)::bigint
               from outbox_record where id = any($1)";
    Ok(outbox_rows(&db.query(sql, &[&events]).await?))
}

fn outbox_rows(rows: &[Row]) -> Vec<OutboxRow> {
    rows.iter()
        .map(|row| OutboxRow {
            id: row.get(0),
            topic: row.get(1),
            subject: row.get(2),
            version: row.get(3),
            body: digest(row.get(4)),
            slot: row.get(5),
            position: row.get(6),
            age_seconds: row.get(7),
        })
        .collect()
}

fn digest(body: &[u8]) -> Option<u64> {
    (!body.is_empty()).then(|| super::digest(body))
}

async fn positions(db: &Connection) -> Result<Vec<Position>, Error> {
    let sql = "select consumer, topic, partition, epoch, next_offset from consumer_position";
    let rows = db.query(sql, &[]).await?;
    Ok(rows
        .iter()
        .map(|row| Position {
            consumer: row.get(0),
            topic: row.get(1),
            partition: row.get(2),
            epoch: row.get(3),
            next_offset: row.get(4),
        })
        .collect())
}

async fn inbox(
    db: &Connection,
    since: Timestamp,
) -> Result<BTreeMap<(String, String, String), InboxRow>, Error> {
    let sql =
        "select consumer, topic, subject, version, event_id from inbox where updated_at >= $1";
    let rows = db.query(sql, &[&Instant(since)]).await?;
    Ok(rows
        .iter()
        .map(|row| {
            let key = (row.get(0), row.get(1), row.get(2));
            (
                key,
                InboxRow {
                    version: row.get(3),
                    event_id: row.get(4),
                },
            )
        })
        .collect())
}

async fn dead_letters(db: &Connection) -> Result<Vec<DeadLetter>, Error> {
    let sql = "select consumer, topic, partition, record_offset, event_id, subject, reason,
                      outcome = 'open'
               from dead_letter";
    let rows = db.query(sql, &[]).await?;
    Ok(rows
        .iter()
        .map(|row| DeadLetter {
            consumer: row.get(0),
            topic: row.get(1),
            partition: row.get(2),
            offset: row.get(3),
            event: row.get(4),
            subject: row.get(5),
            reason: row.get(6),
            open: row.get(7),
        })
        .collect())
}

async fn parked_records(db: &Connection) -> Result<BTreeSet<(String, String, String, i64)>, Error> {
    let sql = "select consumer, topic, subject, version from parked";
    let rows = db.query(sql, &[]).await?;
    let of = |row: &Row| (row.get(0), row.get(1), row.get(2), row.get(3));
    Ok(rows.iter().map(of).collect())
}

/// Customers' records that are kept whole outside of the log, and hold a name or an address.
async fn personal(db: &Connection) -> Result<BTreeSet<(&'static str, String)>, Error> {
    let sql = "select 'd', subject, event_type, payload from dead_letter
               where topic = 'brewline.customer.events.v1' and payload is not null
               union all
               select 'p', subject, '', payload from parked
               where topic = 'brewline.customer.events.v1' and payload is not null";
    let mut found = BTreeSet::new();
    for row in db.query(sql, &[]).await? {
        let (place, payload): (&str, &[u8]) = (row.get(0), row.get(3));
        let place = if place == "d" {
            "dead letters"
        } else {
            "parked records"
        };
        if super::facts::is_personal(payload) {
            found.insert((place, row.get(1)));
        }
    }
    Ok(found)
}

async fn parked(db: &Connection) -> Result<BTreeSet<(String, String)>, Error> {
    let rows = db
        .query("select consumer, subject from parked_key", &[])
        .await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// The instant a database's clock shows.
pub(super) async fn clock(db: &Connection) -> Result<Timestamp, Error> {
    let Instant(now) = db.query_one("select clock_timestamp()", &[]).await?.get(0);
    Ok(now)
}
