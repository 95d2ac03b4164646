use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use brewline_messaging::{ConsumerSettings, Error, TopicKind};

use crate::world::{Recorder, World, eventually};

const LEASE: Duration = Duration::from_secs(5);

#[tokio::test]
async fn each_event_is_applied_once_and_in_order() {
    let world = World::create(3).await;
    let (relay, consumer) = (world.relay("a", LEASE), world.consume("a"));
    for version in 1..=20 {
        let events: Vec<_> = ["x", "y", "z"].map(|s| world.event(s, version)).into();
        world.write(&events).await;
    }
    eventually("all are applied", async || world.applied().await == 60).await;
    for (subject, versions) in world.effects().await {
        assert_eq!(versions, (1..=20).collect::<Vec<_>>(), "{subject}");
    }
    relay.stop().await.unwrap();
    consumer.stop().await.unwrap();
}

#[tokio::test]
async fn what_was_published_twice_is_applied_once() {
    let world = World::create(1).await;
    let (first, second) = (world.event("x", 1), world.event("x", 2));
    for event in [&first, &first, &second, &first, &second] {
        world.publish(event).await;
    }
    world.publish(&world.event("end", 1)).await;
    let consumer = world.consume("a");
    eventually("the end is reached", async || {
        world.effects().await.contains_key("end")
    })
    .await;
    assert_eq!(world.effects().await["x"], [1, 2]);
    consumer.stop().await.unwrap();
}

#[tokio::test]
async fn after_a_crash_it_goes_on_from_its_own_position() {
    let world = World::create(1).await;
    let consumer = world.consume("a");
    world.publish(&world.event("x", 1)).await;
    eventually("the first is applied", async || world.applied().await == 1).await;
    consumer.kill().await;
    world.publish(&world.event("x", 2)).await;
    let consumer = world.consume("a");
    eventually("the second is applied", async || world.applied().await == 2).await;
    assert_eq!(world.effects().await["x"], [1, 2]);
    consumer.stop().await.unwrap();
}

#[tokio::test]
async fn an_outage_of_the_database_is_waited_for_and_not_counted() {
    let world = World::create(1).await;
    let recorder = Recorder::new("a");
    let cuts = Arc::clone(&recorder.cut_connections);
    cuts.store(6, Ordering::SeqCst);
    for version in 1..=3 {
        world.publish(&world.event("x", version)).await;
    }
    let consumer = world.consume_with("a", ConsumerSettings::default(), recorder);
    eventually("all are applied", async || world.applied().await == 3).await;
    assert_eq!(cuts.load(Ordering::SeqCst), 0);
    assert_eq!(world.effects().await["x"], [1, 2, 3]);
    assert_eq!(world.number("select count(*) from dead_letter").await, 0);
    assert_eq!(
        world.number("select count(*) from delivery_attempt").await,
        0
    );
    consumer.stop().await.unwrap();
}

#[tokio::test]
async fn a_rebalance_repeats_nothing_and_loses_nothing() {
    let world = World::create(4).await;
    let relay = world.relay("a", LEASE);
    let first = world.consume("a");
    let mut version = 0;
    let mut write = async |count: i64| {
        for _ in 0..count {
            version += 1;
            let events: Vec<_> = ["p", "q", "r", "s", "t", "u"]
                .map(|s| world.event(s, version))
                .into();
            world.write(&events).await;
        }
    };
    write(10).await;
    eventually("the first works", async || world.applied().await > 0).await;
    let second = world.consume("b");
    write(40).await;
    let by_second = "select count(*) from effect where instance = 'b'";
    eventually("the second has a share", async || {
        write(1).await;
        world.number(by_second).await > 0
    })
    .await;
    first.stop().await.unwrap();
    write(10).await;
    let versions = world.number("select max(version) from outbox").await;
    let all = usize::try_from(versions * 6).unwrap();
    eventually("all are applied", async || world.applied().await >= all).await;
    for (subject, applied) in world.effects().await {
        assert_eq!(applied, (1..=versions).collect::<Vec<_>>(), "{subject}");
    }
    second.stop().await.unwrap();
    relay.stop().await.unwrap();
}

#[tokio::test]
async fn an_owner_whose_epoch_was_raised_applies_nothing_until_it_claims_again() {
    let world = World::create(1).await;
    let consumer = world.consume("zombie");
    world.publish(&world.event("x", 1)).await;
    eventually("it works", async || world.applied().await == 1).await;
    // Another owner has claimed the partition and applied the next record; this one was not told.
    let claim = "update consumer_position set epoch = epoch + 1, next_offset = 2 returning epoch";
    assert_eq!(world.number(claim).await, 2);
    world
        .number("update inbox set version = 2 returning version")
        .await;
    world.publish(&world.event("x", 2)).await;
    world.publish(&world.event("x", 3)).await;
    eventually("it goes on behind the other", async || {
        world.applied().await == 2
    })
    .await;
    let epoch = world.number("select epoch from consumer_position").await;
    assert_eq!(epoch, 3, "it went on without claiming again");
    assert_eq!(world.effects().await["x"], [1, 3]);
    consumer.stop().await.unwrap();
}

#[tokio::test]
async fn of_whole_states_gaps_are_taken_and_older_ones_ignored() {
    let world = World::create_of(1, TopicKind::Compacted).await;
    for version in [4, 9, 7, 10] {
        world.publish(&world.event("x", version)).await;
    }
    let consumer = world.consume("a");
    eventually("the newest is applied", async || world.applied().await == 3).await;
    assert_eq!(world.effects().await["x"], [4, 9, 10]);
    consumer.stop().await.unwrap();
}

#[tokio::test]
async fn a_topic_made_anew_stops_the_consumer() {
    let world = World::create(1).await;
    let consumer = world.consume("a");
    world.publish(&world.event("x", 1)).await;
    eventually("it works", async || world.applied().await == 1).await;
    consumer.stop().await.unwrap();
    world.topics.make_anew(1).await;
    let error = world.consume("a").end().await.unwrap_err();
    assert!(matches!(error, Error::TopicRecreated { .. }), "{error}");
    assert_eq!(world.applied().await, 1);
}
