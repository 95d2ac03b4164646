//! The log as the other services write it, and boards that read it.

use std::collections::BTreeMap;
use std::time::Duration;

use brewline_kafka::{Producer, ProducerSettings, Record};
use brewline_kernel::{Envelope, Timestamp};
use brewline_leaderboard::inbound::records::Topics;
use brewline_leaderboard::{Boards, MIGRATIONS, open};
use brewline_messaging::cloud_events;
use brewline_proto::catalogue::v1 as catalogue;
use brewline_proto::customer::v1 as customer;
use brewline_proto::money::v1::Money;
use brewline_proto::order::v1 as order;
use brewline_server::Context;
use brewline_test_support::{TestDatabase, TestTopics, eventually_within};
use bytes::Bytes;
use prost::Message;
use uuid::Uuid;

pub(crate) const ORDERS: &str = "brewline.order.events.v1";
pub(crate) const CATALOGUE: &str = "brewline.catalogue.events.v1";
pub(crate) const CUSTOMERS: &str = "brewline.customer.events.v1";

/// 2026-11-20, half past three in the afternoon in Lisbon: the next morning in Kyoto.
pub(crate) const AFTERNOON: i64 = 1_795_188_600_000;

/// A database and topics of the test's own.
pub(crate) struct Outside {
    pub(crate) database: TestDatabase,
    pub(crate) topics: TestTopics,
    producer: Producer,
}

/// Boards that run until dropped.
pub(crate) struct Running {
    pub(crate) boards: Boards,
    pub(crate) context: Context,
}

/// An order as it will be sold.
#[derive(Clone)]
pub(crate) struct Sold {
    pub(crate) id: Uuid,
    pub(crate) store: &'static str,
    pub(crate) customer: String,
    pub(crate) lines: Vec<(&'static str, i64)>,
    pub(crate) at: Timestamp,
}

// === impl Outside ===

impl Outside {
    pub(crate) async fn new() -> Self {
        let topics = TestTopics::create(&[ORDERS, CATALOGUE, CUSTOMERS], 3).await;
        let producer = Producer::new(topics.config(), ProducerSettings::default()).unwrap();
        let outside = Self {
            database: TestDatabase::create(MIGRATIONS).await,
            topics,
            producer,
        };
        for (store, zone) in [
            ("store-lisbon", "Europe/Lisbon"),
            ("store-oslo", "Europe/Oslo"),
            ("store-kyoto", "Asia/Tokyo"),
        ] {
            outside.store(store, zone, 1).await;
        }
        for product in ["v60", "siphon", "espresso", "croissant"] {
            outside.product(product).await;
        }
        outside
    }

    pub(crate) fn names(&self) -> Topics {
        Topics {
            orders: self.topics.name(ORDERS),
            catalogue: self.topics.name(CATALOGUE),
            customers: self.topics.name(CUSTOMERS),
        }
    }

    /// Boards under this name; snapshots are taken by hand.
    pub(crate) async fn start(&self, instance: &str) -> Running {
        let context = Context::new("leaderboard", instance);
        let config = self.topics.config();
        let pool = brewline_postgres::Pool::new(self.database.config());
        let hour = Duration::from_secs(3_600);
        let boards = open(&context, pool, config, self.names(), hour)
            .await
            .unwrap();
        Running { boards, context }
    }

    pub(crate) async fn store(&self, id: &str, time_zone: &str, version: i64) {
        let message = catalogue::StoreChanged {
            store_id: id.to_owned(),
            name: id.to_owned(),
            currency: "EUR".to_owned(),
            time_zone: time_zone.to_owned(),
            retired: false,
        };
        let subject = format!("store/{id}");
        let at = Timestamp::from_millis(AFTERNOON);
        self.event(
            CATALOGUE,
            "brewline.catalogue.v1.StoreChanged",
            (&subject, version, at),
            &message,
        )
        .await;
    }

    async fn product(&self, id: &str) {
        let message = catalogue::ProductChanged {
            product_id: id.to_owned(),
            name: format!("The {id}"),
            kind: kind(id).into(),
            method: method(id).to_owned(),
            ..catalogue::ProductChanged::default()
        };
        let subject = format!("product/{id}");
        let at = Timestamp::from_millis(AFTERNOON);
        self.event(
            CATALOGUE,
            "brewline.catalogue.v1.ProductChanged",
            (&subject, 1, at),
            &message,
        )
        .await;
    }

    pub(crate) async fn customer(&self, id: &str, name: &str, version: i64) {
        let message = customer::CustomerChanged {
            customer_id: id.to_owned(),
            name: name.to_owned(),
            show_name: !name.is_empty(),
            erased: name.is_empty(),
            ..customer::CustomerChanged::default()
        };
        let at = Timestamp::from_millis(AFTERNOON);
        self.event(
            CUSTOMERS,
            "brewline.customer.v1.CustomerChanged",
            (id, version, at),
            &message,
        )
        .await;
    }

    pub(crate) async fn placed(&self, sold: &Sold) {
        let message = order::OrderPlaced {
            order_id: sold.id.to_string(),
            ..order::OrderPlaced::default()
        };
        self.order(sold, "OrderPlaced", 1, &message).await;
    }

    pub(crate) async fn confirmed(&self, sold: &Sold) {
        self.order(sold, "OrderConfirmed", 2, &sold.confirmed())
            .await;
    }

    pub(crate) async fn cancelled(&self, sold: &Sold) {
        let confirmed = sold.confirmed();
        let message = order::OrderCancelled {
            order_id: confirmed.order_id,
            store_id: confirmed.store_id,
            customer_id: confirmed.customer_id,
            lines: confirmed.lines,
            total: confirmed.total,
            confirmed_at: confirmed.confirmed_at,
            ..order::OrderCancelled::default()
        };
        self.order(sold, "OrderCancelled", 3, &message).await;
    }

    async fn order(&self, sold: &Sold, name: &str, version: i64, message: &impl Message) {
        let event_type = format!("brewline.order.v1.{name}");
        self.event(
            ORDERS,
            &event_type,
            (&sold.id.to_string(), version, sold.at),
            message,
        )
        .await;
    }

    /// Publishes what happened to a subject, with its version, at an instant.
    pub(crate) async fn event(
        &self,
        topic: &str,
        event_type: &str,
        (subject, version, time): (&str, i64, Timestamp),
        message: &impl Message,
    ) {
        let envelope = Envelope {
            id: Uuid::new_v4(),
            event_type: event_type.to_owned(),
            source: "brewline/test".to_owned(),
            subject: subject.to_owned(),
            version,
            time,
            correlation_id: Uuid::new_v4(),
            causation_id: None,
            traceparent: None,
        };
        let topic = self.topics.name(topic);
        let record = cloud_events::record(&topic, &envelope, Bytes::from(message.encode_to_vec()));
        self.send(record).await;
    }

    /// Publishes something about a customer that nobody can read.
    pub(crate) async fn unreadable(&self, customer: &str) {
        let envelope = Envelope {
            id: Uuid::new_v4(),
            event_type: "brewline.customer.v1.CustomerChanged".to_owned(),
            source: "brewline/test".to_owned(),
            subject: customer.to_owned(),
            version: 1,
            time: Timestamp::from_millis(AFTERNOON),
            correlation_id: Uuid::new_v4(),
            causation_id: None,
            traceparent: None,
        };
        let topic = self.topics.name(CUSTOMERS);
        let body = Bytes::from_static(&[0xff]);
        self.send(cloud_events::record(&topic, &envelope, body))
            .await;
    }

    pub(crate) async fn send(&self, record: Record) {
        let sent = self.producer.send(record).unwrap();
        self.producer.hurry();
        sent.await.unwrap();
    }

    /// Waits until boards hold everything there is.
    pub(crate) async fn settle(&self, running: &Running) {
        let names = self.names();
        let ends = self
            .topics
            .admin()
            .end_offsets(&names.names())
            .await
            .unwrap();
        eventually_within(
            Duration::from_secs(30),
            "the boards hold the log",
            async || {
                let state = running.boards.live.read();
                ends.iter()
                    .all(|(place, end)| *end == 0 || state.offsets.get(place) == Some(end))
            },
        )
        .await;
    }
}

// === impl Running ===

impl Running {
    /// Ends it as a shutdown does.
    pub(crate) async fn stop(self) {
        self.context.shutdown().cancel();
        self.context.drain(Duration::from_secs(10)).await;
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.boards.live.read().fold.encode()
    }

    /// Units of all time by board, store and member.
    pub(crate) fn sums(&self) -> Sums {
        let state = self.boards.live.read();
        let rows = state.fold.rows(|window| window.starts().is_none());
        rows.map(|row| {
            (
                (
                    row.board.name(),
                    row.store.to_string(),
                    row.member.to_string(),
                ),
                row.standing.score,
            )
        })
        .collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.context.shutdown().cancel();
    }
}

pub(crate) type Sums = BTreeMap<(&'static str, String, String), i64>;

// === impl Sold ===

impl Sold {
    pub(crate) fn new(store: &'static str, customer: &str, lines: &[(&'static str, i64)]) -> Self {
        let at = Timestamp::from_millis(AFTERNOON);
        Self {
            id: Uuid::new_v4(),
            store,
            customer: customer.to_owned(),
            lines: lines.to_vec(),
            at,
        }
    }

    fn confirmed(&self) -> order::OrderConfirmed {
        let units: i64 = self.lines.iter().map(|(_, quantity)| quantity).sum();
        let micros = self.at.as_micros();
        order::OrderConfirmed {
            order_id: self.id.to_string(),
            store_id: self.store.to_owned(),
            customer_id: self.customer.clone(),
            lines: self
                .lines
                .iter()
                .map(|(product, quantity)| line(product, *quantity))
                .collect(),
            total: Some(euros(units * 100)),
            confirmed_at: Some(prost_types::Timestamp {
                seconds: micros / 1_000_000,
                nanos: i32::try_from(micros % 1_000_000 * 1_000).unwrap(),
            }),
        }
    }

    /// What this sale is to the boards of all time.
    pub(crate) fn add_to(&self, sums: &mut Sums, sign: i64) {
        for (product, quantity) in &self.lines {
            let food = *product == "croissant";
            let counted = [
                ("products", *product),
                if food {
                    ("foods", *product)
                } else {
                    ("coffee-lovers", self.customer.as_str())
                },
                ("methods", method(product)),
                ("origins", origin(product)),
            ];
            for (board, member) in counted.into_iter().filter(|(_, member)| !member.is_empty()) {
                for store in ["", self.store] {
                    *sums
                        .entry((board, store.to_owned(), member.to_owned()))
                        .or_default() += sign * quantity;
                }
            }
        }
        sums.retain(|_, score| *score != 0);
    }
}

fn line(product: &str, quantity: i64) -> order::OrderLine {
    order::OrderLine {
        product_id: product.to_owned(),
        name: product.to_owned(),
        kind: kind(product).into(),
        method: method(product).to_owned(),
        origin: origin(product).to_owned(),
        unit_price: Some(euros(100)),
        quantity,
    }
}

fn kind(product: &str) -> catalogue::ProductKind {
    if product == "croissant" {
        catalogue::ProductKind::Food
    } else {
        catalogue::ProductKind::Drink
    }
}

fn method(product: &str) -> &str {
    if product == "croissant" { "" } else { product }
}

fn origin(product: &str) -> &'static str {
    match product {
        "v60" | "siphon" => "kenya",
        _ => "",
    }
}

fn euros(minor: i64) -> Money {
    Money {
        amount_minor: minor,
        currency: "EUR".to_owned(),
    }
}
