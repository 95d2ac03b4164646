//! Records as the fold takes them. What cannot be read is told with its reason.

use std::sync::Arc;

use brewline_kafka::Received;
use brewline_kernel::{Envelope, Timestamp};
use brewline_leaderboard_domain::{Event, Incoming, Kind, Product, Sale, Skipped, SoldLine, Topic};
use brewline_messaging::cloud_events;
use brewline_proto::catalogue::v1 as catalogue;
use brewline_proto::customer::v1 as customer;
use brewline_proto::money::v1::Money;
use brewline_proto::order::v1 as order;
use prost::Message;

/// The topics boards are folded from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    /// Orders.
    pub orders: String,
    /// Stores and products.
    pub catalogue: String,
    /// Customers.
    pub customers: String,
}

/// A record that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Its topic.
    pub topic: Topic,
    /// What it seems to be about: its key.
    pub subject: Arc<str>,
    /// Where it is, and why it cannot be read.
    pub skipped: Skipped,
}

// === impl Topics ===

impl Default for Topics {
    fn default() -> Self {
        Self {
            orders: "brewline.order.events.v1".to_owned(),
            catalogue: "brewline.catalogue.events.v1".to_owned(),
            customers: "brewline.customer.events.v1".to_owned(),
        }
    }
}

impl Topics {
    /// Which of them a name is.
    #[must_use]
    pub fn of(&self, name: &str) -> Option<Topic> {
        let all = [
            (&self.orders, Topic::Orders),
            (&self.catalogue, Topic::Catalogue),
            (&self.customers, Topic::Customers),
        ];
        all.into_iter()
            .find(|(topic, _)| *topic == name)
            .map(|(_, topic)| topic)
    }

    /// Their names.
    #[must_use]
    pub fn names(&self) -> [&str; 3] {
        [&self.orders, &self.catalogue, &self.customers]
    }
}

/// What a record says; nothing where boards do not care.
///
/// # Errors
/// When it cannot be read.
pub fn read(topics: &Topics, record: &Received) -> Result<Option<Incoming>, Box<Unreadable>> {
    let (Some(topic), Some(payload)) = (topics.of(&record.topic), record.payload.as_ref()) else {
        return Ok(None);
    };
    let unreadable = |event_type: &str, reason: String| {
        Box::new(Unreadable {
            topic,
            subject: String::from_utf8_lossy(&record.key).into(),
            skipped: Skipped {
                partition: record.partition,
                offset: record.offset,
                reason,
                event_type: event_type.to_owned(),
                at: record.timestamp,
                followers: 0,
            },
        })
    };
    let envelope =
        cloud_events::envelope(record).map_err(|error| unreadable("", error.to_string()))?;
    let event = event(topic, &envelope, payload);
    let event = event.map_err(|reason| unreadable(&envelope.event_type, reason))?;
    Ok(event.map(|event| Incoming {
        topic,
        partition: record.partition,
        subject: envelope.subject.into(),
        version: envelope.version,
        at: envelope.time,
        event,
    }))
}

fn event(topic: Topic, envelope: &Envelope, payload: &[u8]) -> Result<Option<Event>, String> {
    let name = envelope.event_type.rsplit('.').next().unwrap_or_default();
    match (topic, name) {
        (Topic::Orders, "OrderConfirmed") => confirmed(decode(payload)?).map(Some),
        (Topic::Orders, "OrderCancelled") => cancelled(decode(payload)?).map(Some),
        (Topic::Orders, _) => Ok(Some(Event::Moved)),
        (Topic::Catalogue, "StoreChanged") => {
            let store: catalogue::StoreChanged = decode(payload)?;
            Ok(Some(Event::Store {
                time_zone: store.time_zone,
            }))
        }
        (Topic::Catalogue, "ProductChanged") => product(decode(payload)?).map(Some),
        (Topic::Customers, "CustomerChanged") => {
            let customer: customer::CustomerChanged = decode(payload)?;
            let may_show = customer.show_name && !customer.erased && !customer.name.is_empty();
            Ok(Some(Event::Customer {
                shown: may_show.then_some(customer.name),
            }))
        }
        (Topic::Catalogue | Topic::Customers, _) => Ok(None),
    }
}

fn confirmed(message: order::OrderConfirmed) -> Result<Event, String> {
    let at = message.confirmed_at.ok_or("confirmed_at is missing")?;
    let mut sale = Sale {
        store: message.store_id,
        customer: message.customer_id,
        lines: lines(message.lines)?,
        total_minor: 0,
        currency: String::new(),
        confirmed_at: instant(at),
    };
    total(&mut sale, message.total)?;
    if brewline_failpoint::planted("boards-count-twice") {
        for line in &mut sale.lines {
            line.quantity *= 2;
        }
        sale.total_minor *= 2;
    }
    Ok(Event::Confirmed(Box::new(sale)))
}

fn cancelled(message: order::OrderCancelled) -> Result<Event, String> {
    let Some(at) = message.confirmed_at else {
        return Ok(Event::Cancelled(None));
    };
    if brewline_failpoint::planted("boards-forget-take-back") {
        return Ok(Event::Cancelled(None));
    }
    let mut sale = Sale {
        store: message.store_id,
        customer: message.customer_id,
        lines: lines(message.lines)?,
        total_minor: 0,
        currency: String::new(),
        confirmed_at: instant(at),
    };
    total(&mut sale, message.total)?;
    Ok(Event::Cancelled(Some(Box::new(sale))))
}

fn total(sale: &mut Sale, total: Option<Money>) -> Result<(), String> {
    let total = total.ok_or("total is missing")?;
    (sale.total_minor, sale.currency) = (total.amount_minor, total.currency);
    Ok(())
}

fn lines(lines: Vec<order::OrderLine>) -> Result<Vec<SoldLine>, String> {
    let line = |line: order::OrderLine| {
        Ok(SoldLine {
            kind: kind(line.kind())?,
            product: line.product_id,
            method: line.method,
            origin: line.origin,
            quantity: line.quantity,
        })
    };
    lines.into_iter().map(line).collect()
}

fn product(message: catalogue::ProductChanged) -> Result<Event, String> {
    Ok(Event::Product(Product {
        kind: kind(message.kind())?,
        name: message.name,
        method: message.method,
        retired: message.retired,
    }))
}

fn kind(kind: catalogue::ProductKind) -> Result<Kind, String> {
    match kind {
        catalogue::ProductKind::Drink => Ok(Kind::Drink),
        catalogue::ProductKind::Food => Ok(Kind::Food),
        catalogue::ProductKind::Unspecified => Err("kind is neither drink nor food".to_owned()),
    }
}

fn decode<M: Message + Default>(payload: &[u8]) -> Result<M, String> {
    M::decode(payload).map_err(|error| error.to_string())
}

fn instant(at: prost_types::Timestamp) -> Timestamp {
    let micros = i64::from(at.nanos) / 1_000;
    Timestamp::from_micros(at.seconds.saturating_mul(1_000_000).saturating_add(micros))
}

#[cfg(test)]
mod tests {
    use brewline_test_support::golden_events;

    use super::*;

    #[test]
    fn every_released_event_can_still_be_read() {
        for (topic, package) in [
            (Topic::Orders, "brewline.order.v1"),
            (Topic::Catalogue, "brewline.catalogue.v1"),
            (Topic::Customers, "brewline.customer.v1"),
        ] {
            for (envelope, body) in golden_events(package) {
                let read = event(topic, &envelope, &body).unwrap();
                assert!(read.is_some(), "{}", envelope.event_type);
            }
        }
    }
}
