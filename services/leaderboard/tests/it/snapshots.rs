//! Snapshots: a start from one is a start from the beginning, only quicker.

use std::sync::Arc;
use std::time::Duration;

use brewline_leaderboard::app::snapshots::{Snapshots, restore};
use brewline_leaderboard::outbound::snapshot_store::{self, Positions};
use brewline_leaderboard_domain::Fold;
use brewline_test_support::{eventually, eventually_within};
use tokio_util::sync::CancellationToken;

use crate::outside::{Outside, Running, Sold};

fn snapshots(outside: &Outside, running: &Running, instance: &str) -> Snapshots {
    Snapshots {
        live: Arc::clone(&running.boards.live),
        pool: running.boards.pool.clone(),
        admin: outside.topics.admin().clone(),
        topics: outside.names(),
        instance: instance.to_owned(),
        interval: Duration::from_secs(3_600),
    }
}

async fn sell(outside: &Outside, orders: i64) -> Vec<Sold> {
    let mut all = Vec::new();
    for number in 0..orders {
        let sold = Sold::new(
            "store-lisbon",
            &format!("customer-{}", number % 7),
            &[("v60", 1 + number % 3)],
        );
        outside.placed(&sold).await;
        outside.confirmed(&sold).await;
        all.push(sold);
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_from_a_snapshot_equals_a_process_that_went_on() {
    let outside = Outside::new().await;
    let steady = outside.start("steady").await;
    let restarted = outside.start("restarted").await;
    let early = sell(&outside, 20).await;
    outside.settle(&restarted).await;
    assert!(
        snapshots(&outside, &restarted, "restarted")
            .take()
            .await
            .unwrap()
    );
    restarted.stop().await;
    sell(&outside, 10).await;
    outside.cancelled(&early[0]).await;
    outside.confirmed(&early[1]).await;
    let again = outside.start("again").await;
    outside.settle(&steady).await;
    outside.settle(&again).await;
    assert_eq!(again.bytes(), steady.bytes());
    let read = again.boards.live.read().records;
    assert!(read < 30, "{read} records were read again");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_replica_writes_snapshots() {
    let outside = Outside::new().await;
    let running = outside.start("one").await;
    outside.settle(&running).await;
    assert!(snapshots(&outside, &running, "one").take().await.unwrap());
    assert!(
        !snapshots(&outside, &running, "two").take().await.unwrap(),
        "the lease is one's"
    );
    let connection = outside.database.pool().get().await.unwrap();
    let free = "update snapshot_lease set expires_at = now() - interval '1 second'";
    connection.execute(free, &[]).await.unwrap();
    assert!(snapshots(&outside, &running, "two").take().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_lost_its_lease_changes_nothing() {
    let outside = Outside::new().await;
    let running = outside.start("one").await;
    outside.settle(&running).await;
    let pool = outside.database.pool();
    assert!(snapshots(&outside, &running, "one").take().await.unwrap());
    let lease = snapshot_store::take_lease(pool, "one")
        .await
        .unwrap()
        .unwrap();
    let connection = pool.get().await.unwrap();
    let other = "update snapshot_lease set holder = 'two', epoch = epoch + 1";
    connection.execute(other, &[]).await.unwrap();
    let before = snapshot_store::newest(pool).await.unwrap().unwrap();
    let written = snapshot_store::write(pool, &lease, b"late", &Positions::default()).await;
    assert!(matches!(written, Err(snapshot_store::Error::LeaseLost)));
    let after = snapshot_store::newest(pool).await.unwrap().unwrap();
    assert_eq!(before.bytes, after.bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_is_half_written_or_damaged_is_never_read() {
    let outside = Outside::new().await;
    let running = outside.start("one").await;
    sell(&outside, 5).await;
    outside.settle(&running).await;
    let taker = snapshots(&outside, &running, "one");
    taker.take().await.unwrap();
    let connection = outside.database.pool().get().await.unwrap();
    // As a writer leaves it that is killed between two parts.
    let half =
        "insert into snapshot (format, epoch, bytes, checksum) values (1, 1, 9, 'x') returning id";
    let id: i64 = connection.query_one(half, &[]).await.unwrap().get(0);
    let part = "insert into snapshot_part (snapshot_id, number, body) values ($1, 0, 'half')";
    connection.execute(part, &[&id]).await.unwrap();
    let (admin, names) = (outside.topics.admin(), outside.names());
    let state = restore(outside.database.pool(), admin, &names)
        .await
        .unwrap();
    assert_eq!(state.fold.encode(), running.bytes());
    taker.take().await.unwrap();
    let rows = "select count(*) from snapshot";
    let left: i64 = connection.query_one(rows, &[]).await.unwrap().get(0);
    assert_eq!(left, 1, "the next one cleans up");
    let damage = "update snapshot_part set body = set_byte(body, 3, get_byte(body, 3) # 1)";
    connection.execute(damage, &[]).await.unwrap();
    let state = restore(outside.database.pool(), admin, &names)
        .await
        .unwrap();
    assert_eq!(
        state.fold.encode(),
        Fold::default().encode(),
        "the log is read instead"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_of_topics_that_were_made_anew_is_not_used() {
    let outside = Outside::new().await;
    let running = outside.start("one").await;
    sell(&outside, 5).await;
    outside.settle(&running).await;
    snapshots(&outside, &running, "one").take().await.unwrap();
    running.stop().await;
    outside.topics.make_anew(3).await;
    let state = restore(
        outside.database.pool(),
        outside.topics.admin(),
        &outside.names(),
    )
    .await
    .unwrap();
    assert!(state.offsets.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_name_leaves_memory_and_snapshot() {
    let outside = Outside::new().await;
    let running = outside.start("one").await;
    outside.customer("ann", "Annabelle Unmistakable", 1).await;
    outside.settle(&running).await;
    snapshots(&outside, &running, "one").take().await.unwrap();
    let connection = outside.database.pool().get().await.unwrap();
    let holds = "select exists (select from snapshot_part where position('Unmistakable'::bytea in body) > 0)";
    let holds = async || {
        connection
            .query_one(holds, &[])
            .await
            .unwrap()
            .get::<_, bool>(0)
    };
    assert!(holds().await);
    outside.customer("ann", "", 2).await;
    outside.settle(&running).await;
    assert!(
        running.boards.live.read().is_name_due(),
        "a snapshot is due at once"
    );
    snapshots(&outside, &running, "one").take().await.unwrap();
    assert!(!holds().await && !running.boards.live.read().is_name_due());
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_waits_for_the_end_of_the_log() {
    let outside = Outside::new().await;
    sell(&outside, 20).await;
    let running = outside.start("one").await;
    eventually("the boards are ready", async || {
        running.context.health().not_ready().is_empty()
    })
    .await;
    assert_eq!(running.boards.live.read().records, 47);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_names_no_topic_is_none() {
    let outside = Outside::new().await;
    let running = outside.start("one").await;
    sell(&outside, 5).await;
    outside.settle(&running).await;
    let pool = outside.database.pool();
    let lease = snapshot_store::take_lease(pool, "one").await.unwrap();
    let nowhere = Positions::default();
    snapshot_store::write(pool, &lease.unwrap(), &running.bytes(), &nowhere)
        .await
        .unwrap();
    let state = restore(pool, outside.topics.admin(), &outside.names())
        .await
        .unwrap();
    assert_eq!(
        state.fold.encode(),
        Fold::default().encode(),
        "nobody knows which log it is of"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_without_the_lease_does_not_forget_that_a_name_has_to_go() {
    let outside = Outside::new().await;
    let writer = outside.start("one").await;
    let other = outside.start("two").await;
    outside.customer("ann", "Annabelle Unmistakable", 1).await;
    outside.settle(&writer).await;
    assert!(snapshots(&outside, &writer, "one").take().await.unwrap());
    outside.customer("ann", "", 2).await;
    outside.settle(&other).await;
    assert!(!snapshots(&outside, &other, "two").take().await.unwrap());
    assert!(other.boards.live.read().is_name_due());
    // The one that holds the lease dies before it has written: this one has to.
    writer.stop().await;
    let connection = outside.database.pool().get().await.unwrap();
    let free = "update snapshot_lease set expires_at = now() - interval '1 second'";
    connection.execute(free, &[]).await.unwrap();
    let stop = CancellationToken::new();
    let running = snapshots(&outside, &other, "two").run(stop.clone());
    let holds = "select exists (select from snapshot_part where position('Unmistakable'::bytea in body) > 0)";
    let gone = async {
        eventually_within(Duration::from_secs(20), "the name is gone", async || {
            !connection
                .query_one(holds, &[])
                .await
                .unwrap()
                .get::<_, bool>(0)
        })
        .await;
        stop.cancel();
    };
    tokio::join!(running, gone);
    assert!(!other.boards.live.read().is_name_due());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_is_overtaken_by_a_writer_reads_one_snapshot() {
    let outside = Outside::new().await;
    let pool = outside.database.pool();
    let lease = snapshot_store::take_lease(pool, "one").await.unwrap();
    let lease = lease.unwrap();
    let mut positions = Positions::default();
    for topic in outside.names().names() {
        positions
            .topic_ids
            .insert(topic.to_owned(), "id".to_owned());
        let place = brewline_kafka::TopicPartition::new(topic, 0);
        positions.offsets.insert(place, 1);
    }
    // Several parts each, and each completed one forgets the one before.
    let write = async |byte: u8| {
        let bytes = vec![byte; 3 * 512 * 1_024];
        let written = snapshot_store::write(pool, &lease, &bytes, &positions);
        written.await.unwrap();
    };
    write(0).await;
    let writing = async {
        for byte in 1..=20 {
            write(byte).await;
        }
    };
    let reading = async {
        let mut newest = 0;
        while newest < 20 {
            let stored = snapshot_store::newest(pool).await.unwrap();
            let stored = stored.expect("there always is a whole one");
            assert_eq!(stored.positions, positions);
            newest = stored.bytes[0];
        }
    };
    tokio::join!(writing, reading);
}
