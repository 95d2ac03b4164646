//! Through a real broker: orders' events in, the barista's events out.

use std::collections::BTreeMap;
use std::time::Duration;

use brewline_barista::inbound::wall_consumer;
use brewline_kafka::{Producer, ProducerSettings, Reader, Until};
use brewline_messaging::views::Views;
use brewline_messaging::{
    Connections, ConsumerSettings, ConsumerSpec, Delivery, Handler, Monitor, Progress,
    RelaySettings, TopicKind, TopicSpec, cloud_events, consume, relay,
};
use brewline_proto::fulfilment::v1::Wall;
use brewline_proto::operator::v1 as pb;
use brewline_proto::operator::v1::view_service_server::ViewService as _;
use brewline_test_support::{TestTopics, eventually_within};
use futures_util::StreamExt as _;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::Request;

use crate::bar::{Bar, Order, handler};

const ORDERS: &str = "brewline.order.events.v1";
const FULFILMENT: &str = "brewline.fulfilment.events.v1";

/// For what passes through the broker.
const PATIENCE: Duration = Duration::from_secs(30);

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
        open.consume(open.spec("orders", ORDERS), handler());
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

    /// The consumer of a topic as it is named here.
    fn spec(&self, name: &str, topic: &str) -> ConsumerSpec {
        let topics = [TopicSpec {
            name: self.topics.name(topic).leak(),
            kind: TopicKind::Events,
        }];
        ConsumerSpec {
            name: self.topics.name(name).leak(),
            topics: Box::leak(Box::new(topics)),
        }
    }

    fn consume(&mut self, spec: ConsumerSpec, handler: impl Handler) {
        let connections = Connections {
            pool: self.bar.pool.clone(),
            kafka: self.topics.config().clone(),
            progress: Progress::unwatched(),
            monitor: Monitor::default(),
        };
        let (settings, stop) = (ConsumerSettings::default(), self.stop.clone());
        let work = Box::pin(consume(connections, spec, settings, handler, stop));
        self.tasks.spawn(async { work.await.unwrap() });
    }

    /// The view of the walls, over the test's own topic.
    fn views(&self) -> Views {
        let mut view = wall_consumer::views().remove(0);
        view.consumer = self.spec("wall", FULFILMENT);
        Views::new(vec![view], self.bar.database.config(), self.topics.config())
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

    /// Waits until the log holds what the outbox does. A rebuild waits for it by the topic's real name,
    /// which is another one here.
    async fn all_is_published(&self) {
        let left = "select count(*) from outbox o join relay_slot s using (slot)
                    where o.position > s.watermark";
        eventually_within(PATIENCE, "all is published", async || {
            self.bar.number(left).await == 0
        })
        .await;
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
    let opened = told(&["TicketsOpened"]);
    eventually_within(PATIENCE, "the tickets are opened", async || {
        open.log(FULFILMENT, &order.subject()).await == opened
    })
    .await;
    open.publish(&[order.asked_to_cancel(3)]).await;
    let withdrawn = told(&["TicketsOpened", "TicketsWithdrawn"]);
    eventually_within(PATIENCE, "the tickets are withdrawn", async || {
        open.log(FULFILMENT, &order.subject()).await == withdrawn
    })
    .await;
    eventually_within(PATIENCE, "the wall is empty again", async || {
        let wall = open.bar.replica.wall().await;
        wall.items.is_empty() && wall.position > 0
    })
    .await;
    open.bar.assert_books_balance().await;
    open.close().await;
}

async fn rebuild(views: &Views, accept_differences: bool) -> pb::RebuildResult {
    let request = pb::RebuildViewRequest {
        name: "wall".to_owned(),
        actor: "ada".to_owned(),
        accept_differences,
        dry_run: false,
    };
    let answers = views.rebuild_view(Request::new(request)).await.unwrap();
    let answers: Vec<_> = answers.into_inner().collect().await;
    let results = answers
        .into_iter()
        .filter_map(|answer| answer.unwrap().result);
    results.last().expect("the last answer holds the result")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wall_is_made_anew_from_the_log_and_what_was_wrong_with_it_is_told() {
    let open = Open::doors().await;
    let orders: Vec<Order> = (0..5).map(|_| Order::new()).collect();
    for order in &orders {
        open.publish(&[order.placed(), order.confirmed(2)]).await;
    }
    open.publish(&[orders[0].asked_to_cancel(3)]).await;
    let on_the_wall = async || open.bar.replica.wall().await.items.len();
    eventually_within(PATIENCE, "all but one are on the wall", async || {
        on_the_wall().await == 12
    })
    .await;
    let ticket = open.bar.replica.wall().await.items[0].ticket_id.clone();
    open.bar.replica.start(&ticket).await.unwrap();
    open.bar.replica.finish(&ticket).await.unwrap();
    eventually_within(PATIENCE, "what is done leaves", async || {
        on_the_wall().await == 11
    })
    .await;
    open.all_is_published().await;
    let before = open.bar.replica.wall().await;
    let views = open.views();
    let same = rebuild(&views, false).await;
    assert_eq!(
        (same.switched, same.differences, same.rows),
        (true, 0, 12),
        "{same:?}"
    );
    let after = open.bar.replica.wall().await;
    let tickets = |wall: &Wall| -> Vec<String> {
        wall.items
            .iter()
            .map(|item| item.ticket_id.clone())
            .collect()
    };
    assert_eq!(tickets(&after), tickets(&before));
    assert!(after.position > before.position, "whoever watches is told");
    let spoil = "delete from wall_item where ticket_id = (select min(ticket_id::text)::uuid from wall_item)";
    open.bar
        .pool
        .get()
        .await
        .unwrap()
        .batch_execute(spoil)
        .await
        .unwrap();
    let refused = rebuild(&views, false).await;
    assert_eq!(
        (refused.switched, refused.differences),
        (false, 1),
        "{refused:?}"
    );
    let accepted = rebuild(&views, true).await;
    assert_eq!(
        (accepted.switched, accepted.differences),
        (true, 1),
        "{accepted:?}"
    );
    assert_eq!(tickets(&open.bar.replica.wall().await), tickets(&before));
    open.close().await;
}
