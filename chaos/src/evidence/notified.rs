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

// === impl Notified ===

impl Notified {
    /// Orders about which a mail arrived that is not on record here, of its kind.
    pub(super) fn untold(&self, mailbox: &[super::Mail]) -> Vec<Uuid> {
        let known = self.deliveries.iter().map(|d| (d.order, d.kind.as_str()));
        let known: BTreeSet<(Uuid, &str)> = known.collect();
        let about = mailbox.iter().filter_map(|mail| mail.about.as_ref());
        let untold = about.filter(|(order, kind)| !known.contains(&(*order, kind.as_str())));
        let orders: BTreeSet<Uuid> = untold.map(|(order, _)| *order).collect();
        orders.into_iter().collect()
    }

    /// Adds what was read later, where it is not there yet: of each order and kind there is one.
    pub(super) fn add(&mut self, late: Vec<Delivery>) {
        let known = self.deliveries.iter();
        let known: BTreeSet<(Uuid, String)> = known.map(|d| (d.order, d.kind.clone())).collect();
        let new = late.into_iter();
        let new = new.filter(|d| !known.contains(&(d.order, d.kind.clone())));
        self.deliveries.extend(new);
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

#[cfg(test)]
mod tests {
    use super::super::Mail;
    use super::*;

    fn delivery(kind: &str) -> Delivery {
        Delivery {
            order: Uuid::from_u128(7),
            kind: kind.to_owned(),
            state: "sent".to_owned(),
            attempts: 1,
            reason: String::new(),
            planned_at: Timestamp::EPOCH,
        }
    }

    #[test]
    fn a_mail_of_another_kind_about_a_known_order_is_looked_up_and_what_is_known_stays_single() {
        let mail = |kind: &str| Mail {
            message_id: kind.to_owned(),
            about: Some((Uuid::from_u128(7), kind.to_owned())),
            at: Timestamp::EPOCH,
        };
        let mut notified = Notified {
            deliveries: vec![delivery("confirmed")],
            ..Notified::default()
        };
        assert!(notified.untold(&[mail("confirmed")]).is_empty());
        let mailbox = [mail("confirmed"), mail("ready")];
        assert_eq!(notified.untold(&mailbox), [Uuid::from_u128(7)]);
        notified.add(vec![delivery("confirmed"), delivery("ready")]);
        let kinds: Vec<&str> = notified
            .deliveries
            .iter()
            .map(|d| d.kind.as_str())
            .collect();
        assert_eq!(kinds, ["confirmed", "ready"]);
        assert!(notified.untold(&mailbox).is_empty());
    }
}
