use std::time::{Duration, Instant};

use brewline_kafka::{Config, Error, Producer, ProducerSettings, Reader, Until, partition_of};
use brewline_kernel::Timestamp;
use brewline_test_support::{TestTopics, eventually};
use bytes::Bytes;

use crate::sending::{record, send_all};

fn settings() -> ProducerSettings {
    ProducerSettings::default()
}

#[tokio::test]
async fn order_is_kept_for_each_key() {
    let topics = TestTopics::create(&["orders"], 4).await;
    let topic = topics.name("orders");
    let producer = Producer::new(topics.config(), settings()).unwrap();
    let records = (0..2_000).map(|n| record(&topic, &format!("key-{}", n % 10), &n.to_string()));
    send_all(&producer, records).await;

    let reader = Reader::open(topics.config(), &[&topic], [].into(), Until::End)
        .await
        .unwrap();
    let read = reader.collect().await.unwrap();
    assert_eq!(read.len(), 2_000);
    for key in 0..10 {
        let key = format!("key-{key}");
        let numbers: Vec<u32> = read
            .iter()
            .filter(|record| record.key == key)
            .map(|record| {
                str::from_utf8(record.payload.as_ref().unwrap())
                    .unwrap()
                    .parse()
                    .unwrap()
            })
            .collect();
        assert_eq!(numbers.len(), 200);
        assert!(numbers.is_sorted(), "{key} is out of order");
    }
}

/// Partitions of six, computed with the algorithm of Kafka's Java client (`toPositive(murmur2(key))`
/// from its published hashes, modulo six).
#[tokio::test]
async fn a_key_goes_where_the_java_client_would_send_it() {
    let topics = TestTopics::create(&["orders"], 6).await;
    let topic = topics.name("orders");
    let producer = Producer::new(topics.config(), settings()).unwrap();
    let golden = [
        ("21", -973_932_308_i32),
        ("foobar", -790_332_482),
        ("a-little-bit-long-string", -985_981_536),
        ("a-little-bit-longer-string", -1_486_304_829),
        ("abc", 479_470_107),
    ];
    for (key, hash) in golden {
        let expected = (hash & 0x7fff_ffff) % 6;
        let sent = send_all(&producer, [record(&topic, key, "")]).await;
        assert_eq!(sent[0].0, expected, "the producer sent {key} elsewhere");
        assert_eq!(partition_of(key.as_bytes(), 6), expected, "{key}");
    }
}

#[tokio::test]
async fn a_record_survives_the_way_there_and_back() {
    let topics = TestTopics::create(&["orders"], 1).await;
    let topic = topics.name("orders");
    let producer = Producer::new(topics.config(), settings()).unwrap();
    let mut full = record(&topic, "key", "body");
    full.headers = vec![
        ("ce_id".to_owned(), Bytes::from_static(b"1")),
        ("empty".to_owned(), Bytes::new()),
        ("ce_id".to_owned(), Bytes::from_static(b"2")),
    ];
    full.timestamp = Some(Timestamp::from_millis(1_795_000_000_123));
    let mut tombstone = record(&topic, "key", "");
    tombstone.payload = None;
    let mut empty = record(&topic, "", "");
    empty.partition = Some(0);
    let sent = send_all(&producer, [full.clone(), tombstone, empty]).await;
    assert_eq!(sent, [(0, 0), (0, 1), (0, 2)]);

    let reader = Reader::open(topics.config(), &[&topic], [].into(), Until::End)
        .await
        .unwrap();
    let read = reader.collect().await.unwrap();
    assert_eq!((&read[0].key, &read[0].payload), (&full.key, &full.payload));
    assert_eq!(
        (&read[0].headers, Some(read[0].timestamp)),
        (&full.headers, full.timestamp)
    );
    assert_eq!(read[0].header("ce_id"), Some(&Bytes::from_static(b"1")));
    assert_eq!(read[1].payload, None);
    assert_eq!(read[2].payload, Some(Bytes::new()));
}

#[tokio::test]
async fn flushing_waits_for_no_linger() {
    let topics = TestTopics::create(&["orders"], 1).await;
    let topic = topics.name("orders");
    let linger = Duration::from_secs(20);
    let slow = ProducerSettings {
        linger,
        ..settings()
    };
    let producer = Producer::new(topics.config(), slow).unwrap();
    let began = Instant::now();
    let delivery = producer.send(record(&topic, "key", "1")).unwrap();
    producer.flush(Duration::from_secs(10)).await.unwrap();
    delivery.await.unwrap();
    let delivery = producer.send(record(&topic, "key", "2")).unwrap();
    producer.hurry();
    delivery.await.unwrap();
    assert!(began.elapsed() < linger / 2, "{:?}", began.elapsed());
    eventually("nothing is queued", async || producer.queued() == 0).await;
}

#[tokio::test]
async fn purged_records_fail_and_are_not_sent() {
    let topics = TestTopics::create(&["orders"], 1).await;
    let topic = topics.name("orders");
    let slow = ProducerSettings {
        linger: Duration::from_secs(20),
        ..settings()
    };
    let producer = Producer::new(topics.config(), slow).unwrap();
    let deliveries: Vec<_> = (0..10)
        .map(|n| {
            producer
                .send(record(&topic, "key", &n.to_string()))
                .unwrap()
        })
        .collect();
    producer.purge();
    for delivery in deliveries {
        let error = delivery.await.unwrap_err();
        assert!(error.is_purged(), "{error}");
    }
    let sent = send_all(&producer, [record(&topic, "key", "after")]).await;
    assert_eq!(sent, [(0, 0)], "something purged was sent");
}

#[tokio::test]
async fn a_full_queue_refuses_and_recovers() {
    let topics = TestTopics::create(&["orders"], 1).await;
    let topic = topics.name("orders");
    let small = ProducerSettings {
        linger: Duration::from_secs(20),
        queue_records_max: 10,
        ..settings()
    };
    let producer = Producer::new(topics.config(), small).unwrap();
    let mut refused = None;
    for n in 0..100 {
        if let Err(error) = producer.send(record(&topic, "key", &n.to_string())) {
            refused = Some(error);
            break;
        }
    }
    assert!(refused.is_some_and(|error| error.is_queue_full()));
    producer.flush(Duration::from_secs(10)).await.unwrap();
    producer.send(record(&topic, "key", "after")).unwrap();
}

#[tokio::test]
async fn an_unreachable_broker_fails_records_in_time_and_shows() {
    let short = ProducerSettings {
        message_timeout: Duration::from_millis(1_500),
        ..settings()
    };
    let producer = Producer::new(&Config::plain("127.0.0.1:1"), short).unwrap();
    let delivery = producer.send(record("nowhere", "key", "1")).unwrap();
    let error = delivery.await.unwrap_err();
    assert!(matches!(error, Error::Delivery(_)), "{error}");
    let unanswered = producer
        .check(Duration::from_millis(200))
        .await
        .unwrap_err();
    assert!(
        matches!(unanswered, Error::Unanswered { .. }),
        "{unanswered}"
    );
    assert!(!producer.connection().is_sound() && producer.connection().last_error().is_some());
}

#[tokio::test]
async fn a_broker_that_answers_is_found_by_checking() {
    let producer = Producer::new(&brewline_test_support::kafka(), settings()).unwrap();
    producer.check(Duration::from_secs(10)).await.unwrap();
    assert!(producer.connection().is_sound());
}
