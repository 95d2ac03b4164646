//! What is in the log is on the boards, once.

use std::sync::Arc;

use brewline_kafka::Record;
use brewline_kernel::system::SystemClock;
use brewline_leaderboard::inbound::operator::OperatorGrpc;
use brewline_leaderboard_domain::{Board, Window};
use brewline_proto::operator::v1 as wire;
use bytes::Bytes;
use tonic::Request;
use wire::operator_service_server::OperatorService as _;

use crate::outside::{ORDERS, Outside, Running, Sold, Sums};

/// Orders of every fate, and what boards of all time must say.
async fn busy_day(outside: &Outside) -> Sums {
    let mut sums = Sums::new();
    let stores = ["store-lisbon", "store-oslo", "store-kyoto"];
    let baskets: [&[(&str, i64)]; 4] = [
        &[("v60", 2)],
        &[("siphon", 1), ("croissant", 3)],
        &[("espresso", 1)],
        &[("v60", 1), ("espresso", 4)],
    ];
    for number in 0..60_usize {
        let customer = format!("customer-{}", number % 11);
        let sold = Sold::new(stores[number % 3], &customer, baskets[number % 4]);
        outside.placed(&sold).await;
        if number % 7 == 0 {
            continue;
        }
        outside.confirmed(&sold).await;
        sold.add_to(&mut sums, 1);
        if number % 5 == 0 {
            // A relay that died after its send: the record comes twice, and an old one late.
            outside.confirmed(&sold).await;
            outside.placed(&sold).await;
        }
        if number % 6 == 0 {
            outside.cancelled(&sold).await;
            sold.add_to(&mut sums, -1);
            outside.confirmed(&sold).await;
        }
    }
    sums
}

#[tokio::test(flavor = "multi_thread")]
async fn boards_are_a_plain_sum_of_the_log_whatever_comes_twice() {
    let outside = Outside::new().await;
    let running = outside.start("one").await;
    let sums = busy_day(&outside).await;
    outside.settle(&running).await;
    assert_eq!(running.sums(), sums);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_have_the_same_bytes() {
    let outside = Outside::new().await;
    let one = outside.start("one").await;
    busy_day(&outside).await;
    let two = outside.start("two").await;
    outside.settle(&one).await;
    outside.settle(&two).await;
    assert_eq!(one.bytes(), two.bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_counts_on_its_stores_date() {
    let outside = Outside::new().await;
    outside
        .confirmed(&Sold::new("store-kyoto", "ann", &[("v60", 1)]))
        .await;
    outside
        .confirmed(&Sold::new("store-lisbon", "bob", &[("v60", 1)]))
        .await;
    let running = outside.start("one").await;
    outside.settle(&running).await;
    let state = running.boards.live.read();
    let count = |day: &str| {
        let window = Window::Day(day.parse().unwrap());
        let ranking = state.fold.tables().ranking(Board::Products, "", window);
        ranking
            .and_then(|ranking| ranking.standing("v60"))
            .map(|standing| standing.score)
    };
    assert_eq!(
        (count("2026-11-20"), count("2026-11-21")),
        (Some(1), Some(1))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_cannot_be_read_is_listed_and_its_order_left_out() {
    let outside = Outside::new().await;
    let running = outside.start("one").await;
    let (bad, good) = (
        Sold::new("store-oslo", "ann", &[("v60", 1)]),
        Sold::new("store-oslo", "bob", &[("v60", 1)]),
    );
    outside.placed(&bad).await;
    outside
        .send(Record {
            topic: outside.topics.name(ORDERS),
            key: Bytes::from(bad.id.to_string()),
            payload: Some(Bytes::from_static(b"nonsense")),
            headers: Vec::new(),
            partition: None,
            timestamp: None,
        })
        .await;
    outside.cancelled(&bad).await;
    outside.confirmed(&good).await;
    outside.settle(&running).await;
    let mut sums = Sums::new();
    good.add_to(&mut sums, 1);
    assert_eq!(running.sums(), sums);
    {
        let state = running.boards.live.read();
        let (_, subject, skipped) = state.fold.skipped().next().unwrap();
        assert_eq!(
            (subject.as_ref(), skipped.followers),
            (bad.id.to_string().as_str(), 1)
        );
        assert!(skipped.reason.contains("missing"), "{}", skipped.reason);
    }
    a_dead_letter_is_dropped_once_and_no_longer_listed(&running).await;
}

async fn a_dead_letter_is_dropped_once_and_no_longer_listed(running: &Running) {
    let boards = running.boards.clone();
    let operator = OperatorGrpc {
        live: boards.live,
        heads: boards.heads,
        topics: boards.rebuilder.topics.clone(),
        pool: boards.pool,
        clock: Arc::new(SystemClock),
    };
    let listed = async || {
        let limit = wire::ListDeadLettersRequest { limit: 10 };
        let answer = operator.list_dead_letters(Request::new(limit)).await;
        answer.unwrap().into_inner().dead_letters
    };
    let [letter] = &listed().await[..] else {
        panic!("one record cannot be read");
    };
    let drop = async |dry_run| {
        let request = wire::DropDeadLetterRequest {
            id: letter.id.clone(),
            actor: "ada".to_owned(),
            dry_run,
        };
        let answer = operator.drop_dead_letter(Request::new(request)).await;
        answer.unwrap().into_inner()
    };
    assert!(drop(true).await.dropped);
    assert_eq!(listed().await.len(), 1, "a dry run drops nothing");
    let dropped = drop(false).await;
    assert!(dropped.dropped && !dropped.action_id.is_empty());
    assert_eq!(listed().await, []);
    assert!(!drop(false).await.dropped, "it had been dropped already");
    let id = letter.id.clone();
    let asked = operator.get_dead_letter(Request::new(wire::GetDeadLetterRequest { id }));
    let outcome = asked.await.unwrap().into_inner().outcome();
    assert_eq!(outcome, wire::DeadLetterOutcome::Dropped);
}
