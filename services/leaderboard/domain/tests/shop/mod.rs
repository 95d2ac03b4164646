//! Events for the tests of the fold, and a fold so plain that it can be trusted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use brewline_kernel::Timestamp;
use brewline_leaderboard_domain::{
    Calendar, Day, Event, Fold, Incoming, Kind, Product, Sale, SoldLine, Topic,
};
use proptest::prelude::*;

pub(crate) const STORES: [(&str, &str); 3] = [
    ("store-lisbon", "Europe/Lisbon"),
    ("store-oslo", "Europe/Oslo"),
    ("store-kyoto", "Asia/Tokyo"),
];

pub(crate) struct Jiff;

#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) number: u64,
    pub(crate) store: String,
    pub(crate) customer: String,
    pub(crate) at: Timestamp,
    pub(crate) lines: Vec<SoldLine>,
}

impl Calendar for Jiff {
    fn local_day(&self, time_zone: &str, at: Timestamp) -> Day {
        let zone = jiff::tz::TimeZone::get(time_zone).unwrap();
        let date = jiff::Timestamp::from_microsecond(at.as_micros())
            .unwrap()
            .to_zoned(zone)
            .date();
        Day::from_civil(date.year().into(), date.month().into(), date.day().into()).unwrap()
    }
}

impl Order {
    pub(crate) fn new(number: u64, store: &str, customer: &str, at: Timestamp) -> Self {
        Self {
            number,
            store: store.to_owned(),
            customer: customer.to_owned(),
            at,
            lines: Vec::new(),
        }
    }

    pub(crate) fn drink(
        mut self,
        product: &str,
        method: &str,
        origin: &str,
        quantity: i64,
    ) -> Self {
        self.lines
            .push(line(product, Kind::Drink, method, origin, quantity));
        self
    }

    pub(crate) fn food(mut self, product: &str, quantity: i64) -> Self {
        self.lines.push(line(product, Kind::Food, "", "", quantity));
        self
    }

    pub(crate) fn subject(&self) -> Arc<str> {
        format!("0190b5a0-0000-7000-8000-{:012x}", self.number).into()
    }

    fn sale(&self) -> Box<Sale> {
        let units: i64 = self.lines.iter().map(|line| line.quantity).sum();
        Box::new(Sale {
            store: self.store.clone(),
            customer: self.customer.clone(),
            lines: self.lines.clone(),
            total_minor: units * 100,
            currency: if self.store == "store-kyoto" {
                "JPY"
            } else {
                "EUR"
            }
            .to_owned(),
            confirmed_at: self.at,
        })
    }

    fn incoming(&self, version: i64, at: Timestamp, event: Event) -> Incoming {
        Incoming {
            topic: Topic::Orders,
            partition: i32::try_from(self.number % 3).unwrap(),
            subject: self.subject(),
            version,
            at,
            event,
        }
    }
}

fn line(product: &str, kind: Kind, method: &str, origin: &str, quantity: i64) -> SoldLine {
    let text = |text: &str| text.to_owned();
    SoldLine {
        product: text(product),
        kind,
        method: text(method),
        origin: text(origin),
        quantity,
    }
}

pub(crate) fn moved(order: &Order, version: i64) -> Incoming {
    order.incoming(version, order.at, Event::Moved)
}

pub(crate) fn confirmed(order: &Order, version: i64) -> Incoming {
    order.incoming(version, order.at, Event::Confirmed(order.sale()))
}

pub(crate) fn cancelled(order: &Order, version: i64, was_sold: bool, at: Timestamp) -> Incoming {
    order.incoming(
        version,
        at,
        Event::Cancelled(was_sold.then(|| order.sale())),
    )
}

fn state(topic: Topic, subject: String, version: i64, event: Event) -> Incoming {
    let at = Timestamp::from_millis(version);
    Incoming {
        topic,
        partition: 0,
        subject: subject.into(),
        version,
        at,
        event,
    }
}

pub(crate) fn store(id: &str, time_zone: &str, version: i64) -> Incoming {
    let time_zone = time_zone.to_owned();
    state(
        Topic::Catalogue,
        format!("store/{id}"),
        version,
        Event::Store { time_zone },
    )
}

pub(crate) fn product(id: &str, name: &str, version: i64) -> Incoming {
    let product = Product {
        name: name.to_owned(),
        kind: Kind::Drink,
        method: "v60".to_owned(),
        retired: false,
    };
    state(
        Topic::Catalogue,
        format!("product/{id}"),
        version,
        Event::Product(product),
    )
}

pub(crate) fn customer(id: &str, shown: Option<&str>, version: i64) -> Incoming {
    let shown = shown.map(str::to_owned);
    state(
        Topic::Customers,
        id.to_owned(),
        version,
        Event::Customer { shown },
    )
}

pub(crate) fn tokyo_to_lisbon() -> Vec<Incoming> {
    STORES.iter().map(|(id, zone)| store(id, zone, 1)).collect()
}

pub(crate) fn fold(events: &[Incoming]) -> Fold {
    let mut fold = Fold::default();
    for event in events {
        fold.apply(event.clone(), &Jiff);
    }
    fold
}

fn orders() -> impl Strategy<Value = Vec<(Order, u8)>> {
    let lines = prop::collection::vec((0..6_usize, 1..4_i64), 1..4);
    // Ten days around the end of summer time, in steps that make ties likely.
    let order = (0..3_usize, 0..7_u8, 0..480_i64, lines, 0..4_u8);
    prop::collection::vec(order, 1..60).prop_map(|orders| {
        let order = |(number, (store, customer, step, lines, fate)): (
            u64,
            (_, _, i64, Vec<(usize, i64)>, u8),
        )| {
            let at = Timestamp::from_millis(1_792_540_800_000 + step * 1_800_000);
            let customer: u8 = customer;
            let store: usize = store;
            let mut order =
                Order::new(number, STORES[store].0, &format!("customer-{customer}"), at);
            for (thing, quantity) in lines {
                let (method, origin) = [
                    ("v60", "kenya"),
                    ("siphon", "kenya"),
                    ("espresso", ""),
                    ("v60", "ethiopia"),
                ][thing % 4];
                order = match thing {
                    4 | 5 => order.food(&format!("food-{thing}"), quantity),
                    _ => order.drink(&format!("drink-{thing}"), method, origin, quantity),
                };
            }
            (order, fate)
        };
        let mut orders = orders;
        // A partition's records come in the order of their time, but for moments.
        orders.sort_by_key(|(_, _, step, ..)| *step);
        (1_u64..).zip(orders).map(order).collect()
    })
}

/// What a day or ten bring, by partition: the catalogue, customers, three partitions of orders. Orders are
/// placed, confirmed or not, cancelled or not, and some records come twice.
pub(crate) fn story() -> impl Strategy<Value = Vec<Vec<Incoming>>> {
    orders().prop_map(|orders| {
        let mut partitions = vec![
            tokyo_to_lisbon(),
            Vec::new(),
            Vec::new(),
            Vec::new(),
            Vec::new(),
        ];
        for number in 0..7 {
            let name = (number % 2 == 0).then_some("Ann");
            partitions[1].push(customer(&format!("customer-{number}"), name, 1));
        }
        partitions[1].push(customer("customer-0", None, 2));
        for (order, fate) in orders {
            let partition = &mut partitions[usize::try_from(order.number % 3).unwrap() + 2];
            partition.push(moved(&order, 1));
            match fate {
                0 => partition.push(cancelled(&order, 2, false, order.at)),
                1 => partition.extend([
                    confirmed(&order, 2),
                    confirmed(&order, 2),
                    cancelled(&order, 3, true, order.at),
                ]),
                2 => partition.extend([
                    confirmed(&order, 2),
                    moved(&order, 3),
                    moved(&order, 1),
                    confirmed(&order, 2),
                ]),
                _ => partition.push(confirmed(&order, 2)),
            }
        }
        partitions
    })
}

/// The same records in another order between partitions.
pub(crate) fn weave(partitions: &[Vec<Incoming>], picks: &[usize]) -> Vec<Incoming> {
    let mut rest: Vec<&[Incoming]> = partitions.iter().map(Vec::as_slice).collect();
    let mut woven = Vec::new();
    let mut picks = picks.iter().cycle();
    while rest.iter().any(|partition| !partition.is_empty()) {
        let place = picks.next().unwrap() % rest.len();
        if let Some((first, others)) = rest[place].split_first() {
            woven.push(first.clone());
            rest[place] = others;
        } else {
            // A partition that is read to its end: whoever has something comes next.
            let next = rest
                .iter()
                .position(|partition| !partition.is_empty())
                .unwrap();
            let (first, others) = rest[next].split_first().unwrap();
            woven.push(first.clone());
            rest[next] = others;
        }
    }
    woven
}

type Sums = BTreeMap<(&'static str, String, String), i64>;

/// Units of all time by board, store and member.
pub(crate) fn plain_sums(events: &[Incoming]) -> Sums {
    let mut sums = Sums::new();
    let mut seen = BTreeSet::new();
    for incoming in events.iter().filter(|event| event.topic == Topic::Orders) {
        if !seen.insert((Arc::clone(&incoming.subject), incoming.version)) {
            continue;
        }
        let (sale, sign) = match &incoming.event {
            Event::Confirmed(sale) => (sale, 1),
            Event::Cancelled(Some(sale)) => (sale, -1),
            _ => continue,
        };
        for line in &sale.lines {
            for store in ["", &sale.store] {
                let mut add = |board, member: &str| {
                    *sums
                        .entry((board, store.to_owned(), member.to_owned()))
                        .or_default() += sign * line.quantity;
                };
                add("products", &line.product);
                if line.kind == Kind::Drink {
                    add("coffee-lovers", &sale.customer);
                    add("methods", &line.method);
                } else {
                    add("foods", &line.product);
                }
                if !line.origin.is_empty() {
                    add("origins", &line.origin);
                }
            }
        }
    }
    sums.retain(|_, score| *score != 0);
    sums
}
