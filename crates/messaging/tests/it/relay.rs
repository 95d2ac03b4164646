use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use brewline_messaging::Outbox;
use bytes::Bytes;

use crate::world::{World, eventually};

const LEASE: Duration = Duration::from_secs(5);

#[tokio::test]
async fn events_are_published_as_they_are_committed() {
    let world = World::create(2).await;
    let relay = world.relay("a", LEASE);
    world
        .write(&[world.event("x", 1), world.event("y", 1)])
        .await;
    world.write(&[world.event("x", 2)]).await;
    eventually("all are published", async || world.watermark().await == 3).await;
    let published: BTreeSet<_> = world.published().await.into_iter().collect();
    let expected = [("x", 1), ("x", 2), ("y", 1)].map(|(s, v)| (s.to_owned(), v));
    assert_eq!(published, BTreeSet::from(expected));
    relay.stop().await.unwrap();
}

#[tokio::test]
async fn a_slow_transaction_delays_nobody_and_is_not_skipped() {
    let world = World::create(1).await;
    let relay = world.relay("a", LEASE);
    let mut slow = world.pool().get().await.unwrap();
    let slow = slow.transaction().await.unwrap();
    Outbox::new(1)
        .append(&slow, &[world.event("slow", 1)])
        .await
        .unwrap();

    world.write(&[world.event("fast", 1)]).await;
    eventually("the fast one is published", async || {
        world.published().await.len() == 1
    })
    .await;
    // Two polls later the low position is still open, and the watermark below it.
    world.write(&[world.event("fast", 2)]).await;
    eventually("the next one is published", async || {
        world.published().await.len() == 2
    })
    .await;
    assert_eq!(world.watermark().await, 0);

    slow.commit().await.unwrap();
    eventually("everything is marked", async || {
        world.watermark().await == 3
    })
    .await;
    assert_eq!(world.published().await.last().unwrap().0, "slow");
    relay.stop().await.unwrap();
}

#[tokio::test]
async fn a_rolled_back_position_is_passed() {
    let world = World::create(1).await;
    let relay = world.relay("a", LEASE);
    let mut connection = world.pool().get().await.unwrap();
    let lost = connection.transaction().await.unwrap();
    Outbox::new(1)
        .append(&lost, &[world.event("lost", 1)])
        .await
        .unwrap();
    lost.rollback().await.unwrap();
    world.write(&[world.event("kept", 1)]).await;
    eventually("the gap is passed", async || world.watermark().await == 2).await;
    assert_eq!(world.published().await, [("kept".to_owned(), 1)]);
    relay.stop().await.unwrap();
}

#[tokio::test]
async fn after_a_crash_before_the_mark_events_are_published_again() {
    let world = World::create(1).await;
    world
        .write(&[world.event("x", 1), world.event("x", 2)])
        .await;
    let relay = world.relay("a", LEASE);
    eventually("all are published", async || world.watermark().await == 2).await;
    relay.kill().await;
    // As if the process had died after the acknowledgement and before the mark.
    world
        .number("update relay_slot set watermark = 0 returning watermark")
        .await;
    let relay = world.relay("a", LEASE);
    eventually("all are marked again", async || {
        world.watermark().await == 2
    })
    .await;
    let versions: Vec<i64> = world
        .published()
        .await
        .into_iter()
        .map(|(_, v)| v)
        .collect();
    assert_eq!(versions, [1, 2, 1, 2]);
    relay.stop().await.unwrap();
}

#[tokio::test]
async fn one_of_two_relays_works_and_the_other_takes_over() {
    let world = World::create(1).await;
    let lease = Duration::from_millis(800);
    let first = world.relay("a", lease);
    world.write(&[world.event("x", 1)]).await;
    eventually("the first works", async || world.watermark().await == 1).await;
    let second = world.relay("b", lease);
    first.kill().await;
    world.write(&[world.event("x", 2)]).await;
    eventually("the second takes over", async || {
        world.watermark().await == 2
    })
    .await;
    assert_eq!(world.number("select epoch from relay_slot").await, 2);
    second.stop().await.unwrap();
    let free = "select (leased_until = '-infinity')::integer::bigint from relay_slot";
    assert_eq!(world.number(free).await, 1, "the lease was not given back");
}

#[tokio::test]
async fn a_relay_that_lost_its_lease_is_fenced_and_competes_again() {
    let world = World::create(1).await;
    let relay = world.relay("a", Duration::from_millis(600));
    world.write(&[world.event("x", 1)]).await;
    eventually("it works", async || world.watermark().await == 1).await;
    // Another holder has taken the slot, as while this one stood still, and dies at once.
    let steal = "update relay_slot set epoch = epoch + 1, holder = 'b',
                 leased_until = clock_timestamp() + interval '1 s' returning epoch";
    assert_eq!(world.number(steal).await, 2);
    world.write(&[world.event("x", 2)]).await;
    eventually("it holds the slot again", async || {
        world.number("select epoch from relay_slot").await == 3 && world.watermark().await == 2
    })
    .await;
    let mut first: BTreeMap<i64, usize> = BTreeMap::new();
    for (place, (_, version)) in world.published().await.into_iter().enumerate() {
        first.entry(version).or_insert(place);
    }
    assert!(first[&1] < first[&2]);
    relay.stop().await.unwrap();
}

#[tokio::test]
async fn a_database_restart_costs_nothing_but_time() {
    let world = World::create(1).await;
    let relay = world.relay("a", LEASE);
    world.write(&[world.event("x", 1)]).await;
    eventually("it works", async || world.watermark().await == 1).await;
    cut_all_sessions(&world).await;
    world.write(&[world.event("x", 2)]).await;
    eventually("it goes on", async || world.watermark().await == 2).await;
    relay.stop().await.unwrap();
}

async fn cut_all_sessions(world: &World) {
    let cut = "select count(pg_terminate_backend(pid)) from pg_stat_activity
               where datname = current_database() and pid <> pg_backend_pid()";
    world.number(cut).await;
}

#[tokio::test]
async fn a_missing_slot_ends_the_relay() {
    let world = World::create(1).await;
    world
        .number("delete from relay_slot returning 0::bigint")
        .await;
    let error = world.relay("a", LEASE).end().await.unwrap_err();
    assert_eq!(error.to_string(), "relay slot 0 is not in table relay_slot");
}

#[tokio::test]
async fn a_producer_delivers_again_after_its_queue_was_thrown_away() {
    let world = World::create(1).await;
    let producer = world.producer();
    let record = |subject: &str| {
        let event = world.event(subject, 1);
        brewline_messaging::cloud_events::record(world.topic, &event.envelope, Bytes::new())
    };
    // Established first, so that the purge finds requests on their way.
    producer.send(record("first")).unwrap().await.unwrap();
    let thrown: Vec<_> = (0..500)
        .map(|_| producer.send(record("thrown")).unwrap())
        .collect();
    producer.hurry();
    tokio::task::yield_now().await;
    producer.purge();
    for delivery in thrown {
        // Each has an answer, whichever.
        drop(delivery.await);
    }
    for _ in 0..3 {
        producer.send(record("last")).unwrap().await.unwrap();
    }
}
