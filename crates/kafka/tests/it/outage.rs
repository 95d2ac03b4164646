//! Brokers that go away and come back, played by the client library's own mock cluster.

use std::time::Duration;

use brewline_kafka::{Config, Limits, Producer, ProducerSettings};
use brewline_test_support::{eventually, eventually_within};
use futures_util::future::try_join_all;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use crate::member::Member;
use crate::sending::{record, send_all};

const TOPIC: &str = "orders";
const BROKER: i32 = 1;

fn cluster() -> (MockCluster<'static, DefaultProducerContext>, Config) {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(TOPIC, 2, 1).unwrap();
    let config = Config::plain(cluster.bootstrap_servers());
    (cluster, config)
}

#[tokio::test]
async fn records_sent_during_an_outage_arrive_in_order_once() {
    let (cluster, config) = cluster();
    let producer = Producer::new(&config, ProducerSettings::default()).unwrap();
    send_all(
        &producer,
        (0..100).map(|n| record(TOPIC, "key", &n.to_string())),
    )
    .await;
    cluster.broker_down(BROKER).unwrap();
    let queued: Vec<_> = (100..300)
        .map(|n| producer.send(record(TOPIC, "key", &n.to_string())).unwrap())
        .collect();
    eventually("the outage shows", async || {
        !producer.connection().is_sound()
    })
    .await;
    cluster.broker_up(BROKER).unwrap();
    let offsets: Vec<_> = try_join_all(queued)
        .await
        .unwrap()
        .into_iter()
        .map(|(_, offset)| offset)
        .collect();
    assert!(offsets.into_iter().eq(100..300));
    assert!(producer.connection().is_sound());
}

#[tokio::test]
async fn a_member_goes_on_after_an_outage() {
    let (cluster, config) = cluster();
    let producer = Producer::new(&config, ProducerSettings::default()).unwrap();
    let mut member = Member::join(&config, "group", TOPIC, Limits::default());
    send_all(
        &producer,
        (0..50).map(|n| record(TOPIC, "key", &n.to_string())),
    )
    .await;
    let long = Duration::from_secs(30);
    member
        .within(long, "it reads", |member| member.read.len() == 50)
        .await;
    cluster.broker_down(BROKER).unwrap();
    eventually("the outage shows", async || {
        !member.subscription.connection().is_sound()
    })
    .await;
    cluster.broker_up(BROKER).unwrap();
    eventually_within(long, "the end of it shows", async || {
        member.subscription.connection().is_sound()
    })
    .await;
    send_all(
        &producer,
        (50..100).map(|n| record(TOPIC, "key", &n.to_string())),
    )
    .await;
    member
        .within(long, "it reads on", |member| member.read.len() >= 100)
        .await;
    assert!(member.read.iter().map(|record| record.offset).eq(0..100));
}

#[tokio::test]
async fn a_member_whose_client_gets_no_records_joins_again_with_another_and_misses_nothing() {
    let (cluster, config) = cluster();
    let producer = Producer::new(&config, ProducerSettings::default()).unwrap();
    let limits = Limits {
        patience: Duration::from_secs(1),
        drain: Duration::from_millis(200),
        ..Limits::default()
    };
    let mut member = Member::join(&config, "group", TOPIC, limits);
    let sent = |range: std::ops::Range<i64>| range.map(|n| record(TOPIC, "key", &n.to_string()));
    send_all(&producer, sent(0..50)).await;
    let long = Duration::from_secs(30);
    member
        .within(long, "it reads", |member| member.read.len() == 50)
        .await;
    // Every question but this one is answered, so nothing tells the client of an outage.
    let refusals = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION; 10_000];
    cluster.request_errors(RDKafkaApiKey::Fetch, &refusals);
    send_all(&producer, sent(50..100)).await;
    let before = member.assignments;
    member
        .within(long, "it joins again", |member| member.assignments > before)
        .await;
    cluster.clear_request_errors(RDKafkaApiKey::Fetch);
    member
        .within(long, "it reads on", |member| member.read.len() >= 100)
        .await;
    assert!(member.read.iter().map(|record| record.offset).eq(0..100));
}

#[tokio::test]
async fn a_member_without_partitions_outlives_an_outage_and_takes_over_later() {
    let (cluster, config) = cluster();
    cluster.create_topic("one", 1, 1).unwrap();
    let producer = Producer::new(&config, ProducerSettings::default()).unwrap();
    let limits = Limits {
        // Its client is replaced while the broker is away: at the second question that nobody answers.
        patience: Duration::from_millis(100),
        drain: Duration::from_millis(200),
        ..Limits::default()
    };
    let long = Duration::from_secs(30);
    let mut first = Member::join(&config, "group", "one", limits);
    first
        .within(long, "it has the partition", |member| {
            member.assignments > 0
        })
        .await;
    let mut idle = Member::join(&config, "group", "one", limits);
    cluster.broker_down(BROKER).unwrap();
    eventually_within(long, "it complains", async || {
        !idle.subscription.connection().is_sound()
    })
    .await;
    cluster.broker_up(BROKER).unwrap();
    eventually_within(long, "it finds the broker again", async || {
        idle.subscription.connection().is_sound()
    })
    .await;
    drop(first);
    let sent = (0..20).map(|n| record("one", "key", &n.to_string()));
    send_all(&producer, sent).await;
    idle.within(long, "it reads", |member| member.read.len() == 20)
        .await;
}
