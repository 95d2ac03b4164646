use std::collections::BTreeMap;
use std::time::Duration;

use brewline_kafka::{Producer, ProducerSettings, Reader, TopicPartition, Until};
use brewline_test_support::TestTopics;
use tokio::time::timeout;

use crate::sending::{record, send_all};

#[tokio::test]
async fn reading_ends_where_the_log_ended_at_the_start() {
    let topics = TestTopics::create(&["orders", "empty"], 3).await;
    let (orders, empty) = (topics.name("orders"), topics.name("empty"));
    let producer = Producer::new(topics.config(), ProducerSettings::default()).unwrap();
    let some = |from: u32| {
        let orders = orders.clone();
        (from..from + 300).map(move |n| record(&orders, &n.to_string(), "x"))
    };
    send_all(&producer, some(0)).await;
    let names = [orders.as_str(), &empty];
    let reader = Reader::open(topics.config(), &names, [].into(), Until::End)
        .await
        .unwrap();
    send_all(&producer, some(1_000)).await;
    let read = reader.collect().await.unwrap();
    assert_eq!(read.len(), 300);
}

#[tokio::test]
async fn reading_begins_where_it_is_told_and_follows() {
    let topics = TestTopics::create(&["orders"], 1).await;
    let orders = topics.name("orders");
    let producer = Producer::new(topics.config(), ProducerSettings::default()).unwrap();
    send_all(
        &producer,
        (0..10).map(|n| record(&orders, "key", &n.to_string())),
    )
    .await;
    let from = BTreeMap::from([(TopicPartition::new(orders.as_str(), 0), 7)]);
    let opened = Reader::open(topics.config(), &[&orders], from, Until::Stopped).await;
    let mut reader = opened.unwrap();
    let mut offsets = Vec::new();
    for _ in 7..10 {
        offsets.push(reader.next().await.unwrap().unwrap().offset);
    }
    send_all(&producer, [record(&orders, "key", "later")]).await;
    let later = timeout(Duration::from_secs(10), reader.next())
        .await
        .unwrap();
    offsets.push(later.unwrap().unwrap().offset);
    assert_eq!(offsets, [7, 8, 9, 10]);
}

#[tokio::test]
async fn an_empty_topic_is_read_at_once() {
    let topics = TestTopics::create(&["orders"], 2).await;
    let orders = topics.name("orders");
    let reader = Reader::open(topics.config(), &[&orders], [].into(), Until::End)
        .await
        .unwrap();
    let all = timeout(Duration::from_secs(5), reader.collect())
        .await
        .unwrap()
        .unwrap();
    assert!(all.is_empty());
}
