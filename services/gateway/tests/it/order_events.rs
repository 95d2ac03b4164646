//! The stream of an order's events, and handing an order over.

use std::time::Duration;

use brewline_proto::order::v1::{
    CollectOrderRequest, CollectOrderResponse, OrderStatus, WatchOrderRequest, WatchOrderResponse,
};
use brewline_server::status::rejection;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tonic::Code;

use crate::edge::{Edge, header, json, problem};
use crate::samples::{ORDER_ID, order};

fn path() -> String {
    format!("/v1/orders/{ORDER_ID}/events")
}

fn event(name: &str, status: OrderStatus, version: i64) -> WatchOrderResponse {
    WatchOrderResponse {
        event_type: format!("brewline.order.v1.{name}"),
        order: Some(order(status, version)),
    }
}

/// The text of a stream up to the end of its `count`th event.
async fn read(response: &mut Response, count: usize) -> String {
    let mut text = String::new();
    while text.matches("data:").count() < count || !text.ends_with("\n\n") {
        let chunk = tokio::time::timeout(Duration::from_secs(10), response.chunk());
        let chunk = chunk.await.expect("in time").unwrap().expect("more");
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    text
}

#[tokio::test]
async fn each_event_has_the_version_its_name_and_the_order() {
    let it = Edge::start().await;
    let events = vec![
        event("OrderPlaced", OrderStatus::Pending, 1),
        event("OrderCancellationRequested", OrderStatus::Cancelling, 3),
        event("OrderTeleported", OrderStatus::Collected, 4),
    ];
    it.stub.stream("watch_order", events);
    let response = it.get(&path()).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(header(&response, "content-type"), "text/event-stream");
    let text = response.text().await.unwrap();
    let said = |field: &str| -> Vec<String> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(field));
        lines.map(|value| value.trim().to_owned()).collect()
    };
    assert_eq!(said("id:"), ["1", "3", "4"]);
    let names = [
        "order.placed",
        "order.cancellation-requested",
        "order.unknown",
    ];
    assert_eq!(said("event:"), names);
    let orders: Vec<Value> = said("data:")
        .iter()
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    assert_eq!(orders[1]["status"], "cancelling");
    assert_eq!(orders[1]["orderId"], ORDER_ID);
    assert_eq!(orders[1]["payment"], json!({ "status": "none" }));
}

#[tokio::test]
async fn a_stream_stays_open_and_goes_on_where_it_was_cut_off() {
    let it = Edge::start().await;
    let confirmed = event("OrderConfirmed", OrderStatus::Confirmed, 2);
    it.stub.stream_on("watch_order", vec![confirmed]);
    let request = it
        .request(Method::GET, &path())
        .header("last-event-id", "1");
    let mut response = request.send().await.unwrap();
    assert!(
        read(&mut response, 1)
            .await
            .contains("event: order.confirmed")
    );
    let (_, sent): (_, WatchOrderRequest) = it.stub.last("watch_order");
    assert_eq!((sent.order_id.as_str(), sent.after_version), (ORDER_ID, 1));
    it.stop();
    let end = tokio::time::timeout(Duration::from_secs(10), response.chunk());
    assert!(end.await.expect("it ends with the edge").unwrap().is_none());
}

#[tokio::test]
async fn what_no_stream_gave_is_refused_and_an_unknown_order_is_not_found() {
    let it = Edge::start().await;
    for id in ["x", "-1", "1.5"] {
        let request = it.request(Method::GET, &path()).header("last-event-id", id);
        let response = request.send().await.unwrap();
        problem(response, 400, "invalid-last-event-id").await;
    }
    let unknown = rejection(Code::NotFound, "unknown-order", "there is no such order");
    it.stub.refuse("watch_order", unknown);
    problem(it.get(&path()).await, 404, "unknown-order").await;
}

#[tokio::test]
async fn who_has_seen_the_end_is_told_not_to_come_again() {
    let it = Edge::start().await;
    let over = rejection(Code::OutOfRange, "order-final", "all is told");
    it.stub.refuse("watch_order", over);
    let request = it
        .request(Method::GET, &path())
        .header("last-event-id", "5");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn streams_beyond_their_places_are_shed() {
    let it = Edge::with(|config| config.streams_max = 1).await;
    let placed = event("OrderPlaced", OrderStatus::Pending, 1);
    it.stub.stream_on("watch_order", vec![placed]);
    let mut first = it.get(&path()).await;
    read(&mut first, 1).await;
    problem(it.get(&path()).await, 503, "overloaded").await;
}

#[tokio::test]
async fn an_order_is_handed_over() {
    let it = Edge::start().await;
    let answer = CollectOrderResponse {
        order: Some(order(OrderStatus::Collected, 5)),
    };
    it.stub.say("collect_order", answer);
    let path = format!("/v1/orders/{ORDER_ID}/collect");
    let response = it.request(Method::POST, &path).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let token = format!("brewline.order.events.v1:{ORDER_ID}:5");
    assert_eq!(header(&response, "brewline-consistency"), token);
    assert_eq!(json(response).await["status"], "collected");
    let (_, sent): (_, CollectOrderRequest) = it.stub.last("collect_order");
    assert_eq!(sent.order_id, ORDER_ID);
    let early = rejection(Code::FailedPrecondition, "not-collectable", "not ready");
    it.stub.refuse("collect_order", early);
    let response = it.request(Method::POST, &path).send().await.unwrap();
    problem(response, 409, "not-collectable").await;
}
