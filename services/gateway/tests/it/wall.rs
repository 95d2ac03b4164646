//! The wall as JSON and as a stream, and the tickets on it.

use std::time::Duration;

use brewline_proto::fulfilment::v1::{
    FinishTicketRequest, FinishTicketResponse, GetWallRequest, GetWallResponse, StartTicketRequest,
    StartTicketResponse, WatchWallRequest, WatchWallResponse,
};
use brewline_server::status::rejection;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tonic::{Code, Status};

use crate::edge::{Edge, PATIENCE, header, json, problem};
use crate::samples::{self, ORDER_ID, TICKET_ID};

const WALL: &str = "/v1/stores/store-lisbon/wall";

pub(crate) fn told() -> WatchWallResponse {
    let wall = Some(samples::wall());
    WatchWallResponse { wall }
}

async fn stream(it: &Edge, last: Option<&str>) -> Response {
    let mut request = it
        .request(Method::GET, WALL)
        .header("accept", "text/event-stream");
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    request.send().await.unwrap()
}

#[tokio::test]
async fn drinks_stand_by_method_and_plates_apart() {
    let it = Edge::start().await;
    let wall = Some(samples::wall());
    it.stub.say("get_wall", GetWallResponse { wall });
    let response = it.get(WALL).await;
    assert_eq!(response.status(), StatusCode::OK);
    let body = json(response).await;
    assert_eq!(
        (&body["storeId"], &body["position"]),
        (&json!("store-lisbon"), &json!(7))
    );
    assert_eq!(body["hasMore"], true);
    let ids = |items: &Value| -> Vec<String> {
        let items = items.as_array().unwrap().iter();
        items
            .map(|item| item["ticketId"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(body["brew"][0]["method"], "aeropress");
    assert_eq!(body["brew"][1]["method"], "v60");
    assert_eq!(ids(&body["brew"][1]["items"]), ["t1", "t4"]);
    assert_eq!(ids(&body["plate"]), ["t2"]);
    let item = &body["plate"][0];
    assert_eq!(
        (&item["status"], &item["ageSeconds"]),
        (&json!("started"), &json!(61))
    );
}

#[tokio::test]
async fn a_read_carries_what_its_caller_has_seen() {
    let it = Edge::start().await;
    let behind = rejection(Code::Unavailable, "view-behind", "not yet");
    it.stub.refuse("get_wall", behind);
    let token = format!("brewline.order.events.v1:{ORDER_ID}:2");
    let request = it.request(Method::GET, WALL);
    let request = request
        .header("brewline-consistency", token)
        .header("prefer", "wait=1");
    let answer = problem(request.send().await.unwrap(), 503, "view-behind").await;
    assert!(answer.get("missing").is_none(), "{answer}");
    let (_, sent): (_, GetWallRequest) = it.stub.last("get_wall");
    assert_eq!(
        (sent.wait_ms, sent.tokens[0].subject.as_str()),
        (1_000, ORDER_ID)
    );
}

#[tokio::test]
async fn who_asks_for_a_stream_is_told_the_whole_wall_with_its_position() {
    let it = Edge::start().await;
    it.stub.stream("watch_wall", vec![told()]);
    let response = stream(&it, None).await;
    assert_eq!(header(&response, "content-type"), "text/event-stream");
    let text = response.text().await.unwrap();
    assert!(text.contains("id: 7\n"), "{text}");
    let data = text
        .lines()
        .find_map(|line| line.strip_prefix("data:"))
        .unwrap();
    let wall: Value = serde_json::from_str(data).unwrap();
    assert_eq!(wall["plate"][0]["ticketId"], "t2");
    let (_, sent): (_, WatchWallRequest) = it.stub.last("watch_wall");
    assert_eq!(
        (sent.store_id.as_str(), sent.position),
        ("store-lisbon", None)
    );
}

#[tokio::test]
async fn a_stream_goes_on_where_it_was_cut_off_and_ends_with_the_edge() {
    let it = Edge::start().await;
    it.stub.stream_on("watch_wall", vec![told()]);
    let mut response = stream(&it, Some("6")).await;
    let (_, sent): (_, WatchWallRequest) = it.stub.last("watch_wall");
    assert_eq!(sent.position, Some(6));
    it.stop();
    let end = async { while response.chunk().await.unwrap().is_some() {} };
    tokio::time::timeout(PATIENCE, end)
        .await
        .expect("it ends with the edge");
    let it = Edge::start().await;
    problem(stream(&it, Some("x")).await, 400, "invalid-last-event-id").await;
}

#[tokio::test]
async fn a_ticket_is_begun_and_done() {
    let it = Edge::start().await;
    let ticket = Some(samples::ticket());
    it.stub.say(
        "start_ticket",
        StartTicketResponse {
            ticket: ticket.clone(),
            version: 2,
        },
    );
    it.stub.say(
        "finish_ticket",
        FinishTicketResponse {
            ticket,
            version: 3,
            remaining: 0,
        },
    );
    for (action, version) in [("start", 2), ("done", 3)] {
        let path = format!("/v1/tickets/{TICKET_ID}/{action}");
        let response = it.request(Method::POST, &path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let token = format!("brewline.fulfilment.events.v1:{ORDER_ID}:{version}");
        assert_eq!(header(&response, "brewline-consistency"), token);
        let body = json(response).await;
        assert_eq!(
            (&body["ticketId"], &body["station"]),
            (&json!(TICKET_ID), &json!("brew"))
        );
        assert_eq!(body["startedAt"], "2026-11-21T12:01:00Z");
    }
    let (_, sent): (_, StartTicketRequest) = it.stub.last("start_ticket");
    assert_eq!(sent.ticket_id, TICKET_ID);
    let (_, sent): (_, FinishTicketRequest) = it.stub.last("finish_ticket");
    assert_eq!(sent.ticket_id, TICKET_ID);
}

#[tokio::test]
async fn a_ticket_that_cannot_be_begun_says_why() {
    let it = Edge::start().await;
    let path = format!("/v1/tickets/{TICKET_ID}/start");
    for (code, reason, status) in [
        (Code::NotFound, "unknown-ticket", 404),
        (Code::FailedPrecondition, "ticket-done", 409),
        (Code::FailedPrecondition, "ticket-withdrawn", 409),
    ] {
        it.stub
            .refuse("start_ticket", rejection(code, reason, "no"));
        let response = it.request(Method::POST, &path).send().await.unwrap();
        problem(response, status, reason).await;
    }
    let nonsense = it
        .request(Method::POST, "/v1/tickets/7/done")
        .send()
        .await
        .unwrap();
    problem(nonsense, 400, "invalid-id").await;
}

#[tokio::test]
async fn a_barista_that_is_away_or_hangs_is_named_and_orders_go_on() {
    let it = Edge::with(|config| {
        config.barista_url = format!("http://{}", crate::edge::free_address());
        config.request_timeout = Duration::from_millis(400);
    })
    .await;
    let page = brewline_proto::order::v1::ListOrdersResponse::default();
    it.stub.say("list_orders", page);
    for response in [it.get(WALL).await, stream(&it, None).await] {
        assert_eq!(header(&response, "retry-after"), "1");
        let problem = problem(response, 503, "unavailable").await;
        assert_eq!(problem["missing"], "barista");
        assert!(problem["detail"].as_str().unwrap().contains("`barista`"));
    }
    assert_eq!(it.get("/v1/orders").await.status(), StatusCode::OK);
    let it = Edge::with(|config| config.request_timeout = Duration::from_millis(400)).await;
    it.stub.hang("start_ticket");
    let path = format!("/v1/tickets/{TICKET_ID}/start");
    let response = it.request(Method::POST, &path).send().await.unwrap();
    assert_eq!(
        problem(response, 503, "unavailable").await["missing"],
        "barista"
    );
    it.stub.refuse("start_ticket", Status::unavailable("going"));
    let response = it.request(Method::POST, &path).send().await.unwrap();
    assert_eq!(
        problem(response, 503, "unavailable").await["missing"],
        "barista"
    );
}
