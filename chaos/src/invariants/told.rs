use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use brewline_kernel::Timestamp;
use uuid::Uuid;

use super::{evidence, offered};
use crate::STUCK_AFTER;
use crate::evidence::{Delivery, Evidence, Fact, HookCall, LogRecord, Mail, Messaging, Notified};
use crate::verdict::{Finding, Judge};

const ORDERS: &str = "brewline.order.events.v1";
/// Consumers of the notification service.
const NOTIFICATION: &str = "brewline.notification.";
/// An order placed so shortly after its customer's last change of mind may be told either way.
const CHANGED_MIND_MICROS: i64 = 5_000_000;

/// What a customer may be told about an order: kind, and the version of the event that causes it.
type Outcomes = BTreeMap<&'static str, i64>;

/// An order as far as its customer is told about it.
#[derive(Debug, Default)]
struct Story<'a> {
    customer: &'a str,
    outcomes: Outcomes,
}

/// I7: about each order and outcome a customer gets one mail, which its repeats do not hide: one
/// Message-ID; a machine gets one event: one webhook-id; and whoever wanted a mail got it, unless the
/// record says why not.
pub(super) fn told_once(all: &Evidence, mut judge: Judge) -> Finding {
    let notified = offered!(judge, all.notified, "notifications");
    let orders = evidence!(judge, all.orders);
    let log = evidence!(judge, all.log);
    let Some(Ok(tables)) = all.messaging.get("notification") else {
        return judge.unknown("the message tables of notification could not be read");
    };
    let mailbox = offered!(judge, all.mailbox, "mailbox");
    let of_order = deliveries(notified, &mut judge);
    mails_once(all, &of_order, mailbox, &mut judge);
    let about = mailbox.iter().filter_map(|mail| mail.about.as_ref());
    let arrived: HashSet<(Uuid, &str)> =
        about.map(|(order, kind)| (*order, kind.as_str())).collect();
    let stories = stories(log);
    let applied = applied(tables);
    for id in all.judged() {
        let (Some(order), Some(story)) = (orders.rows.get(&id), stories.get(&id)) else {
            continue;
        };
        let known = applied.get(&id).copied().unwrap_or(0);
        for (kind, _) in story
            .outcomes
            .iter()
            .filter(|(_, version)| **version <= known)
        {
            judge.subject();
            let delivery = of_order.get(&(id, *kind)).copied();
            if delivery.is_none() && wanted(notified, story.customer, kind, order.placed_at) {
                judge.violation(
                    Some(id),
                    format!("its customer wanted a mail that it is {kind}, and none was planned"),
                );
            }
            if let Some(delivery) = delivery {
                arrived_or_why(all, delivery, &arrived, &mut judge);
            }
        }
    }
    calls_once(all, notified, &mut judge);
    judge.finish()
}

/// The deliveries by order and kind, of which there is one each.
fn deliveries<'a>(
    notified: &'a Notified,
    judge: &mut Judge,
) -> HashMap<(Uuid, &'a str), &'a Delivery> {
    let mut of_order = HashMap::new();
    for delivery in &notified.deliveries {
        let key = (delivery.order, delivery.kind.as_str());
        if of_order.insert(key, delivery).is_some() {
            let kind = &delivery.kind;
            judge.violation(
                Some(delivery.order),
                format!("two mails were planned that it is {kind}"),
            );
        }
    }
    of_order
}

/// A mail reader shows two mails where the Message-IDs differ.
fn mails_once(
    all: &Evidence,
    planned: &HashMap<(Uuid, &str), &Delivery>,
    mailbox: &[Mail],
    judge: &mut Judge,
) {
    let mut told: BTreeMap<(Uuid, &str), BTreeSet<&str>> = BTreeMap::new();
    for mail in mailbox {
        if let Some((order, kind)) = mail
            .about
            .as_ref()
            .filter(|(order, _)| all.in_scope(*order))
        {
            judge.subject();
            let ids = told.entry((*order, kind.as_str())).or_default();
            ids.insert(&mail.message_id);
        }
    }
    for ((order, kind), ids) in told {
        let count = ids.len();
        if count > 1 {
            judge.violation(
                Some(order),
                format!("its customer got {count} mails that it is {kind}"),
            );
        }
        if !planned.contains_key(&(order, kind)) {
            judge.violation(
                Some(order),
                format!("a mail arrived that it is {kind}, which is not on record"),
            );
        }
    }
}

/// Whether its customer wanted a mail of this kind about an order placed then.
fn wanted(notified: &Notified, customer: &str, kind: &str, placed_at: Timestamp) -> bool {
    // Whoever is erased, or is not known, can be told nothing.
    let reachable = notified.people.get(customer).copied().unwrap_or_default();
    let Some(wish) = notified.wishes.get(customer) else {
        return reachable;
    };
    let since = wish.since.as_micros().saturating_add(CHANGED_MIND_MICROS);
    reachable && wish.wants_mail(kind) && since < placed_at.as_micros()
}

fn arrived_or_why(
    all: &Evidence,
    delivery: &Delivery,
    arrived: &HashSet<(Uuid, &str)>,
    judge: &mut Judge,
) {
    let (order, kind, state) = (delivery.order, &delivery.kind, delivery.state.as_str());
    let mut wrong = |told: &str| {
        judge.violation(
            Some(order),
            format!("the mail that it is {kind} is {state} {told}"),
        );
    };
    match state {
        "sent" if !arrived.contains(&(order, kind.as_str())) => {
            wrong("and never arrived");
        }
        "expired" | "failed" if delivery.reason.trim().is_empty() => wrong("without a reason"),
        "sent" | "expired" | "failed" => {}
        _ => {
            let age = all.now.since(delivery.planned_at);
            if age > STUCK_AFTER && all.healing_promised {
                wrong(&format!("since {} s", age.as_secs()));
            }
        }
    }
}

/// A receiver takes two calls for two events where the ids differ.
fn calls_once(all: &Evidence, notified: &Notified, judge: &mut Judge) {
    let calls = match &all.hooks {
        None => return,
        Some(Err(why)) => return judge.note(format!("calls of webhooks are not judged: {why}")),
        Some(Ok(calls)) => calls,
    };
    let mut told: BTreeMap<(&str, Uuid, &str), BTreeSet<&str>> = BTreeMap::new();
    for call in calls {
        let HookCall {
            hook,
            webhook_id,
            order,
            kind,
        } = call;
        let Some(order) = order else { continue };
        judge.subject();
        if webhook_id.is_empty() {
            judge.violation(
                Some(*order),
                format!("{hook} was told of {kind} without a webhook-id"),
            );
        }
        told.entry((hook, *order, kind))
            .or_default()
            .insert(webhook_id);
    }
    for ((hook, order, kind), ids) in told {
        let ends = format!("/hook/{hook}");
        let endpoints = notified
            .endpoints
            .values()
            .filter(|url| url.ends_with(&ends));
        // Each of the endpoints that share a receiver may tell it once.
        if ids.len() > endpoints.count().max(1) {
            let count = ids.len();
            judge.violation(
                Some(order),
                format!("{hook} was told {count} times of {kind}"),
            );
        }
    }
}

/// The last version of each order that the notification service has applied.
fn applied(tables: &Messaging) -> HashMap<Uuid, i64> {
    let rows = tables.inbox.iter();
    let own = rows
        .filter(|((consumer, topic, _), _)| consumer.starts_with(NOTIFICATION) && topic == ORDERS);
    own.filter_map(|((_, _, subject), row)| Some((subject.parse().ok()?, row.version)))
        .collect()
}

fn stories(log: &[LogRecord]) -> HashMap<Uuid, Story<'_>> {
    let mut stories: HashMap<Uuid, Story<'_>> = HashMap::new();
    for record in log.iter().filter(|record| record.topic == ORDERS) {
        let Ok(order) = record.subject.parse() else {
            continue;
        };
        let (customer, kind) = match record.fact.as_deref() {
            Some(Fact::Confirmed(sale)) => (Some(&sale.customer), "confirmed"),
            Some(Fact::Rejected(customer)) => (Some(customer), "rejected"),
            Some(Fact::Cancelled { sale, .. }) => (Some(&sale.customer), "cancelled"),
            // Whose order it is was said when it was confirmed.
            _ if record.kind == "OrderReady" => (None, "ready"),
            _ => continue,
        };
        let story: &mut Story<'_> = stories.entry(order).or_default();
        if let Some(customer) = customer {
            story.customer = customer;
        }
        story.outcomes.insert(kind, record.version);
    }
    stories
}

#[cfg(test)]
mod tests {
    use super::super::sample::{self, damaged, mail};
    use super::*;

    fn notified(all: &mut Evidence) -> &mut Notified {
        all.notified.as_mut().unwrap().as_mut().unwrap()
    }

    fn arrives(all: &mut Evidence, mail: Mail) {
        all.mailbox.as_mut().unwrap().as_mut().unwrap().push(mail);
    }

    fn called(all: &mut Evidence, ids: &[&str]) {
        let call = |id: &&str| HookCall {
            hook: "till".to_owned(),
            webhook_id: (*id).to_owned(),
            order: Some(sample::order()),
            kind: "order.confirmed".to_owned(),
        };
        all.hooks = Some(Ok(ids.iter().map(call).collect()));
    }

    #[test]
    fn a_repeat_with_the_same_ids_is_without_fault() {
        let mut all = sample::evidence();
        arrives(&mut all, mail("confirmed"));
        called(&mut all, &["w1", "w1"]);
        assert_eq!(sample::wrong("I7", &all), Vec::<String>::new());
    }

    #[test]
    fn a_second_mail_is_noticed() {
        damaged("I7", "its customer got 2 mails", |all| {
            let message_id = "another".to_owned();
            arrives(
                all,
                Mail {
                    message_id,
                    ..mail("confirmed")
                },
            );
        });
        damaged("I7", "two mails were planned", |all| {
            let second = notified(all).deliveries[0].clone();
            notified(all).deliveries.push(second);
        });
    }

    #[test]
    fn a_mail_that_nobody_planned_is_noticed() {
        damaged("I7", "which is not on record", |all| {
            arrives(all, mail("ready"))
        });
    }

    #[test]
    fn a_mail_that_was_wanted_and_not_planned_is_noticed() {
        for asked in [true, false] {
            damaged("I7", "wanted a mail", |all| {
                all.mailbox = Some(Ok(Vec::new()));
                notified(all).deliveries.clear();
                if !asked {
                    notified(all).wishes.clear();
                }
            });
        }
    }

    #[test]
    fn whoever_wants_none_or_changed_their_mind_or_is_erased_needs_none() {
        let changes: [fn(&mut Notified); 3] = [
            |notified| notified.wishes.get_mut("ana").unwrap().channels.clear(),
            |notified| notified.wishes.get_mut("ana").unwrap().since = sample::SOLD_AT,
            |notified| {
                notified.people.insert("ana".to_owned(), false);
            },
        ];
        for change in changes {
            let mut all = sample::evidence();
            all.mailbox = Some(Ok(Vec::new()));
            notified(&mut all).deliveries.clear();
            change(notified(&mut all));
            assert_eq!(sample::wrong("I7", &all), Vec::<String>::new());
        }
    }

    #[test]
    fn a_mail_said_to_be_sent_must_have_arrived() {
        damaged("I7", "never arrived", |all| {
            all.mailbox = Some(Ok(Vec::new()))
        });
    }

    #[test]
    fn a_mail_that_was_given_up_says_why() {
        damaged("I7", "expired without a reason", |all| {
            notified(all).deliveries[0].state = "expired".to_owned();
        });
        let mut all = sample::evidence();
        all.mailbox = Some(Ok(Vec::new()));
        let delivery = &mut notified(&mut all).deliveries[0];
        (delivery.state, delivery.reason) = ("expired".to_owned(), "collected".to_owned());
        assert_eq!(sample::wrong("I7", &all), Vec::<String>::new());
    }

    #[test]
    fn a_mail_that_stays_on_its_way_is_noticed() {
        damaged("I7", "is pending since 100 s", |all| {
            notified(all).deliveries[0].state = "pending".to_owned();
            all.now = Timestamp::from_micros(sample::SOLD_AT.as_micros() + 100_000_000);
        });
    }

    #[test]
    fn a_call_without_an_id_is_noticed() {
        damaged("I7", "without a webhook-id", |all| called(all, &["", ""]));
    }

    #[test]
    fn a_mail_that_it_is_ready_is_demanded_like_any_other() {
        damaged("I7", "wanted a mail that it is ready", |all| {
            notified(all).wishes.clear();
            let ready = LogRecord {
                kind: "OrderReady".to_owned(),
                fact: None,
                ..sample::record(ORDERS, 4, Fact::PreparationCompleted)
            };
            sample::append(all, ready);
        });
    }

    #[test]
    fn a_machine_that_is_told_twice_is_noticed() {
        damaged("I7", "till was told 2 times", |all| {
            called(all, &["w1", "w2"])
        });
        let mut all = sample::evidence();
        called(&mut all, &["w1", "w2"]);
        let both = [1, 2].map(|n| (Uuid::from_u128(n), "http://localhost/hook/till".to_owned()));
        notified(&mut all).endpoints.extend(both);
        assert_eq!(
            sample::wrong("I7", &all),
            Vec::<String>::new(),
            "two endpoints share it"
        );
    }
}
