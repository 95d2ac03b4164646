//! Through a real broker: orders' events in, stock's events out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use brewline_inventory::inbound::order_consumer::OrderEvents;
use brewline_kafka::{Producer, ProducerSettings, Reader, Until};
use brewline_kernel::system::{SystemClock, SystemIds};
use brewline_messaging::{
    Connections, ConsumerSettings, ConsumerSpec, Delivery, Monitor, Outbox, Progress,
    RelaySettings, TopicKind, TopicSpec, cloud_events, consume, relay,
};
use brewline_test_support::{TestTopics, eventually, eventually_within};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::shop::{Order, Shop};

const ORDERS: &str = "brewline.order.events.v1";
const STOCK: &str = "brewline.inventory.events.v1";
const CATALOGUE: &str = "brewline.catalogue.events.v1";

/// A shop whose relay and consumer run, over topics of the test's own.
struct Open {
    shop: Shop,
    topics: TestTopics,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

// === impl Open ===

impl Open {
    async fn with(stock: &[(&str, i64)]) -> Self {
        let mut open = Self {
            shop: Shop::open(stock).await,
            topics: TestTopics::create(&[ORDERS, STOCK, CATALOGUE], 2).await,
            stop: CancellationToken::new(),
            tasks: JoinSet::new(),
        };
        open.redirect().await;
        open.relay();
        open.consume();
        open
    }

    /// The relay publishes what this view shows: here, to the test's own topics.
    async fn redirect(&self) {
        let prefix = self.topics.name("");
        let view = format!(
            "create or replace view outbox_record as
             select slot, position, id, '{prefix}' || topic as topic, aggregate_type, aggregate_id,
                    version, type, payload, occurred_at, correlation_id, causation_id, traceparent,
                    headers, recorded_on
             from outbox"
        );
        self.shop
            .pool
            .get()
            .await
            .unwrap()
            .batch_execute(&view)
            .await
            .unwrap();
    }

    fn relay(&mut self) {
        let work = relay(
            self.shop.pool.clone(),
            self.shop.database.config().clone(),
            self.topics.config().clone(),
            RelaySettings::new(brewline_inventory::SOURCE),
            "inventory-1".to_owned(),
            self.stop.clone(),
        );
        self.tasks.spawn(async { work.await.unwrap() });
    }

    fn consume(&mut self) {
        let topics = [TopicSpec {
            name: self.topics.name(ORDERS).leak(),
            kind: TopicKind::Events,
        }];
        let spec = ConsumerSpec {
            name: self.topics.name("orders").leak(),
            topics: Box::leak(Box::new(topics)),
        };
        let connections = Connections {
            pool: self.shop.pool.clone(),
            kafka: self.topics.config().clone(),
            progress: Progress::unwatched(),
            monitor: Monitor::default(),
        };
        let handler = OrderEvents {
            outbox: Outbox::new(1),
            clock: Arc::new(SystemClock),
            ids: Arc::new(SystemIds),
        };
        let settings = ConsumerSettings::default();
        let work = Box::pin(consume(
            connections,
            spec,
            settings,
            handler,
            self.stop.clone(),
        ));
        self.tasks.spawn(async { work.await.unwrap() });
    }

    async fn publish(&self, events: &[Delivery]) {
        let config = self.topics.config();
        let producer = Producer::new(config, ProducerSettings::default()).unwrap();
        for Delivery {
            envelope, payload, ..
        } in events
        {
            let topic = self.topics.name(ORDERS);
            let record = cloud_events::record(&topic, envelope, payload.clone());
            let sent = producer.send(record).unwrap();
            producer.hurry();
            sent.await.unwrap();
        }
    }

    /// What a topic holds about a subject: type and version, in the order of the log.
    async fn log(&self, topic: &str, subject: &str) -> Vec<(String, i64)> {
        let topic = self.topics.name(topic);
        let reader =
            Reader::open(self.topics.config(), &[&topic], BTreeMap::new(), Until::End).await;
        let records = reader.unwrap().collect().await.unwrap();
        let envelopes = records
            .iter()
            .map(|record| cloud_events::envelope(record).unwrap());
        let about = envelopes.filter(|envelope| envelope.subject == subject);
        about
            .map(|e| {
                (
                    e.event_type.rsplit('.').next().unwrap().to_owned(),
                    e.version,
                )
            })
            .collect()
    }

    async fn close(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_goes_in_and_its_stock_comes_out() {
    let open = Open::with(&[("cortado", 10)]).await;
    let order = Order::new();
    let placed = order.placed(&[("cortado", 3)]);
    // Published twice, as after a relay's restart.
    open.publish(&[placed.clone(), placed, order.confirmed(2)])
        .await;
    let told = [
        ("StockReserved".to_owned(), 1),
        ("StockCommitted".to_owned(), 2),
    ];
    eventually_within(Duration::from_secs(30), "the order is sold", async || {
        open.log(STOCK, &order.subject()).await == told
    })
    .await;
    let level = open.shop.level("cortado").await;
    assert_eq!((level.on_hand, level.reserved), (7, 0));
    open.shop.assert_books_balance().await;
    open.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalogue_reaches_the_log() {
    let open = Open::with(&[("cortado", 10)]).await;
    eventually("the product is told", async || {
        open.log(CATALOGUE, "product/cortado").await == [("ProductChanged".to_owned(), 1)]
    })
    .await;
    let told = open.log(CATALOGUE, "store/store-lisbon").await;
    assert_eq!(told, [("StoreChanged".to_owned(), 1)]);
    let adjusted = open.log(STOCK, "store-lisbon/cortado").await;
    assert_eq!(adjusted, [("StockAdjusted".to_owned(), 1)]);
    open.close().await;
}
