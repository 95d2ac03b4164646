//! gRPC as the gateway calls it.

use std::sync::Arc;
use std::time::Duration;

use brewline_kernel::system::SystemClock;
use brewline_leaderboard::inbound::grpc::BoardsGrpc;
use brewline_proto::leaderboard::v1 as wire;
use brewline_proto::order::v1::ConsistencyToken;
use brewline_server::status::reason;
use futures_util::StreamExt as _;
use tonic::Request;
use wire::leaderboard_service_server::LeaderboardService as _;

use crate::outside::{Outside, Running, Sold};

fn grpc(outside: &Outside, running: &Running) -> BoardsGrpc {
    let live = Arc::clone(&running.boards.live);
    let calendar = Arc::clone(&running.boards.rebuilder.calendar);
    BoardsGrpc::new(
        live,
        outside.names(),
        calendar,
        Arc::new(SystemClock),
        running.context.shutdown(),
    )
}

fn selector(board: &str) -> Option<wire::BoardSelector> {
    Some(wire::BoardSelector {
        board: board.to_owned(),
        window: wire::Window::All.into(),
        ..wire::BoardSelector::default()
    })
}

fn top(board: &str, tokens: Vec<ConsistencyToken>) -> Request<wire::GetBoardRequest> {
    let selector = selector(board);
    Request::new(wire::GetBoardRequest {
        selector,
        limit: 10,
        tokens,
        wait_ms: 10_000,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_with_a_token_sees_the_write() {
    let outside = Outside::new().await;
    let running = outside.start("one").await;
    let grpc = grpc(&outside, &running);
    let sold = Sold::new("store-oslo", "ann", &[("v60", 3)]);
    outside.confirmed(&sold).await;
    let token = ConsistencyToken {
        topic: outside.names().orders,
        subject: sold.id.to_string(),
        version: 2,
    };
    let board = grpc
        .get_board(top("products", vec![token]))
        .await
        .unwrap()
        .into_inner()
        .board
        .unwrap();
    assert_eq!(
        (
            board.rows[0].id.as_str(),
            board.rows[0].name.as_str(),
            board.rows[0].score
        ),
        ("v60", "The v60", 3)
    );
    let future = ConsistencyToken {
        topic: outside.names().customers,
        subject: "ann".to_owned(),
        version: 1,
    };
    let mut request = top("products", vec![future]);
    request.get_mut().wait_ms = 10;
    let refused = grpc.get_board(request).await.unwrap_err();
    assert_eq!(reason(&refused).as_deref(), Some("view-behind"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_is_found_with_those_around_it() {
    let outside = Outside::new().await;
    let running = outside.start("one").await;
    for (number, customer) in (1..).zip(["ann", "bob", "cat", "dan", "eve"]) {
        outside
            .confirmed(&Sold::new("store-oslo", customer, &[("v60", 10 - number)]))
            .await;
    }
    outside.customer("cat", "Catherine", 1).await;
    outside.settle(&running).await;
    let grpc = grpc(&outside, &running);
    let ask = |id: &str| {
        let (selector, id) = (selector("coffee-lovers"), id.to_owned());
        Request::new(wire::GetMemberRequest {
            selector,
            id,
            around: 1,
            ..wire::GetMemberRequest::default()
        })
    };
    let answer = grpc.get_member(ask("cat")).await.unwrap().into_inner();
    let member = answer.member.unwrap();
    assert_eq!(
        (member.rank, member.name.as_str(), member.score),
        (3, "Catherine", 7)
    );
    let around: Vec<String> = answer
        .board
        .unwrap()
        .rows
        .into_iter()
        .map(|row| row.id)
        .collect();
    assert_eq!(around, ["bob", "cat", "dan"]);
    let refused = grpc.get_member(ask("nobody")).await.unwrap_err();
    assert_eq!(reason(&refused).as_deref(), Some("not-on-board"));
}

#[tokio::test(flavor = "multi_thread")]
async fn recommendations_say_why() {
    let outside = Outside::new().await;
    let running = outside.start("one").await;
    for customer in ["ann", "bob"] {
        outside
            .confirmed(&Sold::new(
                "store-oslo",
                customer,
                &[("v60", 1), ("siphon", 1)],
            ))
            .await;
    }
    outside
        .confirmed(&Sold::new("store-oslo", "cat", &[("v60", 2)]))
        .await;
    outside.settle(&running).await;
    let request = wire::RecommendRequest {
        customer_id: "cat".to_owned(),
        limit: 3,
        ..wire::RecommendRequest::default()
    };
    let answer = grpc(&outside, &running)
        .recommend(Request::new(request))
        .await
        .unwrap()
        .into_inner();
    let method = &answer.methods[0];
    let because = method.because.as_ref().unwrap();
    assert_eq!(
        (
            method.method.as_str(),
            because.likes.as_str(),
            because.both,
            because.of
        ),
        ("siphon", "v60", 2, 3)
    );
    assert_eq!(method.r#try.as_ref().unwrap().product_id, "siphon");
    assert_eq!(answer.products[0].name, "The siphon");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watched_board_comes_whole_and_a_resume_sends_only_what_differs() {
    let outside = Outside::new().await;
    let running = outside.start("one").await;
    outside
        .confirmed(&Sold::new("store-oslo", "ann", &[("v60", 1)]))
        .await;
    outside.settle(&running).await;
    let grpc = grpc(&outside, &running);
    let watch = async |after: &str| {
        let (selector, after) = (selector("products"), after.to_owned());
        let request = wire::WatchBoardRequest {
            selector,
            limit: 10,
            after,
        };
        grpc.watch_board(Request::new(request))
            .await
            .unwrap()
            .into_inner()
    };
    let mut states = watch("").await;
    let first = states.next().await.unwrap().unwrap().board.unwrap();
    assert_eq!(first.rows[0].score, 1);
    let mut resumed = watch(&first.position).await;
    let quiet = tokio::time::timeout(Duration::from_millis(300), resumed.next()).await;
    assert!(quiet.is_err(), "it has this state already");
    outside
        .confirmed(&Sold::new("store-oslo", "ann", &[("v60", 4)]))
        .await;
    for stream in [&mut states, &mut resumed] {
        let next = stream.next().await.unwrap().unwrap().board.unwrap();
        assert_eq!(next.rows[0].score, 5);
        assert_ne!(next.position, first.position);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_is_every_score_with_its_positions_and_revenue() {
    let outside = Outside::new().await;
    let running = outside.start("one").await;
    outside
        .confirmed(&Sold::new("store-oslo", "ann", &[("v60", 2)]))
        .await;
    outside.settle(&running).await;
    let request = wire::DumpBoardsRequest {
        windows: vec![wire::Window::Day.into()],
    };
    let stream = grpc(&outside, &running)
        .dump_boards(Request::new(request))
        .await
        .unwrap()
        .into_inner();
    let messages: Vec<_> = stream.map(Result::unwrap).collect().await;
    assert!(!messages[0].positions.is_empty());
    assert_eq!(
        (
            messages[0].revenue[0].amount_minor,
            messages[0].revenue[0].orders
        ),
        (200, 1)
    );
    let rows: Vec<_> = messages.iter().flat_map(|message| &message.rows).collect();
    // Customer, method, origin and product, at the store and in the chain.
    assert_eq!(rows.len(), 8);
    assert!(
        rows.iter()
            .all(|row| row.score == 2 && row.starts == "2026-11-20")
    );
    let sold: Vec<_> = messages[0]
        .trending
        .iter()
        .map(|count| {
            (
                count.store_id.as_str(),
                count.product_id.as_str(),
                count.units,
            )
        })
        .collect();
    assert_eq!(sold, [("", "v60", 2), ("store-oslo", "v60", 2)]);
}
