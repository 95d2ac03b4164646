use std::collections::{BTreeMap, BTreeSet};

use brewline_kernel::Timestamp;
use brewline_postgres::{Connection, Error, Instant, Row};
use uuid::Uuid;

/// What the notification service has on record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notified {
    /// Mails to customers, sent or not.
    pub deliveries: Vec<Delivery>,
    /// What customers want, by customer; whoever is not among them wants everything.
    pub wishes: BTreeMap<String, Wish>,
    /// Who is known: whether a name or an address is among what is known of them.
    pub people: BTreeMap<String, bool>,
    /// Webhook endpoints: their ids and addresses.
    pub endpoints: BTreeMap<Uuid, String>,
}

/// One mail to a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The order it tells about.
    pub order: Uuid,
    /// `confirmed`, `rejected`, `ready` or `cancelled`.
    pub kind: String,
    /// `waiting`, `pending`, `sent`, `expired` or `failed`.
    pub state: String,
    /// How often it was tried.
    pub attempts: i32,
    /// Why it was not sent; may be empty.
    pub reason: String,
    /// When it was planned.
    pub planned_at: Timestamp,
}

/// What a customer wants to be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// How.
    pub channels: BTreeSet<String>,
    /// About what.
    pub kinds: BTreeSet<String>,
    /// Since when.
    pub since: Timestamp,
}

// === impl Wish ===

impl Wish {
    /// Whether a mail of this kind is wanted.
    #[must_use]
    pub fn wants_mail(&self, kind: &str) -> bool {
        self.channels.contains("email") && self.kinds.contains(kind)
    }
}

// === impl Notified ===

impl Notified {
    /// Deliveries planned since then; everything else whole.
    pub(super) async fn read(db: &Connection, since: Timestamp) -> Result<Self, Error> {
        let sql = "select order_id, kind, state, attempts, reason, created_at
                   from delivery where channel = 'email' and created_at >= $1";
        let deliveries = db.query(sql, &[&Instant(since)]).await?;
        Ok(Self {
            deliveries: deliveries.iter().map(delivery).collect(),
            wishes: wishes(db).await?,
            people: people(db).await?,
            endpoints: endpoints(db).await?,
        })
    }
}

/// The deliveries of these orders, whenever they were planned.
pub(super) async fn deliveries_of(
    db: &Connection,
    orders: &[Uuid],
) -> Result<Vec<Delivery>, Error> {
    let sql = "select order_id, kind, state, attempts, reason, created_at
               from delivery where channel = 'email' and order_id = any($1)";
    Ok(db
        .query(sql, &[&orders])
        .await?
        .iter()
        .map(delivery)
        .collect())
}

fn delivery(row: &Row) -> Delivery {
    let Instant(planned_at) = row.get(5);
    Delivery {
        order: row.get(0),
        kind: row.get(1),
        state: row.get(2),
        attempts: row.get(3),
        reason: row.get(4),
        planned_at,
    }
}

async fn wishes(db: &Connection) -> Result<BTreeMap<String, Wish>, Error> {
    let sql = "select customer_id, channels, kinds, updated_at from preference";
    let rows = db.query(sql, &[]).await?;
    let wish = |row: &Row| {
        let (channels, kinds): (Vec<String>, Vec<String>) = (row.get(1), row.get(2));
        let Instant(since) = row.get(3);
        let wish = Wish {
            channels: channels.into_iter().collect(),
            kinds: kinds.into_iter().collect(),
            since,
        };
        (row.get(0), wish)
    };
    Ok(rows.iter().map(wish).collect())
}

async fn people(db: &Connection) -> Result<BTreeMap<String, bool>, Error> {
    let sql = "select customer_id, coalesce(name, '') <> '' or coalesce(email, '') <> ''
               from customer";
    let rows = db.query(sql, &[]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

async fn endpoints(db: &Connection) -> Result<BTreeMap<Uuid, String>, Error> {
    let rows = db
        .query("select endpoint_id, url from endpoint", &[])
        .await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}
