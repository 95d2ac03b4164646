use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use brewline_kafka::{Input, Limits, Producer, ProducerSettings, Subscription, TopicPartition};
use brewline_test_support::{TestTopics, eventually};
use tokio::time::timeout;

use crate::member::Member;
use crate::sending::{record, send_all};

fn producer(topics: &TestTopics) -> Producer {
    Producer::new(topics.config(), ProducerSettings::default()).unwrap()
}

/// Sends `0..count` to one partition.
async fn fill(topics: &TestTopics, topic: &str, partition: i32, count: u32) {
    let records = (0..count).map(|n| {
        let mut record = record(topic, "key", &n.to_string());
        record.partition = Some(partition);
        record
    });
    send_all(&producer(topics), records).await;
}

fn offsets(member: &Member, partition: i32) -> Vec<i64> {
    let of = |record: &&brewline_kafka::Received| record.partition == partition;
    member
        .read
        .iter()
        .filter(of)
        .map(|record| record.offset)
        .collect()
}

#[tokio::test]
async fn a_partition_is_silent_until_it_is_told_where_to_begin() {
    let topics = TestTopics::create(&["orders"], 2).await;
    let (topic, group) = (topics.name("orders"), topics.name("group"));
    fill(&topics, &topic, 0, 100).await;
    fill(&topics, &topic, 1, 100).await;
    let (subscription, mut inputs) =
        Subscription::start(topics.config(), &group, &[&topic], Limits::default()).unwrap();
    let Some(Input::Assigned(partitions)) = inputs.recv().await else {
        panic!("not assigned")
    };
    assert_eq!(partitions.len(), 2);
    let early = timeout(Duration::from_millis(500), inputs.recv()).await;
    assert!(early.is_err(), "{early:?}");

    let first = TopicPartition::new(topic.as_str(), 1);
    subscription.start_from(&first, 40);
    let mut read = Vec::new();
    while read.len() < 60 {
        match timeout(Duration::from_secs(10), inputs.recv())
            .await
            .unwrap()
        {
            Some(Input::Records(records)) => read.extend(records),
            other => panic!("{other:?}"),
        }
    }
    assert!(read.iter().all(|record| record.partition == 1));
    assert!(read.iter().map(|record| record.offset).eq(40..100));
    subscription.close().await;
}

#[tokio::test]
async fn beginning_again_reads_again_from_there() {
    let topics = TestTopics::create(&["orders"], 1).await;
    let (topic, group) = (topics.name("orders"), topics.name("group"));
    fill(&topics, &topic, 0, 1_000).await;
    let mut member = Member::join(topics.config(), &group, &topic, Limits::default());
    member
        .until("everything is read", |member| member.read.len() == 1_000)
        .await;
    for begin in [500, 0, 990, 3] {
        member.read.clear();
        member
            .subscription
            .start_from(&TopicPartition::new(topic.as_str(), 0), begin);
        let left = usize::try_from(1_000 - begin).unwrap();
        member
            .until("the rest is read again", |member| member.read.len() >= left)
            .await;
        member.idle(Duration::from_millis(100)).await;
        assert!(
            offsets(&member, 0).into_iter().eq(begin..1_000),
            "from {begin}"
        );
    }
}

#[tokio::test]
async fn a_full_queue_bounds_what_is_read_ahead_and_loses_nothing() {
    let topics = TestTopics::create(&["orders"], 2).await;
    let (topic, group) = (topics.name("orders"), topics.name("group"));
    fill(&topics, &topic, 0, 5_000).await;
    fill(&topics, &topic, 1, 5_000).await;
    let limits = Limits {
        queue_records_max: 100,
        batch_records_max: 10,
        ..Limits::default()
    };
    let mut member = Member::join(topics.config(), &group, &topic, limits);
    member
        .until("something is read", |member| !member.read.is_empty())
        .await;
    // Long enough for the pause to be made, several times.
    for _ in 0..3 {
        eventually("the queue is full", async || member.inputs.len() == 10).await;
        let polled = Instant::now();
        eventually("it is polled though full", async || {
            polled.elapsed() > Duration::from_millis(400)
                && member.subscription.polled_ago() < Duration::from_millis(300)
        })
        .await;
        let before = member.read.len();
        let mut batches = 0;
        while batches < 10 {
            let Some(Input::Records(records)) = member.inputs.recv().await else {
                continue;
            };
            assert!(records.len() <= 10);
            member.read.extend(records);
            batches += 1;
        }
        assert!(member.read.len() - before <= 100);
    }
    member
        .until("everything is read", |member| member.read.len() >= 10_000)
        .await;
    for partition in 0..2 {
        assert!(
            offsets(&member, partition).into_iter().eq(0..5_000),
            "{partition}"
        );
    }
}

#[tokio::test]
async fn what_may_gather_comes_although_it_is_little() {
    let topics = TestTopics::create(&["orders"], 1).await;
    let (topic, group) = (topics.name("orders"), topics.name("group"));
    let limits = Limits {
        gather: Duration::from_millis(50),
        ..Limits::default()
    };
    let mut member = Member::join(topics.config(), &group, &topic, limits);
    for records in [3, 6] {
        fill(&topics, &topic, 0, 3).await;
        member
            .until("they come", |member| member.read.len() == records)
            .await;
    }
}

#[tokio::test]
async fn a_paused_partition_goes_on_where_it_stopped() {
    let topics = TestTopics::create(&["orders"], 2).await;
    let (topic, group) = (topics.name("orders"), topics.name("group"));
    let mut member = Member::join(topics.config(), &group, &topic, Limits::default());
    member
        .until("it owns both", |member| member.owned.len() == 2)
        .await;
    let (left, right) = (member.owned[0].clone(), member.owned[1].clone());
    fill(&topics, &topic, 0, 10).await;
    fill(&topics, &topic, 1, 10).await;
    member
        .until("both are read", |member| member.read.len() == 20)
        .await;

    member.subscription.pause(&left);
    // The wish is carried out within the next poll, and what was queued before may still come.
    member.idle(Duration::from_millis(200)).await;
    fill(&topics, &topic, left.partition, 10).await;
    fill(&topics, &topic, right.partition, 10).await;
    member
        .until("the other one goes on", |m| {
            offsets(m, right.partition).len() == 20
        })
        .await;
    member.idle(Duration::from_millis(200)).await;
    assert_eq!(offsets(&member, left.partition).len(), 10);
    member.subscription.resume(&left);
    member
        .until("it goes on", |m| offsets(m, left.partition).len() == 20)
        .await;
    assert!(offsets(&member, left.partition).into_iter().eq(0..20));
}

#[tokio::test]
async fn a_partition_is_handed_over_only_when_drained() {
    let topics = TestTopics::create(&["orders"], 4).await;
    let (topic, group) = (topics.name("orders"), topics.name("group"));
    let limits = Limits {
        drain: Duration::from_secs(30),
        ..Limits::default()
    };
    for partition in 0..4 {
        fill(&topics, &topic, partition, 50).await;
    }
    let mut old = Member::join(topics.config(), &group, &topic, limits);
    old.until("it reads everything", |member| member.read.len() == 200)
        .await;

    let mut new = Member::join(topics.config(), &group, &topic, limits);
    old.until("it is asked to let go", |member| {
        !member.revoking.is_empty()
    })
    .await;
    let (moving, drained) = old.revoking.remove(0);
    assert_eq!(
        (moving.len(), old.owned.len()),
        (2, 2),
        "the rest stays where it is"
    );
    new.idle(Duration::from_millis(700)).await;
    assert!(
        new.owned.is_empty(),
        "handed over before it was drained: {:?}",
        new.owned
    );
    // What stays goes on being read once the hand-over is done.
    new.positions = moving
        .iter()
        .map(|partition| (partition.clone(), 50))
        .collect();
    drained.send(()).unwrap();
    new.until("it gets them", |member| member.owned.len() == 2)
        .await;
    let mut got = new.owned.clone();
    got.sort();
    assert_eq!(got, moving);

    for partition in 0..4 {
        fill(&topics, &topic, partition, 10).await;
    }
    old.until("the old one reads on", |member| member.read.len() == 220)
        .await;
    new.until("the new one reads on", |member| member.read.len() == 20)
        .await;
    assert!(new.read.iter().all(|record| record.offset >= 50));
}

#[tokio::test]
async fn a_member_that_closes_is_replaced_at_once() {
    let topics = TestTopics::create(&["orders"], 2).await;
    let (topic, group) = (topics.name("orders"), topics.name("group"));
    fill(&topics, &topic, 0, 10).await;
    fill(&topics, &topic, 1, 10).await;
    let config = topics.config().clone();
    let config = config.with_session_timeout(Duration::from_secs(30));
    let mut old = Member::join(&config, &group, &topic, Limits::default());
    old.until("it reads everything", |member| member.read.len() == 20)
        .await;
    let began = Instant::now();
    old.subscription.close().await;
    let mut new = Member::join(&config, &group, &topic, Limits::default());
    new.until("it reads everything", |member| member.read.len() == 20)
        .await;
    // The session timeout is 30 s: nobody waited for it.
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn an_undrained_partition_is_handed_over_after_the_limit() {
    let topics = TestTopics::create(&["orders"], 2).await;
    let (topic, group) = (topics.name("orders"), topics.name("group"));
    let limits = Limits {
        drain: Duration::from_millis(300),
        ..Limits::default()
    };
    let mut old = Member::join(topics.config(), &group, &topic, limits);
    old.until("it owns both", |member| member.owned.len() == 2)
        .await;
    let mut new = Member::join(topics.config(), &group, &topic, limits);
    // The old one is asked, and never answers.
    old.until("it is asked to let go", |member| {
        !member.revoking.is_empty()
    })
    .await;
    new.until("it gets one all the same", |member| member.owned.len() == 1)
        .await;
}

#[tokio::test]
async fn records_come_without_waiting_for_a_timer() {
    let topics = TestTopics::create(&["orders"], 1).await;
    let (topic, group) = (topics.name("orders"), topics.name("group"));
    let producer = producer(&topics);
    let mut member = Member::join(topics.config(), &group, &topic, Limits::default());
    member
        .until("it owns the partition", |member| member.owned.len() == 1)
        .await;
    let mut waits = Vec::new();
    for n in 0..50 {
        let began = Instant::now();
        drop(
            producer
                .send(record(&topic, "key", &n.to_string()))
                .unwrap(),
        );
        producer.hurry();
        member
            .until("it comes", |member| member.read.len() > n)
            .await;
        waits.push(began.elapsed());
    }
    waits.sort();
    assert!(
        waits[25] < Duration::from_millis(50),
        "the median took {:?}",
        waits[25]
    );
}

#[tokio::test]
async fn committed_offsets_and_ends_are_for_tools() {
    let topics = TestTopics::create(&["orders"], 1).await;
    let (topic, group) = (topics.name("orders"), topics.name("group"));
    fill(&topics, &topic, 0, 30).await;
    let mut member = Member::join(topics.config(), &group, &topic, Limits::default());
    member
        .until("everything is read", |member| member.read.len() == 30)
        .await;
    let partition = TopicPartition::new(topic.as_str(), 0);
    member.subscription.commit(&[(partition.clone(), 30)]);
    eventually("the end is known", async || {
        member.subscription.end_offsets() == BTreeMap::from([(partition.clone(), 30)])
    })
    .await;
}
