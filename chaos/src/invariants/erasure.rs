use std::collections::BTreeMap;
use std::time::Duration;

use super::{evidence, offered};
use crate::STUCK_AFTER;
use crate::evidence::{Erasure, Evidence, Fact, LogRecord, Messaging, Person};
use crate::verdict::{Finding, Judge};

const CUSTOMERS: &str = "brewline.customer.events.v1";
/// The bound within which compaction takes older records away (24 h), and as much again for a broker
/// that has just been down.
const COMPACTED_WITHIN: Duration = Duration::from_secs(48 * 3_600);

/// Erasure: nothing personal of an erased customer is left in the tables of the order service, in its
/// outbox or answers, in the newest record of the topic, in what others built from it, in dead letters or
/// parked records, in log files; nor, after the bound of compaction, in older records. What is kept of a
/// blanked body is the hash of the body that the log holds.
pub(super) fn nothing_personal_left(all: &Evidence, mut judge: Judge) -> Finding {
    let erasures = offered!(judge, all.erasures, "erasures");
    let log = evidence!(judge, all.log);
    let people = people(log);
    for (customer, erasure) in erasures {
        judge.subject();
        for place in &erasure.left {
            wrong(customer, place, &mut judge);
        }
        let records = people.get(customer.as_str()).map_or(&[][..], Vec::as_slice);
        topic(all, customer, erasure, records, &mut judge);
        blanked(erasure, records, &mut judge);
        logged(all, customer, records, &mut judge);
        for (service, tables) in &all.messaging {
            let tables = evidence!(judge, tables);
            kept(service, tables, customer, &mut judge);
        }
        elsewhere(all, customer, erasure, &mut judge);
    }
    for record in evidence!(judge, all.dead)
        .iter()
        .filter(|record| record.has_body)
    {
        let (partition, offset) = (record.partition, record.offset);
        judge.violation(
            None,
            format!("{CUSTOMERS}.dead-letter/{partition}/{offset} has a body"),
        );
    }
    match &all.addresses_logged {
        Some(Err(why)) => return judge.unknown(why.clone()),
        None => judge.note("log files are not judged: they are not at hand".to_owned()),
        Some(Ok(_)) => {}
    }
    judge.finish()
}

/// The log knows the bodies that were blanked: their hashes are those of its records.
fn blanked(erasure: &Erasure, records: &[(&LogRecord, &Person)], judge: &mut Judge) {
    for blanked in &erasure.blanked {
        let mut same = records
            .iter()
            .filter(|(record, _)| record.id == blanked.event);
        if same.any(|(_, person)| person.sha256 != blanked.sha256) {
            judge.violation(
                None,
                format!("the hash kept of {} is not that of its body", blanked.event),
            );
        }
    }
}

/// No address that the log still knows of this customer stands in a log file.
fn logged(all: &Evidence, customer: &str, records: &[(&LogRecord, &Person)], judge: &mut Judge) {
    let Some(Ok(addresses)) = &all.addresses_logged else {
        return;
    };
    let mut known = records.iter().flat_map(|(_, person)| &person.personal);
    if known.any(|text| addresses.contains(text)) {
        wrong(customer, "log files", judge);
    }
}

fn wrong(customer: &str, place: &str, judge: &mut Judge) {
    judge.violation(
        None,
        format!("{customer} is erased, and personal data is left in {place}"),
    );
}

fn people(log: &[LogRecord]) -> BTreeMap<&str, Vec<(&LogRecord, &Person)>> {
    let mut people: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for record in log.iter().filter(|record| record.topic == CUSTOMERS) {
        if let Some(Fact::Customer(person)) = record.fact.as_deref() {
            people.entry(&person.id).or_default().push((record, person));
        }
    }
    people
}

fn topic(
    all: &Evidence,
    customer: &str,
    erasure: &Erasure,
    records: &[(&LogRecord, &Person)],
    judge: &mut Judge,
) {
    let age = all.now.since(erasure.at);
    let told = records
        .iter()
        .find(|(record, _)| record.version >= erasure.version);
    if told.is_none() && age > STUCK_AFTER {
        judge.violation(
            None,
            format!("{customer} is erased, and its topic does not say so"),
        );
    }
    for (record, person) in records
        .iter()
        .filter(|(_, person)| !person.personal.is_empty())
    {
        let place = format!("{}/{}/{}", record.topic, record.partition, record.offset);
        // Compaction takes the older ones away, within its bound.
        if record.version >= erasure.version || person.erased || age > COMPACTED_WITHIN {
            wrong(customer, &place, judge);
        }
    }
}

/// Dead letters and parked records that hold a body about this customer.
fn kept(service: &str, tables: &Messaging, customer: &str, judge: &mut Judge) {
    for (kind, subject) in &tables.personal {
        if subject == customer {
            wrong(customer, &format!("{kind} of {service}"), judge);
        }
    }
}

/// What the notification service built: once it has applied the erasure, nothing of it; and it applies
/// it in time.
fn elsewhere(all: &Evidence, customer: &str, erasure: &Erasure, judge: &mut Judge) {
    let (Some(Ok(notified)), Some(Ok(tables))) = (&all.notified, all.messaging.get("notification"))
    else {
        return;
    };
    let rows = tables.inbox.iter();
    let mut own = rows.filter(|((_, topic, subject), _)| topic == CUSTOMERS && subject == customer);
    let applied = own.next().map_or(0, |(_, row)| row.version);
    let is_known = notified.people.contains_key(customer);
    let has_wish = notified.wishes.contains_key(customer);
    let late = all.now.since(erasure.at) > STUCK_AFTER;
    if applied < erasure.version {
        // Where its inbox was cut off before that, nothing is said of it.
        if late && applied > 0 && is_known {
            judge.violation(
                None,
                format!("{customer} is erased, and notification has not noticed"),
            );
        }
        return;
    }
    if notified.people.get(customer).copied().unwrap_or_default() {
        wrong(customer, "the customers of notification", judge);
    }
    if has_wish {
        wrong(customer, "the preferences of notification", judge);
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;
    use crate::evidence::{InboxRow, Notified};

    fn person(version: i64, erased: bool) -> LogRecord {
        let mail = if erased {
            vec![]
        } else {
            vec!["ana@example.com".to_owned()]
        };
        let (id, personal) = ("ana".to_owned(), mail.into_iter().collect());
        sample::record(
            CUSTOMERS,
            version,
            Fact::Customer(Person {
                id,
                erased,
                personal,
                sha256: vec![1],
            }),
        )
    }

    /// Ana was erased, everywhere.
    fn evidence() -> Evidence {
        let mut all = sample::evidence();
        all.log
            .as_mut()
            .unwrap()
            .extend([person(1, false), person(2, true)]);
        let erasure = Erasure {
            version: 2,
            at: sample::SOLD_AT,
            left: Vec::new(),
            blanked: Vec::new(),
        };
        all.erasures = Some(Ok([("ana".to_owned(), erasure)].into()));
        notified(&mut all).wishes.clear();
        knows(&mut all, 2, false);
        all
    }

    fn notified(all: &mut Evidence) -> &mut Notified {
        all.notified.as_mut().unwrap().as_mut().unwrap()
    }

    fn knows(all: &mut Evidence, version: i64, personal: bool) {
        notified(all).people.insert("ana".to_owned(), personal);
        let tables = all
            .messaging
            .get_mut("notification")
            .unwrap()
            .as_mut()
            .unwrap();
        let key = ["brewline.notification.customers", CUSTOMERS, "ana"].map(str::to_owned);
        let row = InboxRow {
            version,
            event_id: uuid::Uuid::nil(),
        };
        tables.inbox.insert(key.into(), row);
    }

    fn damaged(told: &str, damage: impl FnOnce(&mut Evidence)) {
        let mut all = evidence();
        damage(&mut all);
        let wrong = sample::wrong("erasure", &all);
        assert!(
            wrong.iter().any(|wrong| wrong.contains(told)),
            "{told:?} is not among {wrong:?}"
        );
    }

    #[test]
    fn what_was_erased_everywhere_is_without_fault() {
        assert_eq!(sample::wrong("erasure", &evidence()), Vec::<String>::new());
    }

    #[test]
    fn what_the_order_service_forgets_is_noticed() {
        damaged("left in idempotent answers", |all| {
            let erasures = all.erasures.as_mut().unwrap().as_mut().unwrap();
            let erasure = erasures.get_mut("ana").unwrap();
            erasure.left.push("idempotent answers".to_owned());
        });
    }

    #[test]
    fn what_others_built_is_noticed() {
        damaged("the customers of notification", |all| knows(all, 2, true));
        damaged("the preferences of notification", |all| {
            notified(all)
                .wishes
                .insert("ana".to_owned(), crate::evidence::Wish::default());
        });
        damaged("notification has not noticed", |all| {
            knows(all, 1, true);
            all.now = all.now.plus(STUCK_AFTER * 2);
        });
        let mut young = evidence();
        knows(&mut young, 1, true);
        assert_eq!(
            sample::wrong("erasure", &young),
            Vec::<String>::new(),
            "it is on its way"
        );
    }

    #[test]
    fn a_dead_letter_that_keeps_a_name_is_noticed() {
        damaged("dead letters of notification", |all| {
            let tables = all
                .messaging
                .get_mut("notification")
                .unwrap()
                .as_mut()
                .unwrap();
            tables.personal.insert(("dead letters", "ana".to_owned()));
        });
    }

    #[test]
    fn a_record_of_a_dead_letter_that_keeps_its_body_is_noticed() {
        let dead = |has_body| crate::evidence::DeadRecord {
            partition: 0,
            offset: 3,
            has_body,
        };
        damaged("dead-letter/0/3 has a body", |all| {
            all.dead = Ok(vec![dead(true)])
        });
        let mut all = evidence();
        all.dead = Ok(vec![dead(false)]);
        assert_eq!(sample::wrong("erasure", &all), Vec::<String>::new());
    }

    #[test]
    fn an_address_in_a_log_file_is_noticed() {
        let logged = |address: &str| Some(Ok([address.to_owned()].into()));
        damaged("left in log files", |all| {
            all.addresses_logged = logged("ana@example.com");
        });
        let mut all = evidence();
        all.addresses_logged = logged("bob@example.com");
        assert_eq!(sample::wrong("erasure", &all), Vec::<String>::new());
    }

    #[test]
    fn a_hash_of_another_body_than_the_logs_is_noticed() {
        let blank = |all: &mut Evidence, hash: u8| {
            let log = all.log.as_ref().unwrap();
            let first = log.iter().find(|record| record.topic == CUSTOMERS);
            let blanked = crate::evidence::Blanked {
                event: first.unwrap().id,
                sha256: vec![hash],
            };
            let erasures = all.erasures.as_mut().unwrap().as_mut().unwrap();
            erasures.get_mut("ana").unwrap().blanked.push(blanked);
        };
        damaged("is not that of its body", |all| blank(all, 2));
        let mut all = evidence();
        blank(&mut all, 1);
        assert_eq!(sample::wrong("erasure", &all), Vec::<String>::new());
    }

    #[test]
    fn a_topic_that_keeps_a_name_is_noticed() {
        damaged("left in brewline.customer.events.v1", |all| {
            all.now = all.now.plus(COMPACTED_WITHIN * 2);
        });
        damaged("left in brewline.customer.events.v1", |all| {
            all.log.as_mut().unwrap().push(person(3, false));
        });
        damaged("its topic does not say so", |all| {
            all.log
                .as_mut()
                .unwrap()
                .retain(|record| record.version == 1 || record.topic != CUSTOMERS);
            all.now = all.now.plus(STUCK_AFTER * 2);
        });
    }
}
