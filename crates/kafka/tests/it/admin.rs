use brewline_kafka::{Error, Producer, ProducerSettings, Topic, TopicPartition};
use brewline_test_support::TestTopics;

use crate::sending::{record, send_all};

#[tokio::test]
async fn a_topic_made_anew_has_another_id() {
    let topics = TestTopics::create(&["orders", "stock"], 1).await;
    let (orders, stock, none) = (
        topics.name("orders"),
        topics.name("stock"),
        topics.name("none"),
    );
    let names = [orders.as_str(), &stock, &none];
    let before = topics.admin().topic_ids(&names).await.unwrap();
    assert_eq!(before, topics.admin().topic_ids(&names).await.unwrap());
    assert_eq!(before.len(), 2, "{before:?}");
    assert_ne!(before[&orders], before[&stock]);
    topics.make_anew(1).await;
    let after = topics.admin().topic_ids(&names).await.unwrap();
    assert_ne!(before[&orders], after[&orders]);
}

#[tokio::test]
async fn making_a_topic_twice_is_harmless_and_faults_are_told() {
    let topics = TestTopics::create(&["orders"], 3).await;
    let orders = topics.name("orders");
    topics
        .admin()
        .create_topics(&[Topic::new(&orders, 3)])
        .await
        .unwrap();
    assert_eq!(
        topics.admin().topics().await.unwrap().get(&orders),
        Some(&3)
    );
    let wrong = Topic::new(topics.name("wrong"), 1).with("retention.ms", "soon");
    let refused = topics.admin().create_topics(&[wrong]).await.unwrap_err();
    assert!(matches!(refused, Error::Topic { .. }), "{refused}");
}

#[tokio::test]
async fn end_offsets_count_every_partition() {
    let topics = TestTopics::create(&["orders"], 2).await;
    let orders = topics.name("orders");
    let producer = Producer::new(topics.config(), ProducerSettings::default()).unwrap();
    let records = (0..5).map(|n| {
        let mut record = record(&orders, "key", &n.to_string());
        record.partition = Some(1);
        record
    });
    send_all(&producer, records).await;
    let ends = topics.admin().end_offsets(&[&orders]).await.unwrap();
    let of = |partition| ends[&TopicPartition::new(orders.as_str(), partition)];
    assert_eq!((of(0), of(1)), (0, 5));
    let firsts = topics.admin().first_offsets(&[&orders]).await.unwrap();
    assert!(firsts.values().all(|first| *first == 0), "{firsts:?}");
    let missing = topics.name("missing");
    assert!(topics.admin().end_offsets(&[&missing]).await.is_err());
}
