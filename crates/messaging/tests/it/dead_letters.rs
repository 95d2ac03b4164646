use std::time::Duration;

use brewline_kafka::Record;
use brewline_messaging::{ConsumerSettings, TopicKind};
use bytes::Bytes;

use crate::world::{Recorder, World, eventually, subject_and_version};

const LEASE: Duration = Duration::from_secs(5);

#[tokio::test]
async fn poison_becomes_a_dead_letter_its_successors_park_and_others_flow() {
    let world = World::create(1).await;
    let (relay, consumer) = (world.relay("a", LEASE), world.consume("a"));
    let mut events: Vec<_> = (1..=10).map(|n| world.event("good", n)).collect();
    events.insert(5, world.event_of("poison", "bad", 1));
    events.extend([
        world.event("bad", 2),
        world.event("bad", 3),
        world.event("good", 11),
    ]);
    world.write(&events).await;
    eventually("the others flow", async || world.applied().await == 11).await;
    eventually("the successors park", async || {
        world.number("select count(*) from parked").await == 2
    })
    .await;
    assert_eq!(world.effects().await["good"], (1..=11).collect::<Vec<_>>());
    assert!(!world.effects().await.contains_key("bad"));

    let connection = world.pool().get().await.unwrap();
    let sql = "select d.subject, d.version, d.reason, d.attempts, d.outcome, k.subject
               from dead_letter d join parked_key k on k.dead_letter_id = d.id";
    let row = connection.query_one(sql, &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "bad");
    assert_eq!(row.get::<_, i64>(1), 1);
    assert_eq!(row.get::<_, &str>(2), "it tastes bitter");
    assert_eq!(row.get::<_, i32>(3), 3);
    assert_eq!(row.get::<_, &str>(4), "open");
    assert_eq!(row.get::<_, &str>(5), "bad");
    assert_eq!(
        world.number("select count(*) from delivery_attempt").await,
        0
    );

    let topic = format!("{}.dead-letter", world.topic);
    eventually("the dead letter is published", async || {
        world.log_of(&topic).await.len() == 1
    })
    .await;
    let letter = world.log_of(&topic).await.remove(0);
    assert_eq!(subject_and_version(&letter), ("bad".to_owned(), 1));
    assert_eq!(
        letter.header("brewline_consumer").unwrap(),
        world.consumer().as_bytes()
    );
    assert_eq!(
        letter.header("brewline_reason").unwrap(),
        "it tastes bitter"
    );
    assert_eq!(letter.header("brewline_attempts").unwrap(), "3");
    assert_eq!(letter.payload.unwrap(), "bad 1");
    relay.stop().await.unwrap();
    consumer.stop().await.unwrap();
}

#[tokio::test]
async fn a_record_that_is_no_event_becomes_a_dead_letter() {
    let world = World::create(1).await;
    let nonsense = Record {
        topic: world.topic.to_owned(),
        key: Bytes::from("odd"),
        payload: Some(Bytes::from("?")),
        headers: Vec::new(),
        partition: None,
        timestamp: None,
    };
    world.producer().send(nonsense).unwrap().await.unwrap();
    world.publish(&world.event("x", 1)).await;
    let consumer = world.consume("a");
    eventually("the next is applied", async || world.applied().await == 1).await;
    let connection = world.pool().get().await.unwrap();
    let sql = "select subject, reason from dead_letter";
    let row = connection.query_one(sql, &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "odd");
    assert_eq!(row.get::<_, &str>(1), "header ce_specversion is missing");
    consumer.stop().await.unwrap();
}

#[tokio::test]
async fn a_dead_letter_of_whole_states_carries_no_body_on_the_topic() {
    let world = World::create_of(1, TopicKind::Compacted).await;
    let (relay, consumer) = (world.relay("a", LEASE), world.consume("a"));
    world.write(&[world.event_of("poison", "person", 1)]).await;
    let topic = format!("{}.dead-letter", world.topic);
    eventually("the dead letter is published", async || {
        world.log_of(&topic).await.len() == 1
    })
    .await;
    let letter = world.log_of(&topic).await.remove(0);
    assert_eq!(letter.payload.unwrap_or_default(), "");
    let kept = "select count(*) from dead_letter where payload is not null";
    assert_eq!(world.number(kept).await, 1);
    relay.stop().await.unwrap();
    consumer.stop().await.unwrap();
}

#[tokio::test]
async fn a_gap_waits_while_others_flow_and_closes_when_the_missing_one_comes() {
    let world = World::create(1).await;
    let consumer = world.consume("a");
    for event in [
        world.event("x", 1),
        world.event("x", 3),
        world.event("x", 4),
        world.event("y", 1),
    ] {
        world.publish(&event).await;
    }
    eventually("the other flows", async || {
        world.effects().await.contains_key("y")
    })
    .await;
    assert_eq!(world.effects().await["x"], [1]);
    assert_eq!(world.number("select count(*) from parked").await, 2);
    world.publish(&world.event("x", 2)).await;
    eventually("the held ones follow", async || world.applied().await == 5).await;
    assert_eq!(world.effects().await["x"], [1, 2, 3, 4]);
    assert_eq!(world.number("select count(*) from parked").await, 0);
    assert_eq!(world.number("select count(*) from parked_key").await, 0);
    consumer.stop().await.unwrap();
}

#[tokio::test]
async fn a_gap_that_stays_open_parks_its_subject() {
    let world = World::create(1).await;
    let settings = ConsumerSettings {
        gap_wait: Duration::from_millis(200),
        ..ConsumerSettings::default()
    };
    let consumer = world.consume_with("a", settings, Recorder::new("a"));
    for event in [
        world.event("x", 1),
        world.event("x", 3),
        world.event("x", 4),
    ] {
        world.publish(&event).await;
    }
    eventually("the subject is parked", async || {
        world
            .number("select count(*) from dead_letter where version = 3")
            .await
            == 1
    })
    .await;
    // It may come in a batch of its own, after the gap was given up.
    eventually("its successor parks behind it", async || {
        world
            .number("select count(*) from parked where version = 4")
            .await
            == 1
    })
    .await;
    world.publish(&world.event("x", 2)).await;
    eventually("even the missing one parks now", async || {
        world.number("select count(*) from parked").await == 2
    })
    .await;
    assert_eq!(world.effects().await["x"], [1]);
    consumer.stop().await.unwrap();
}

#[tokio::test]
async fn too_many_parked_records_pause_the_partition() {
    let world = World::create(1).await;
    let settings = ConsumerSettings {
        parked_per_key_max: 2,
        ..ConsumerSettings::default()
    };
    let consumer = world.consume_with("a", settings, Recorder::new("a"));
    world.publish(&world.event_of("poison", "x", 1)).await;
    for version in 2..=6 {
        world.publish(&world.event("x", version)).await;
    }
    eventually("two are parked", async || {
        world.number("select count(*) from parked").await == 2
    })
    .await;
    assert_eq!(
        world
            .number("select next_offset from consumer_position")
            .await,
        3
    );
    consumer.stop().await.unwrap();
}
