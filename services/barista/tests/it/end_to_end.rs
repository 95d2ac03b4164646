//! Through a real broker: orders' events in, the barista's events out.

use std::collections::BTreeMap;
use std::time::Duration;

use brewline_kafka::{Producer, ProducerSettings, Reader, Until};
use brewline_messaging::{
    Connections, ConsumerSettings, ConsumerSpec, Delivery, Monitor, Progress, RelaySettings,
    TopicKind, TopicSpec, cloud_events, consume, relay,
};
use brewline_test_support::{TestTopics, eventually_within};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::bar::{Bar, Order, handler};

const ORDERS: &str = "brewline.order.events.v1";
const FULFILMENT: &str = "brewline.fulfilment.events.v1";

/// A bar whose relay and consumer run, over topics of the test's own.
struct Open {
    bar: Bar,
    topics: TestTopics,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

// === impl Open ===

impl Open {
    async fn doors() -> Self {
        let mut open = Self {
            bar: Bar::open().await,
            topics: TestTopics::create(&[ORDERS, FULFILMENT], 2).await,
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
        self.bar
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
            self.bar.pool.clone(),
            self.bar.database.config().clone(),
            self.topics.config().clone(),
            RelaySettings::new(brewline_barista::SOURCE),
            "barista-1".to_owned(),
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
            pool: self.bar.pool.clone(),
            kafka: self.topics.config().clone(),
            progress: Progress::unwatched(),
            monitor: Monitor::default(),
        };
        let settings = ConsumerSettings::default();
        let work = Box::pin(consume(
            connections,
            spec,
            settings,
            handler(),
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
async fn a_sold_order_goes_in_and_its_tickets_come_out() {
    let open = Open::doors().await;
    let order = Order::new();
    let confirmed = order.confirmed(2);
    // Published twice, as after a relay's restart.
    open.publish(&[order.placed(), confirmed.clone(), confirmed])
        .await;
    let told = |names: &[&str]| -> Vec<(String, i64)> {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .zip(1..)
            .collect()
    };
    let patience = Duration::from_secs(30);
    let opened = told(&["TicketsOpened"]);
    eventually_within(patience, "the tickets are opened", async || {
        open.log(FULFILMENT, &order.subject()).await == opened
    })
    .await;
    open.publish(&[order.asked_to_cancel(3)]).await;
    let withdrawn = told(&["TicketsOpened", "TicketsWithdrawn"]);
    eventually_within(patience, "the tickets are withdrawn", async || {
        open.log(FULFILMENT, &order.subject()).await == withdrawn
    })
    .await;
    open.bar.assert_books_balance().await;
    open.close().await;
}
