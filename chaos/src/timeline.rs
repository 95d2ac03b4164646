//! An order's whole story, from every source, in the order of time.

use brewline_kernel::Timestamp;
use serde::ser::Error as _;
use serde::{Serialize, Serializer};
use uuid::Uuid;

use crate::evidence::{Delivery, Evidence};

/// One thing that happened to an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// When, in microseconds since 1970; RFC 3339 in JSON. The clocks of one machine agree; those of
    /// several may not.
    #[serde(rename = "at", serialize_with = "as_rfc3339")]
    pub at_micros: i64,
    /// Who says so: `order`, `checkout`, `log`, `stock`, `payment`, `card processor`, `notification`,
    /// `mailbox` or `boards`.
    pub source: &'static str,
    /// What.
    pub text: String,
}

/// Everything on record about `order`.
#[must_use]
pub fn of(all: &Evidence, order: Uuid) -> Vec<Entry> {
    let mut entries = Vec::new();
    order_and_checkout(all, order, &mut entries);
    records(all, order, &mut entries);
    stock(all, order, &mut entries);
    money(all, order, &mut entries);
    told(all, order, &mut entries);
    entries.sort_by_key(|entry| entry.at_micros);
    entries
}

fn order_and_checkout(all: &Evidence, order: Uuid, entries: &mut Vec<Entry>) {
    let Ok(orders) = &all.orders else { return };
    for event in orders.events.get(&order).into_iter().flatten() {
        let kind = short(&event.kind);
        entries.push(entry(
            event.at,
            "order",
            format!("{kind} (version {})", event.version),
        ));
    }
    for step in orders.saga_log.get(&order).into_iter().flatten() {
        let actions = if step.actions.is_empty() {
            String::new()
        } else {
            format!("; {}", step.actions.join(", "))
        };
        let text = format!("{} → {} on {}{actions}", step.from, step.to, step.trigger);
        entries.push(entry(step.at, "checkout", text));
    }
}

fn records(all: &Evidence, order: Uuid, entries: &mut Vec<Entry>) {
    let Ok(log) = &all.log else { return };
    let subject = order.to_string();
    for record in log.iter().filter(|record| record.subject == subject) {
        let (topic, partition, offset) = (record.topic, record.partition, record.offset);
        let text = format!(
            "{} version {} at {topic}/{partition}/{offset}, event {}, relay epoch {}",
            record.kind, record.version, record.id, record.epoch
        );
        entries.push(entry(record.at, "log", text));
    }
}

fn stock(all: &Evidence, order: Uuid, entries: &mut Vec<Entry>) {
    let Ok(books) = &all.stock else { return };
    for movement in books
        .ledger
        .iter()
        .filter(|movement| movement.order == Some(order))
    {
        let stock = books
            .levels
            .get(&movement.stock_id)
            .map_or("?", |level| level.name.as_str());
        let text = format!(
            "{} of {stock}: on hand {:+} = {}, reserved {:+} = {}",
            movement.kind,
            movement.on_hand.0,
            movement.on_hand.1,
            movement.reserved.0,
            movement.reserved.1
        );
        entries.push(entry(movement.at, "stock", text));
    }
}

fn money(all: &Evidence, order: Uuid, entries: &mut Vec<Entry>) {
    for posting in all
        .postings
        .iter()
        .flatten()
        .filter(|posting| posting.order == order)
    {
        let text = format!(
            "{} ({:+} {})",
            posting.event, posting.net_minor, posting.currency
        );
        entries.push(entry(posting.at, "payment", text));
    }
    for line in all
        .processor
        .iter()
        .flatten()
        .filter(|line| line.order() == Some(order))
    {
        let text = format!(
            "{:?} of {} {}: {}, key {}",
            line.kind, line.amount_minor, line.currency, line.status, line.key
        );
        entries.push(entry(instant(&line.at), "card processor", text));
    }
}

/// What its customer was told, and whether the boards count it.
fn told(all: &Evidence, order: Uuid, entries: &mut Vec<Entry>) {
    let notified = all.notified.iter().flatten();
    for delivery in notified.flat_map(|notified| &notified.deliveries) {
        if delivery.order == order {
            let Delivery {
                kind,
                state,
                attempts,
                reason,
                ..
            } = delivery;
            let why = if reason.is_empty() {
                String::new()
            } else {
                format!(": {reason}")
            };
            let text =
                format!("mail that it is {kind} planned; {state} after {attempts} attempts{why}");
            entries.push(entry(delivery.planned_at, "notification", text));
        }
    }
    for mail in all.mailbox.iter().flatten().flatten() {
        if let Some((_, kind)) = mail.about.as_ref().filter(|(about, _)| *about == order) {
            let text = format!("mail that it is {kind} arrived: {}", mail.message_id);
            entries.push(entry(mail.at, "mailbox", text));
        }
    }
    let (Some(Ok(boards)), Ok(log)) = (&all.boards, &all.log) else {
        return;
    };
    let subject = order.to_string();
    for record in log.iter().filter(|record| record.subject == subject) {
        let place = (record.topic.to_owned(), record.partition);
        let read = boards
            .positions
            .get(&place)
            .is_some_and(|next| record.offset < *next);
        let counts = match record.kind.as_str() {
            "OrderConfirmed" => "counted",
            "OrderCancelled" => "taken back, if it was counted",
            _ => continue,
        };
        let text = if read { counts } else { "not read yet" };
        entries.push(entry(record.at, "boards", text.to_owned()));
    }
}

fn entry(at: Timestamp, source: &'static str, text: String) -> Entry {
    Entry {
        at_micros: at.as_micros(),
        source,
        text,
    }
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "the shape that serde wants"
)]
fn as_rfc3339<S: Serializer>(micros: &i64, to: S) -> Result<S::Ok, S::Error> {
    let at = jiff::Timestamp::from_microsecond(*micros).map_err(S::Error::custom)?;
    to.collect_str(&format_args!("{at:.6}"))
}

fn instant(rfc3339: &str) -> Timestamp {
    let parsed = rfc3339.parse::<jiff::Timestamp>();
    Timestamp::from_micros(parsed.map_or(0, jiff::Timestamp::as_microsecond))
}

fn short(kind: &str) -> &str {
    kind.rsplit('.').next().unwrap_or(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entrys_instant_is_rfc_3339_text() {
        let entry = entry(Timestamp::from_micros(1_500_000), "order", "x".to_owned());
        let json = serde_json::to_value(entry).unwrap();
        assert_eq!(json["at"], "1970-01-01T00:00:01.500000Z");
        assert!(json.get("atMicros").is_none());
    }
}
