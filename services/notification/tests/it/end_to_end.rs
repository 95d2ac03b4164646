//! Through a real broker: customers' and orders' events in, mails and deliveries' events out.

use std::collections::BTreeMap;
use std::time::Duration;

use brewline_kafka::{Producer, ProducerSettings, Reader, Until};
use brewline_messaging::{
    Connections, ConsumerSettings, ConsumerSpec, Delivery, Handler, Monitor, Progress,
    RelaySettings, TopicKind, TopicSpec, cloud_events, consume, relay,
};
use brewline_test_support::{TestTopics, eventually_within, golden_events};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::post::{Order, Post, changed};

const ORDERS: &str = "brewline.order.events.v1";
const CUSTOMERS: &str = "brewline.customer.events.v1";
const TOLD: &str = "brewline.notification.events.v1";

/// What runs over topics of the test's own.
struct Open {
    topics: TestTopics,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

// === impl Open ===

impl Open {
    async fn over(post: &Post) -> Self {
        let topics = TestTopics::create(&[ORDERS, CUSTOMERS, TOLD], 2).await;
        let prefix = topics.name("");
        // The relay publishes what this view shows: here, to the test's own topics.
        post.run(&format!(
            "create or replace view outbox_record as
             select slot, position, id, '{prefix}' || topic as topic, aggregate_type, aggregate_id,
                    version, type, payload, occurred_at, correlation_id, causation_id, traceparent,
                    headers, recorded_on
             from outbox"
        ))
        .await;
        let mut open = Self {
            topics,
            stop: CancellationToken::new(),
            tasks: JoinSet::new(),
        };
        let work = relay(
            post.pool.clone(),
            post.database.config().clone(),
            open.topics.config().clone(),
            RelaySettings::new(brewline_notification::SOURCE),
            "notification-1".to_owned(),
            open.stop.clone(),
        );
        open.tasks.spawn(async { work.await.unwrap() });
        open
    }

    fn consume<H: Handler>(&mut self, post: &Post, topic: &str, kind: TopicKind, handler: H) {
        let name = self.topics.name(topic).leak();
        let topics = [TopicSpec { name, kind }];
        let spec = ConsumerSpec {
            name: self.topics.name(&format!("{topic}.group")).leak(),
            topics: Box::leak(Box::new(topics)),
        };
        let connections = Connections {
            pool: post.pool.clone(),
            kafka: self.topics.config().clone(),
            progress: Progress::unwatched(),
            monitor: Monitor::default(),
        };
        let (settings, stop) = (ConsumerSettings::default(), self.stop.clone());
        let work = Box::pin(consume(connections, spec, settings, handler, stop));
        self.tasks.spawn(async { work.await.unwrap() });
    }

    async fn publish(&self, topic: &str, events: &[Delivery]) {
        let config = self.topics.config();
        let producer = Producer::new(config, ProducerSettings::default()).unwrap();
        for event in events {
            let topic = self.topics.name(topic);
            let record = cloud_events::record(&topic, &event.envelope, event.payload.clone());
            let sent = producer.send(record).unwrap();
            producer.hurry();
            sent.await.unwrap();
        }
    }

    /// The types of all events about deliveries.
    async fn told(&self) -> Vec<String> {
        let topic = self.topics.name(TOLD);
        let reader =
            Reader::open(self.topics.config(), &[&topic], BTreeMap::new(), Until::End).await;
        let records = reader.unwrap().collect().await.unwrap();
        let name = |record| cloud_events::envelope(record).unwrap().event_type;
        records.iter().map(name).collect()
    }

    async fn close(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_go_in_and_a_mail_and_its_event_come_out() {
    let post = Post::open().await;
    let mut open = Open::over(&post).await;
    open.consume(&post, ORDERS, TopicKind::Events, post.order_events());
    open.consume(
        &post,
        CUSTOMERS,
        TopicKind::Compacted,
        post.customer_events(),
    );
    let worker = post.send_mails(|_| ());
    let order = Order::of("ana");
    let (placed, confirmed) = (order.placed(), order.confirmed());
    // Published twice, as after a relay's restart, and before the customer is.
    open.publish(
        ORDERS,
        &[placed.clone(), placed, confirmed.clone(), confirmed],
    )
    .await;
    open.publish(CUSTOMERS, &[changed("ana")]).await;
    eventually_within(Duration::from_secs(30), "the mail is there", async || {
        post.meet().await;
        post.world.mails("ana").await == [order.message_id("confirmed")]
    })
    .await;
    let wanted = ["brewline.notification.v1.NotificationSent"];
    eventually_within(Duration::from_secs(30), "it is told", async || {
        open.told().await == wanted
    })
    .await;
    worker.stop().await;
    open.close().await;
}

#[tokio::test]
async fn every_released_event_can_still_be_read() {
    let post = Post::open().await;
    let read = |package: &str, topic: &str| -> Vec<Delivery> {
        let delivery = |(envelope, body): (_, Vec<u8>)| Delivery {
            topic: topic.into(),
            partition: 0,
            offset: 0,
            envelope,
            payload: body.into(),
        };
        golden_events(package).into_iter().map(delivery).collect()
    };
    post.deliver(&read("brewline.order.v1", ORDERS)).await;
    post.deliver_customers(&read("brewline.customer.v1", CUSTOMERS))
        .await;
    let types = "select distinct type from event_log";
    assert_eq!(post.rows(types).await.len(), 6);
    let kinds = "select distinct kind from delivery";
    assert_eq!(post.rows(kinds).await.len(), 4);
    assert_eq!(post.rows("select 1 from customer").await.len(), 1);
}
