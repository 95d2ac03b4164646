use std::collections::{BTreeMap, HashMap, HashSet};

use uuid::Uuid;

use super::evidence;
use crate::STUCK_AFTER;
use crate::evidence::{DeadLetter, Evidence, LogRecord, Messaging, Unreadable, born_ms};
use crate::verdict::{Finding, Judge};

/// Who has to read which topic through positions of its own, by the services' own names.
const READERS: [(&str, &str); 7] = [
    ("order", "brewline.inventory.events.v1"),
    ("order", "brewline.catalogue.events.v1"),
    ("order", "brewline.fulfilment.events.v1"),
    ("inventory", "brewline.order.events.v1"),
    ("barista", "brewline.order.events.v1"),
    ("notification", "brewline.order.events.v1"),
    ("notification", "brewline.customer.events.v1"),
];

/// The records of one topic by partition, in the order of their offsets.
type Partitions<'a> = BTreeMap<i32, Vec<&'a LogRecord>>;

/// What one consumer has on record about one topic.
#[derive(Debug, Default)]
struct Account<'a> {
    next: HashMap<i32, i64>,
    applied: HashMap<&'a str, i64>,
    parked: HashSet<(&'a str, i64)>,
    given_up: HashSet<(i32, i64)>,
}

/// I19: each record of the log was applied by each of its consumers, waits behind a dead letter, or is
/// a dead letter with a reason; and the dead letters are those that were to be expected.
pub(super) fn log_accounted(all: &Evidence, mut judge: Judge) -> Finding {
    let log = evidence!(judge, all.log);
    let unreadable = evidence!(judge, all.unreadable);
    let mut topics: HashMap<&str, Partitions<'_>> = HashMap::new();
    for record in log {
        let partitions = topics.entry(record.topic).or_default();
        partitions.entry(record.partition).or_default().push(record);
    }
    for (service, tables) in &all.messaging {
        let tables = evidence!(judge, tables);
        for ((consumer, topic), account) in accounts(service, tables) {
            if let Some(partitions) = topics.get(topic) {
                every_record(all, consumer, partitions, &account, &mut judge);
            }
            for record in unreadable.iter().filter(|record| record.topic == topic) {
                judge.subject();
                no_event(all, consumer, record, &account, &mut judge);
            }
        }
    }
    dead_letters(all, log, &mut judge);
    judge.finish()
}

/// By consumer and topic: those that there are and those that there must be.
fn accounts<'a>(
    service: &'a str,
    tables: &'a Messaging,
) -> BTreeMap<(&'a str, &'a str), Account<'a>> {
    let mut accounts: BTreeMap<(&str, &str), Account<'_>> = BTreeMap::new();
    for row in &tables.positions {
        let account = accounts.entry((&row.consumer, &row.topic)).or_default();
        account.next.insert(row.partition, row.next_offset);
    }
    for (_, topic) in READERS.iter().filter(|(reader, _)| *reader == service) {
        if !accounts.keys().any(|(_, read)| read == topic) {
            accounts.insert((service, topic), Account::default());
        }
    }
    for ((consumer, topic, subject), row) in &tables.inbox {
        let account = accounts.get_mut(&(consumer.as_str(), topic.as_str()));
        account.map(|account| account.applied.insert(subject, row.version));
    }
    for (consumer, topic, subject, version) in &tables.parked_records {
        let account = accounts.get_mut(&(consumer.as_str(), topic.as_str()));
        account.map(|account| account.parked.insert((subject, *version)));
    }
    for letter in &tables.dead_letters {
        let account = accounts.get_mut(&(letter.consumer.as_str(), letter.topic.as_str()));
        account.map(|account| account.given_up.insert((letter.partition, letter.offset)));
    }
    accounts
}

fn every_record(
    all: &Evidence,
    consumer: &str,
    partitions: &Partitions<'_>,
    account: &Account<'_>,
    judge: &mut Judge,
) {
    for (partition, records) in partitions {
        let next = account.next.get(partition).copied().unwrap_or(0);
        // One that nobody reads is told once, not once a record.
        let unread = records.iter().find(|record| record.offset >= next);
        let waits = unread.map(|record| (record, all.now.since(record.at)));
        if let Some((record, waits)) = waits.filter(|(_, waits)| *waits > STUCK_AFTER) {
            let (topic, offset) = (record.topic, record.offset);
            let seconds = waits.as_secs();
            judge.violation(
                record.subject.parse().ok(),
                format!("{topic}/{partition}/{offset} waits for {consumer} since {seconds} s"),
            );
        }
        let of_interest = records
            .iter()
            .filter(|record| record.offset < next && born_ms(record.id) >= all.since.as_millis());
        for record in of_interest {
            judge.subject();
            if !account.accounts_for(record) {
                let (topic, offset, kind) = (record.topic, record.offset, &record.kind);
                judge.violation(
                    record.subject.parse().ok(),
                    format!(
                        "{consumer} is past {topic}/{partition}/{offset} ({kind}) and neither applied it nor gave it up"
                    ),
                );
            }
        }
    }
}

/// What nobody can read, nobody can apply: whoever is past it has to have given it up.
fn no_event(
    all: &Evidence,
    consumer: &str,
    record: &Unreadable,
    account: &Account<'_>,
    judge: &mut Judge,
) {
    let Unreadable {
        topic,
        partition,
        offset,
        at,
        why,
    } = record;
    let is_past = account
        .next
        .get(partition)
        .is_some_and(|next| offset < next);
    let is_given_up = account.given_up.contains(&(*partition, *offset));
    let place = format!("{topic}/{partition}/{offset}, which is no event ({why})");
    if is_past && !is_given_up {
        judge.violation(
            None,
            format!("{consumer} is past {place}, and did not give it up"),
        );
    }
    if !is_past && all.now.since(*at) > STUCK_AFTER {
        judge.violation(None, format!("{consumer} does not get past {place}"));
    }
}

/// Each has a reason and its record; which of them are open is what was expected.
fn dead_letters(all: &Evidence, log: &[LogRecord], judge: &mut Judge) {
    let places: HashMap<(&str, i32, i64), Uuid> = log
        .iter()
        .map(|record| ((record.topic, record.partition, record.offset), record.id))
        .collect();
    let mut found: HashSet<Uuid> = HashSet::new();
    // What was given up before the cut was judged then.
    let since = all.since.as_millis();
    let read = all
        .messaging
        .values()
        .filter_map(|tables| tables.as_ref().ok());
    let letters = read.flat_map(|tables| &tables.dead_letters);
    let young = |letter: &&DeadLetter| letter.event.is_none_or(|event| born_ms(event) >= since);
    for letter in letters.filter(young) {
        judge.subject();
        found.extend(letter.event);
        let (consumer, subject) = (&letter.consumer, &letter.subject);
        if letter.reason.trim().is_empty() {
            judge.violation(
                None,
                format!("{consumer} gave up {subject} without a reason"),
            );
        }
        let place = (letter.topic.as_str(), letter.partition, letter.offset);
        let id = places.get(&place);
        if id.is_some_and(|id| letter.event.is_some_and(|event| event != *id)) {
            judge.violation(
                None,
                format!("{consumer} gave up {subject}: the log holds another event there"),
            );
        }
        open_letter(all, letter, judge);
    }
    for event in all
        .expected_dead_letters
        .difference(&found.into_iter().collect())
    {
        judge.violation(
            None,
            format!("event {event} should be a dead letter, and is not"),
        );
    }
}

fn open_letter(all: &Evidence, letter: &DeadLetter, judge: &mut Judge) {
    let is_expected = letter
        .event
        .is_some_and(|event| all.expected_dead_letters.contains(&event));
    if !letter.open || is_expected {
        return;
    }
    let (consumer, subject, reason) = (&letter.consumer, &letter.subject, &letter.reason);
    let told = format!("{consumer} gave up {subject}: {reason}");
    if all.healing_promised {
        judge.violation(subject.parse().ok(), told);
    } else {
        judge.note(told);
    }
}

// === impl Account ===

impl Account<'_> {
    fn accounts_for(&self, record: &LogRecord) -> bool {
        let subject = record.subject.as_str();
        self.applied
            .get(subject)
            .is_some_and(|applied| *applied >= record.version)
            || self.parked.contains(&(subject, record.version))
            || self.given_up.contains(&(record.partition, record.offset))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::sample::{self, ORDERS, damaged};
    use super::*;

    const BARISTA: &str = "brewline.barista.orders";

    fn barista(all: &mut Evidence) -> &mut Messaging {
        all.messaging.get_mut("barista").unwrap().as_mut().unwrap()
    }

    /// The barista did not apply the order's event, but gave it up.
    fn given_up(all: &mut Evidence, reason: &str) -> Uuid {
        let log = all.log.as_ref().unwrap();
        let event = log.iter().find(|record| record.topic == ORDERS).unwrap().id;
        let letter = DeadLetter {
            consumer: BARISTA.to_owned(),
            topic: ORDERS.to_owned(),
            partition: 0,
            offset: 0,
            event: Some(event),
            subject: sample::order().to_string(),
            reason: reason.to_owned(),
            open: true,
        };
        let tables = barista(all);
        tables.inbox.clear();
        tables.dead_letters.push(letter);
        event
    }

    #[test]
    fn a_record_that_was_passed_over_is_noticed() {
        damaged("I19", "neither applied it nor gave it up", |all| {
            barista(all).inbox.clear()
        });
    }

    #[test]
    fn a_dead_letter_or_a_parked_record_accounts_for_it() {
        let mut all = sample::evidence();
        let event = given_up(&mut all, "no sense");
        all.expected_dead_letters.insert(event);
        assert_eq!(sample::wrong("I19", &all), Vec::<String>::new());
        let mut all = sample::evidence();
        barista(&mut all).inbox.clear();
        let parked = (
            BARISTA.to_owned(),
            ORDERS.to_owned(),
            sample::order().to_string(),
            2,
        );
        barista(&mut all).parked_records.insert(parked);
        assert_eq!(sample::wrong("I19", &all), Vec::<String>::new());
    }

    #[test]
    fn an_unexpected_dead_letter_fails_where_healing_was_promised_and_is_listed_elsewhere() {
        damaged("I19", "gave up", |all| {
            given_up(all, "no sense");
        });
        let mut all = sample::evidence();
        given_up(&mut all, "no sense");
        all.healing_promised = false;
        assert_eq!(sample::wrong("I19", &all), Vec::<String>::new());
    }

    #[test]
    fn an_expected_dead_letter_that_is_missing_is_noticed() {
        damaged("I19", "should be a dead letter", |all| {
            all.expected_dead_letters.insert(Uuid::nil());
        });
    }

    #[test]
    fn a_dead_letter_says_why_and_where() {
        damaged("I19", "without a reason", |all| {
            given_up(all, " ");
        });
        damaged("I19", "holds another event there", |all| {
            given_up(all, "no sense");
            barista(all).dead_letters[0].event = Some(Uuid::nil());
        });
    }

    #[test]
    fn a_record_that_nobody_takes_is_noticed_in_time() {
        for (after, noticed) in [(Duration::ZERO, false), (STUCK_AFTER * 2, true)] {
            let mut all = sample::evidence();
            all.now = all.now.plus(after);
            barista(&mut all).positions.clear();
            assert_eq!(!sample::wrong("I19", &all).is_empty(), noticed, "{after:?}");
        }
    }

    #[test]
    fn what_is_no_event_is_given_up_by_whoever_is_past_it() {
        let odd = |offset: i64| Unreadable {
            topic: ORDERS,
            partition: 0,
            offset,
            at: sample::SOLD_AT,
            why: "it has no header ce_type".to_owned(),
        };
        damaged(
            "I19",
            "is no event (it has no header ce_type), and did not give",
            |all| {
                all.unreadable = Ok(vec![odd(0)]);
            },
        );
        let mut late = sample::evidence();
        late.now = late.now.plus(STUCK_AFTER * 2);
        late.unreadable = Ok(vec![odd(1_000)]);
        let wrong = sample::wrong("I19", &late);
        assert!(
            wrong
                .iter()
                .any(|wrong| wrong.contains("does not get past")),
            "{wrong:?}"
        );
    }
}
