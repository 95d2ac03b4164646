use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use uuid::Uuid;

use super::evidence;
use crate::evidence::{
    Evidence, LogRecord, Messaging, Orders, OutboxRow, SagaEntry, born_ms, topics,
};
use crate::verdict::{Finding, Judge};

/// How old an unpublished row may be before it counts as forgotten, in seconds.
const UNPUBLISHED_SECONDS_MAX: i64 = 90;

/// Topics on which only the newest record of a subject must stay.
const COMPACTED: [&str; 2] = [
    "brewline.customer.events.v1",
    "brewline.catalogue.events.v1",
];

/// I10: what happened to an order was to be published; what was to be published is in the log,
/// unchanged; what is in the log was to be published; and the first occurrences of each subject are in
/// the order of its versions.
pub(super) fn outbox_and_log_agree(all: &Evidence, mut judge: Judge) -> Finding {
    let log = evidence!(judge, all.log);
    let orders = evidence!(judge, all.orders);
    for service in all.messaging.values() {
        let tables = evidence!(judge, service);
        rows_are_in_the_log(tables, log, &mut judge);
    }
    events_have_rows(all, orders, &mut judge);
    records_have_rows(all, log, &mut judge);
    first_occurrences_in_order(log, &mut judge);
    judge.finish()
}

fn rows_are_in_the_log(tables: &Messaging, log: &[LogRecord], judge: &mut Judge) {
    let records: HashMap<Uuid, &LogRecord> = log.iter().map(|record| (record.id, record)).collect();
    let newest = newest_versions(log);
    let watermark: HashMap<i16, i64> = tables.slots.iter().map(|s| (s.slot, s.watermark)).collect();
    for row in tables
        .outbox
        .iter()
        .filter(|row| !row.topic.ends_with(".dead-letter"))
    {
        judge.subject();
        let published = watermark
            .get(&row.slot)
            .is_some_and(|mark| row.position <= *mark);
        match records.get(&row.id) {
            Some(record) => same_event(row, record, judge),
            None if published && !superseded(row, &newest) => {
                judge.violation(
                    row.subject.parse().ok(),
                    format!("{} never reached the log", name(row)),
                );
            }
            None if row.age_seconds > UNPUBLISHED_SECONDS_MAX && !superseded(row, &newest) => {
                let age = row.age_seconds;
                judge.violation(
                    row.subject.parse().ok(),
                    format!("{} waits for the relay since {age} s", name(row)),
                );
            }
            None => {}
        }
    }
}

fn same_event(row: &OutboxRow, record: &LogRecord, judge: &mut Judge) {
    let same = (
        row.topic.as_str(),
        row.subject.as_str(),
        row.version,
        row.body.unwrap_or(record.body),
    ) == (
        record.topic,
        record.subject.as_str(),
        record.version,
        record.body,
    );
    if !same {
        judge.violation(
            row.subject.parse().ok(),
            format!("{} differs from its record", name(row)),
        );
    }
}

/// On a compacted topic a newer record of the subject may have replaced this one.
fn superseded(row: &OutboxRow, newest: &HashMap<(&str, &str), i64>) -> bool {
    COMPACTED.contains(&row.topic.as_str())
        && newest
            .get(&(&*row.topic, &*row.subject))
            .is_some_and(|version| *version > row.version)
}

fn newest_versions(log: &[LogRecord]) -> HashMap<(&str, &str), i64> {
    let mut newest = HashMap::new();
    for record in log {
        let version = newest
            .entry((record.topic, record.subject.as_str()))
            .or_insert(record.version);
        *version = record.version.max(*version);
    }
    newest
}

/// An order's event and its outbox row are one commit, and the events were read first: so each of them
/// has its row.
fn events_have_rows(all: &Evidence, orders: &Orders, judge: &mut Judge) {
    let Some(Ok(tables)) = all.messaging.get("order") else {
        return;
    };
    let rows: HashSet<Uuid> = tables.outbox.iter().map(|row| row.id).collect();
    for (order, events) in &orders.events {
        for event in events.iter().filter(|event| !rows.contains(&event.id)) {
            let (kind, version) = (&event.kind, event.version);
            judge.violation(
                Some(*order),
                format!("{kind} version {version} was never to be published"),
            );
        }
    }
}

fn records_have_rows(all: &Evidence, log: &[LogRecord], judge: &mut Judge) {
    for (topic, service) in topics() {
        let Some(Ok(tables)) = all.messaging.get(service) else {
            continue;
        };
        let rows: HashSet<Uuid> = tables.outbox.iter().map(|row| row.id).collect();
        let mut missing = BTreeSet::new();
        for record in log.iter().filter(|record| record.topic == topic) {
            // The outbox is kept for days; older records have outlived their rows.
            if !rows.contains(&record.id) && born_ms(record.id) >= all.since.as_millis() {
                missing.insert(record.id);
            }
        }
        for id in missing {
            judge.violation(
                None,
                format!("{topic} holds event {id}, which {service} never wrote"),
            );
        }
    }
}

fn first_occurrences_in_order(log: &[LogRecord], judge: &mut Judge) {
    let mut seen: HashSet<Uuid> = HashSet::with_capacity(log.len());
    let mut last: HashMap<(&str, &str), i64> = HashMap::new();
    for record in log {
        if !seen.insert(record.id) {
            continue;
        }
        let before = last
            .insert((record.topic, &record.subject), record.version)
            .unwrap_or(0);
        let follows = if COMPACTED.contains(&record.topic) {
            record.version > before
        } else {
            record.version == before + 1
        };
        if !follows {
            judge.violation(
                record.subject.parse().ok(),
                format!(
                    "{} version {} follows version {before} in the log",
                    record.kind, record.version
                ),
            );
        }
    }
}

fn name(row: &OutboxRow) -> String {
    format!("{} {} version {}", row.topic, row.subject, row.version)
}

/// I11: each event moved each stock once, and each checkout on once.
pub(super) fn effect_once(all: &Evidence, mut judge: Judge) -> Finding {
    let books = evidence!(judge, all.stock);
    let orders = evidence!(judge, all.orders);
    let log = evidence!(judge, all.log);
    let mut moved = HashSet::new();
    for movement in &books.ledger {
        judge.subject();
        if !moved.insert((movement.cause, movement.stock_id)) {
            let (kind, cause) = (&movement.kind, movement.cause);
            judge.violation(
                movement.order,
                format!("event {cause} moved its stock twice ({kind})"),
            );
        }
    }
    let published: HashSet<Uuid> = log.iter().map(|record| record.id).collect();
    for movement in books.ledger.iter().filter(|m| m.order.is_some()) {
        if !published.contains(&movement.cause) {
            judge.violation(
                movement.order,
                format!("{} without an event", movement.kind),
            );
        }
    }
    let judged = all.judged();
    for (order, entries) in orders.saga_log.iter().filter(|(id, _)| judged.contains(id)) {
        judge.subject();
        for trigger in moved_twice(entries) {
            judge.violation(Some(*order), format!("{trigger} moved the checkout twice"));
        }
    }
    answers_once(&judged, log, &mut judge);
    judge.finish()
}

/// The events of inventory that a checkout reacted to more than once. One reaction may leave several
/// entries, which follow each other and lead on; a second reaction begins anew.
fn moved_twice(entries: &[SagaEntry]) -> Vec<&str> {
    let mut seen = HashSet::new();
    let mut twice = Vec::new();
    let mut before: Option<&SagaEntry> = None;
    for entry in entries {
        let trigger = entry.trigger.as_str();
        let continues = before.is_some_and(|b| b.trigger == trigger) && entry.from != entry.to;
        if trigger.starts_with("stock-") && !continues && !seen.insert(trigger) {
            twice.push(trigger);
        }
        before = Some(entry);
    }
    twice
}

/// Inventory answers each order's placing once, and each event of an aggregate has one id.
fn answers_once(judged: &BTreeSet<Uuid>, log: &[LogRecord], judge: &mut Judge) {
    let mut ids: HashMap<(&str, &str, i64), Uuid> = HashMap::new();
    for record in log {
        let id = *ids
            .entry((record.topic, &record.subject, record.version))
            .or_insert(record.id);
        if id != record.id {
            judge.violation(
                record.subject.parse().ok(),
                format!(
                    "two events are version {} ({})",
                    record.version, record.kind
                ),
            );
        }
    }
    let mut answered: BTreeMap<Uuid, BTreeSet<Uuid>> = BTreeMap::new();
    for record in log
        .iter()
        .filter(|record| record.topic == "brewline.inventory.events.v1")
    {
        let order = record
            .subject
            .parse::<Uuid>()
            .ok()
            .filter(|id| judged.contains(id));
        if let (Some(order), 1) = (order, record.version) {
            answered.entry(order).or_default().insert(record.id);
        }
    }
    for order in judged {
        let answers = answered.get(order).map_or(0, BTreeSet::len);
        if answers != 1 {
            judge.violation(
                Some(*order),
                format!("inventory answered its placing {answers} times"),
            );
        }
    }
}

/// I12: below each stored position every record was applied, or is parked behind a dead letter; and
/// no position is ahead of the log.
pub(super) fn nothing_skipped(all: &Evidence, mut judge: Judge) -> Finding {
    let log = evidence!(judge, all.log);
    let mut partitions: HashMap<(&str, i32), Vec<&LogRecord>> = HashMap::new();
    for record in log {
        partitions
            .entry((record.topic, record.partition))
            .or_default()
            .push(record);
    }
    for service in all.messaging.values() {
        let tables = evidence!(judge, service);
        for position in &tables.positions {
            judge.subject();
            let records = partitions.get(&(&*position.topic, position.partition));
            let records = records.map_or(&[][..], Vec::as_slice);
            let below = records
                .iter()
                .filter(|record| record.offset < position.next_offset)
                // What was applied before the cut is not in the inbox as it was read.
                .filter(|record| born_ms(record.id) >= all.since.as_millis());
            unapplied(tables, &position.consumer, below.copied(), &mut judge);
            let end = records.last().map_or(0, |record| record.offset + 1);
            if position.next_offset > end && !COMPACTED.contains(&position.topic.as_str()) {
                let (consumer, next) = (&position.consumer, position.next_offset);
                judge.violation(
                    None,
                    format!("{consumer} is at {next}; the log ends at {end}"),
                );
            }
        }
    }
    judge.finish()
}

fn unapplied<'a>(
    tables: &Messaging,
    consumer: &str,
    below: impl Iterator<Item = &'a LogRecord>,
    judge: &mut Judge,
) {
    let waits: HashSet<&str> = tables
        .parked
        .iter()
        .filter(|(name, _)| name == consumer)
        .map(|(_, subject)| subject.as_str())
        .chain(
            tables
                .dead_letters
                .iter()
                .filter(|d| d.consumer == consumer)
                .map(|d| &*d.subject),
        )
        .collect();
    let mut newest: BTreeMap<&str, &LogRecord> = BTreeMap::new();
    for record in below {
        let entry = newest.entry(&record.subject).or_insert(record);
        if record.version > entry.version {
            *entry = record;
        }
    }
    for (subject, record) in newest {
        let key = (
            consumer.to_owned(),
            record.topic.to_owned(),
            subject.to_owned(),
        );
        let applied = tables.inbox.get(&key).map_or(0, |row| row.version);
        if applied < record.version && !waits.contains(subject) {
            judge.violation(
                subject.parse().ok(),
                format!(
                    "{consumer} is past {} version {} of {subject} and applied only version {applied}",
                    record.kind, record.version
                ),
            );
        }
    }
}
