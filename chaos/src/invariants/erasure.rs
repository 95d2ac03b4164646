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
/// parked records; nor, after the bound of compaction, in older records.
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
        for (service, tables) in &all.messaging {
            let tables = evidence!(judge, tables);
            kept(service, tables, customer, &mut judge);
        }
        elsewhere(all, customer, erasure, &mut judge);
    }
    judge.finish()
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
