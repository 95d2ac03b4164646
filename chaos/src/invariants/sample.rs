//! Evidence of one order whose way was faultless, to be damaged by tests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use brewline_kernel::Timestamp;
use uuid::Uuid;

use super::judge_one;
use crate::evidence::{
    Delivery, Evidence, Fact, InboxRow, LedgerEntry, LedgerKind, LogRecord, Mail, Mark, Messaging,
    Notified, Opened, Order, OrderEvent, Orders, Position, Posting, Sale, Sold, StockBooks, Ticket,
    Wish, born_ms,
};
use crate::verdict::Verdict;

pub(super) const ORDERS: &str = "brewline.order.events.v1";
pub(super) const FULFILMENT: &str = "brewline.fulfilment.events.v1";
pub(super) const CATALOGUE: &str = "brewline.catalogue.events.v1";

/// Half past eleven in the evening of 2026-01-31, a Saturday, in Lisbon.
pub(super) const SOLD_AT: Timestamp = Timestamp::from_micros(1_769_902_200_000_000);

/// The order.
pub(super) fn order() -> Uuid {
    let millis = u64::try_from(SOLD_AT.as_millis()).unwrap();
    Uuid::from_u64_pair((millis << 16) | 0x7000, 0x8000_0000_0000_0001)
}

/// What was sold: two drinks and a cake.
pub(super) fn sale() -> Sale {
    let line = |product: &str, drink, quantity| Sold {
        product: product.to_owned(),
        drink,
        method: if drink { "v60" } else { "" }.to_owned(),
        origin: if drink { "kenya" } else { "" }.to_owned(),
        quantity,
    };
    Sale {
        store: "lisbon".to_owned(),
        customer: "ana".to_owned(),
        lines: vec![line("filter", true, 2), line("cake", false, 1)],
        total_minor: 900,
        currency: "EUR".to_owned(),
        confirmed_at: Some(SOLD_AT),
    }
}

/// A record of the order.
pub(super) fn record(topic: &'static str, version: i64, fact: Fact) -> LogRecord {
    let subject = if let Fact::Store { id, .. } = &fact {
        format!("store/{id}")
    } else if let Fact::Customer(person) = &fact {
        person.id.clone()
    } else {
        order().to_string()
    };
    let kind = format!("{fact:?}");
    LogRecord {
        topic,
        partition: 0,
        offset: 0,
        at: SOLD_AT,
        happened: SOLD_AT,
        id: Uuid::from_u64_pair(
            order().as_u64_pair().0,
            u64::from(crc(topic)) + version.unsigned_abs(),
        ),
        kind: kind.split([' ', '(']).next().unwrap_or_default().to_owned(),
        subject,
        version,
        body: 0,
        slot: 0,
        epoch: 1,
        fact: Some(Arc::new(fact)),
    }
}

/// Tells topics apart.
fn crc(topic: &str) -> u32 {
    u32::try_from(crate::evidence::digest(topic.as_bytes()) >> 33).unwrap()
}

/// Puts a record at the end of its topic, and has everybody apply it who reads the topic.
pub(super) fn append(all: &mut Evidence, mut record: LogRecord) {
    let log = all.log.as_mut().unwrap();
    let before = log
        .iter()
        .filter(|known| known.topic == record.topic)
        .count();
    record.offset = i64::try_from(before).unwrap();
    let (topic, subject) = (record.topic, record.subject.clone());
    let (version, event_id, next) = (record.version, record.id, record.offset + 1);
    log.push(record);
    for (service, consumer, read) in READERS {
        if read == topic {
            let tables = all.messaging.get_mut(service).unwrap().as_mut().unwrap();
            let key = (consumer.to_owned(), topic.to_owned(), subject.clone());
            tables.inbox.insert(key, InboxRow { version, event_id });
            tables
                .positions
                .retain(|row| row.consumer != consumer || row.topic != topic);
            tables.positions.push(Position {
                consumer: consumer.to_owned(),
                topic: topic.to_owned(),
                partition: 0,
                epoch: 1,
                next_offset: next,
            });
        }
    }
    if let Some(Ok(boards)) = &mut all.boards {
        boards.positions.insert((topic.to_owned(), 0), next);
    }
}

const READERS: [(&str, &str, &str); 4] = [
    ("barista", "brewline.barista.orders", ORDERS),
    ("notification", "brewline.notification.orders", ORDERS),
    ("order", "brewline.order.tickets", FULFILMENT),
    ("order", "brewline.order.catalogue", CATALOGUE),
];

/// One order: sold, made, told of, counted.
pub(super) fn evidence() -> Evidence {
    let services = ["order", "barista", "notification"];
    let mut all = Evidence {
        now: Timestamp::from_micros(SOLD_AT.as_micros() + 10_000_000),
        since: Timestamp::EPOCH,
        before: Ok(marks()),
        after: Ok(marks()),
        orders: Ok(orders("ready")),
        stock: Ok(StockBooks::default()),
        operations: Ok(BTreeMap::new()),
        postings: Ok(vec![posting()]),
        processor: Ok(vec![capture()]),
        messaging: services.map(|name| (name, Ok(Messaging::default()))).into(),
        slots_after: BTreeMap::new(),
        log: Ok(Vec::new()),
        unreadable: Ok(Vec::new()),
        dead: Ok(Vec::new()),
        addresses_logged: Some(Ok(BTreeSet::new())),
        history: None,
        tickets: Some(Ok(BTreeMap::from([(
            order(),
            vec![ticket(0, "filter", 2), ticket(1, "cake", 1)],
        )]))),
        notified: Some(Ok(notified())),
        mailbox: Some(Ok(vec![mail("confirmed")])),
        hooks: Some(Ok(Vec::new())),
        boards: None,
        erasures: None,
        expected_dead_letters: BTreeSet::new(),
        healing_promised: true,
    };
    let lisbon = Fact::Store {
        id: "lisbon".to_owned(),
        time_zone: "Europe/Lisbon".to_owned(),
    };
    append(&mut all, record(CATALOGUE, 1, lisbon));
    append(&mut all, record(ORDERS, 2, Fact::Confirmed(sale())));
    let opened = [opened(0, "filter", 2), opened(1, "cake", 1)];
    for (version, fact) in (1..).zip([
        Fact::TicketsOpened(opened.into()),
        Fact::PreparationStarted("t0".to_owned()),
        Fact::TicketDone("t0".to_owned()),
        Fact::TicketDone("t1".to_owned()),
        Fact::PreparationCompleted,
    ]) {
        append(&mut all, record(FULFILMENT, version, fact));
    }
    all
}

/// Judges the damaged evidence: what is violated.
pub(super) fn wrong(id: &str, all: &Evidence) -> Vec<String> {
    let finding = judge_one(all, id).unwrap();
    assert_ne!(finding.verdict, Verdict::Unknown, "{:?}", finding.notes);
    finding
        .violations
        .into_iter()
        .map(|violation| violation.detail)
        .collect()
}

/// Damages the sample, and demands that the invariant says so with these words.
pub(super) fn damaged(id: &str, told: &str, damage: impl FnOnce(&mut Evidence)) {
    let mut all = evidence();
    damage(&mut all);
    let wrong = wrong(id, &all);
    assert!(
        wrong.iter().any(|wrong| wrong.contains(told)),
        "{told:?} is not among {wrong:?}"
    );
}

fn marks() -> BTreeMap<Uuid, Mark> {
    let mark = Mark {
        version: 4,
        saga_version: 4,
        phase: "completed".to_owned(),
        parked_reason: String::new(),
        closed: true,
        placed_at: SOLD_AT,
        updated_at: SOLD_AT,
    };
    BTreeMap::from([(order(), mark)])
}

/// The order's tables, with the order at this status.
pub(super) fn orders(status: &str) -> Orders {
    let row = Order {
        store_id: "lisbon".to_owned(),
        status: status.to_owned(),
        total_minor: 900,
        currency: "EUR".to_owned(),
        placed_at: SOLD_AT,
        confirmed: true,
    };
    let event = |(version, kind): (i64, &str)| OrderEvent {
        version,
        id: Uuid::from_u128(version.unsigned_abs().into()),
        kind: kind.to_owned(),
        at: SOLD_AT,
    };
    Orders {
        rows: BTreeMap::from([(order(), row)]),
        events: BTreeMap::from([(
            order(),
            vec![event((1, "OrderPlaced")), event((2, "OrderConfirmed"))],
        )]),
        ..Orders::default()
    }
}

fn posting() -> Posting {
    Posting {
        order: order(),
        event: "PaymentCaptured".to_owned(),
        net_minor: 900,
        currency: "EUR".to_owned(),
        at: SOLD_AT,
    }
}

fn capture() -> LedgerEntry {
    LedgerEntry {
        sequence: 2,
        kind: LedgerKind::Capture,
        status: "captured".to_owned(),
        authorisation_id: "a".to_owned(),
        reference: order().to_string(),
        amount_minor: 900,
        currency: "EUR".to_owned(),
        key: "k".to_owned(),
        at: String::new(),
    }
}

fn opened(line: i32, product: &str, quantity: i64) -> Opened {
    let (ticket, product) = (format!("t{line}"), product.to_owned());
    Opened {
        ticket,
        line,
        product,
        quantity,
    }
}

fn ticket(line: i32, product: &str, quantity: i64) -> Ticket {
    Ticket {
        id: Uuid::nil(),
        line,
        product: product.to_owned(),
        quantity,
        status: "done".to_owned(),
        started: true,
    }
}

/// The mail of this kind.
pub(super) fn mail(kind: &str) -> Mail {
    Mail {
        message_id: format!("<{}.{kind}@brewline>", order()),
        about: Some((order(), kind.to_owned())),
        at: SOLD_AT,
    }
}

fn notified() -> Notified {
    let wish = Wish {
        channels: ["email".to_owned()].into(),
        kinds: ["confirmed".to_owned()].into(),
        since: Timestamp::EPOCH,
    };
    let delivery = Delivery {
        order: order(),
        kind: "confirmed".to_owned(),
        state: "sent".to_owned(),
        attempts: 1,
        reason: String::new(),
        planned_at: SOLD_AT,
    };
    Notified {
        deliveries: vec![delivery],
        wishes: BTreeMap::from([("ana".to_owned(), wish)]),
        people: BTreeMap::from([("ana".to_owned(), true)]),
        endpoints: BTreeMap::new(),
    }
}

#[test]
fn the_sample_is_in_scope_and_without_fault() {
    let all = evidence();
    assert_eq!(born_ms(order()), SOLD_AT.as_millis());
    for id in ["I7", "I15", "I19", "tickets"] {
        assert_eq!(wrong(id, &all), Vec::<String>::new(), "{id}");
        assert_eq!(judge_one(&all, id).unwrap().verdict, Verdict::Pass, "{id}");
    }
}

#[test]
fn a_stack_without_the_younger_services_is_not_judged_by_them() {
    let mut all = evidence();
    (all.tickets, all.notified, all.boards, all.erasures) = (None, None, None, None);
    for id in ["I7", "I13", "tickets", "erasure"] {
        assert_eq!(
            judge_one(&all, id).unwrap().verdict,
            Verdict::NotJudged,
            "{id}"
        );
    }
    all.tickets = Some(Err("gone".to_owned()));
    assert_eq!(
        judge_one(&all, "tickets").unwrap().verdict,
        Verdict::Unknown
    );
}
