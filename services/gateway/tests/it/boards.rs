//! Boards as JSON and as a stream, and what to try next.

use std::time::Duration;

use brewline_proto::leaderboard::v1::{
    GetBoardRequest, GetBoardResponse, GetMemberRequest, GetMemberResponse, RecommendResponse,
    WatchBoardRequest, WatchBoardResponse, Window,
};
use brewline_server::status::rejection;
use reqwest::{Method, StatusCode};
use serde_json::json;
use tonic::Code;

use crate::edge::{Edge, header, json, problem};
use crate::samples::{self, ORDER_ID};

#[tokio::test]
async fn a_board_is_asked_for_by_window_date_and_store() {
    let it = Edge::start().await;
    let board = Some(samples::board());
    it.stub.say("get_board", GetBoardResponse { board });
    let path = "/v1/boards/coffee-lovers?window=week&at=2026-11-21&storeId=store-oslo&limit=3";
    let request = it.request(Method::GET, path);
    let token = format!("brewline.order.events.v1:{ORDER_ID}:2");
    let response = request
        .header("brewline-consistency", token)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let body = json(response).await;
    assert_eq!(
        (&body["window"], &body["starts"]),
        (&json!("week"), &json!("2026-11-16"))
    );
    let row = json!({ "rank": 1, "id": "customer-demo", "name": "Ana", "score": 12 });
    assert_eq!(body["items"], json!([row]));
    let (_, sent): (_, GetBoardRequest) = it.stub.last("get_board");
    let selector = sent.selector.unwrap();
    assert_eq!(
        (selector.board.as_str(), selector.window()),
        ("coffee-lovers", Window::Week)
    );
    assert_eq!(
        (selector.at.as_str(), selector.store_id.as_str()),
        ("2026-11-21", "store-oslo")
    );
    assert_eq!((sent.limit, sent.tokens.len()), (3, 1));
}

#[tokio::test]
async fn what_is_left_out_is_this_month_of_the_chain() {
    let it = Edge::start().await;
    let board = Some(samples::board());
    it.stub.say("get_board", GetBoardResponse { board });
    it.get("/v1/boards/origins").await;
    let (_, sent): (_, GetBoardRequest) = it.stub.last("get_board");
    let selector = sent.selector.unwrap();
    assert_eq!(
        (selector.window(), selector.at.as_str()),
        (Window::Month, "")
    );
    assert_eq!((selector.store_id.as_str(), sent.limit), ("", 10));
    for wrong in ["window=year", "limit=0", "limit=1001"] {
        problem(
            it.get(&format!("/v1/boards/origins?{wrong}")).await,
            422,
            "invalid-request",
        )
        .await;
    }
    problem(
        it.get("/v1/boards/origins?color=red").await,
        400,
        "invalid-query",
    )
    .await;
}

#[tokio::test]
async fn a_member_stands_with_those_around_it_whatever_its_name() {
    let it = Edge::start().await;
    let (member, board) = (Some(samples::board_row()), Some(samples::board()));
    it.stub
        .say("get_member", GetMemberResponse { member, board });
    let response = it
        .get("/v1/boards/origins/members/C%C3%B4te%20d%2FIvoire?around=2")
        .await;
    let body = json(response).await;
    assert_eq!(
        (&body["member"]["rank"], &body["board"]["members"]),
        (&json!(1), &json!(40))
    );
    let (_, sent): (_, GetMemberRequest) = it.stub.last("get_member");
    assert_eq!((sent.id.as_str(), sent.around), ("Côte d/Ivoire", 2));
    it.stub.refuse(
        "get_member",
        rejection(Code::NotFound, "not-on-board", "no score"),
    );
    problem(
        it.get("/v1/boards/origins/members/x").await,
        404,
        "not-on-board",
    )
    .await;
}

#[tokio::test]
async fn a_stream_tells_the_whole_board_and_goes_on_where_it_was_cut_off() {
    let it = Edge::start().await;
    let board = Some(samples::board());
    it.stub
        .stream("watch_board", vec![WatchBoardResponse { board }]);
    let request = it.request(Method::GET, "/v1/boards/products?window=day&limit=7");
    let request = request
        .header("accept", "text/event-stream")
        .header("last-event-id", "b1-00");
    let response = request.send().await.unwrap();
    assert_eq!(header(&response, "content-type"), "text/event-stream");
    let text = response.text().await.unwrap();
    assert!(
        text.contains("id: b1-0a0b\n") && text.contains("\"rank\":1"),
        "{text}"
    );
    let (_, sent): (_, WatchBoardRequest) = it.stub.last("watch_board");
    assert_eq!((sent.after.as_str(), sent.limit), ("b1-00", 7));
}

#[tokio::test]
async fn recommendations_say_why() {
    let it = Edge::start().await;
    it.stub.say("recommend", samples::recommendations());
    let body = json(it.get("/v1/customers/customer-demo/recommendations").await).await;
    let reason = &body["methods"][0]["reason"]["text"];
    assert_eq!(reason, "2 of the 3 customers who tried V60 tried it too");
    assert_eq!(body["methods"][0]["try"]["productId"], "siphon-kenya");
    let empty = RecommendResponse::default();
    it.stub.say("recommend", empty);
    let body = json(it.get("/v1/customers/customer-demo/recommendations").await).await;
    assert_eq!(body["products"], json!([]));
}

#[tokio::test]
async fn a_leaderboard_that_is_away_is_named() {
    let it = Edge::with(|config| {
        config.leaderboard_url = format!("http://{}", crate::edge::free_address());
        config.request_timeout = Duration::from_millis(400);
    })
    .await;
    let paths = [
        "/v1/boards",
        "/v1/boards/products",
        "/v1/customers/customer-demo/recommendations",
    ];
    for path in paths {
        let problem = problem(it.get(path).await, 503, "unavailable").await;
        assert_eq!(problem["missing"], "leaderboard");
    }
}
