//! Clients that are slow, too many, or gone.

use std::time::{Duration, Instant};

use brewline_proto::order::v1::GetOrderResponse;
use reqwest::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::edge::{Edge, PATIENCE, header, problem};
use crate::samples::{self, ORDER_ID, place_order};

/// What comes back on a connection until it is closed.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    // A reset instead of a close is an end as well.
    drop(read.unwrap_or_else(|_| panic!("the connection was left open")));
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn a_head_that_does_not_end_ends_the_connection() {
    let it = Edge::with(|config| config.header_read_timeout = Duration::from_millis(200)).await;
    for begin in [
        "",
        "GET /v1/stores HTTP/1.1\r\n",
        "POST /v1/orders HTTP/1.1\r\nhost: x\r\nx-",
    ] {
        let mut stream = TcpStream::connect(it.address).await.unwrap();
        stream.write_all(begin.as_bytes()).await.unwrap();
        let answer = rest(&mut stream).await;
        assert!(!answer.contains(" 5"), "{answer}");
    }
    assert!(it.get("/openapi.json").await.status().is_success());
}

#[tokio::test]
async fn a_body_that_does_not_end_is_a_problem() {
    let it = Edge::with(|config| config.body_read_timeout = Duration::from_millis(200)).await;
    let mut stream = TcpStream::connect(it.address).await.unwrap();
    let head = "POST /v1/orders HTTP/1.1\r\nhost: x\r\nidempotency-key: k\r\n\
                content-type: application/json\r\ncontent-length: 100\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("application/problem+json") && answer.contains("body-too-slow"));
    assert_eq!(it.stub.count("place_order"), 0);
}

#[tokio::test]
async fn no_more_connections_are_served_than_allowed() {
    let it = Edge::with(|config| {
        config.connections_max = 2;
        config.header_read_timeout = Duration::from_millis(400);
    })
    .await;
    let _one = TcpStream::connect(it.address).await.unwrap();
    let _two = TcpStream::connect(it.address).await.unwrap();
    let begin = Instant::now();
    assert!(it.get("/openapi.json").await.status().is_success());
    assert!(
        begin.elapsed() >= Duration::from_millis(200),
        "it had to wait for a slot"
    );
}

#[tokio::test]
async fn too_many_requests_are_shed_at_once() {
    let it = Edge::with(|config| {
        config.requests_max = 1;
        config.waiting_requests_max = 1;
    })
    .await;
    it.stub.hang("place_order");
    it.stub.hang("get_order");
    let path = format!("/v1/orders/{ORDER_ID}");
    let work = tokio_util::task::TaskTracker::new();
    work.spawn(it.write(Method::POST, "/v1/orders", &place_order()).send());
    work.spawn(
        it.request(Method::GET, &path)
            .header("prefer", "wait=5")
            .send(),
    );
    crate::behind::until("both are in flight", async || {
        it.stub.count("place_order") + it.stub.count("get_order") == 2
    })
    .await;
    let begin = Instant::now();
    let order = it.post("/v1/orders", &place_order()).await;
    assert_eq!(header(&order, "retry-after"), "1");
    problem(order, 503, "overloaded").await;
    let read = it.request(Method::GET, &path).header("prefer", "wait=5");
    problem(read.send().await.unwrap(), 503, "overloaded").await;
    assert!(begin.elapsed() < Duration::from_secs(2), "it did not queue");
    assert_eq!(it.stub.count("place_order"), 1);
}

#[tokio::test]
async fn waiting_reads_do_not_crowd_orders_out() {
    let it = Edge::with(|config| config.requests_max = 1).await;
    it.stub.hang("get_order");
    let path = format!("/v1/orders/{ORDER_ID}");
    let work = tokio_util::task::TaskTracker::new();
    for _ in 0..20 {
        work.spawn(
            it.request(Method::GET, &path)
                .header("prefer", "wait=5")
                .send(),
        );
    }
    crate::behind::until("they wait", async || it.stub.count("get_order") == 20).await;
    it.stub
        .refuse("place_order", tonic::Status::not_found("reached"));
    let order = it.post("/v1/orders", &place_order()).await;
    assert_eq!(order.status(), 404);
}

#[tokio::test]
async fn a_caller_that_goes_away_frees_its_place() {
    let it = Edge::with(|config| config.requests_max = 1).await;
    it.stub.hang("list_stores");
    for _ in 0..5 {
        let request = it.request(Method::GET, "/v1/stores");
        let gone = request.timeout(Duration::from_millis(50)).send().await;
        assert!(gone.is_err_and(|error| error.is_timeout()));
        crate::behind::until("its place is free", async || {
            it.get("/openapi.json").await.status().is_success()
        })
        .await;
    }
}

#[tokio::test]
async fn a_request_in_flight_is_answered_at_shutdown() {
    let it = Edge::start().await;
    it.stub.hang("get_order");
    let path = format!("/v1/orders/{ORDER_ID}");
    let work = tokio_util::task::TaskTracker::new();
    let late = work.spawn(
        it.request(Method::GET, &path)
            .header("prefer", "wait=0")
            .send(),
    );
    crate::behind::until("it is in flight", async || it.stub.count("get_order") == 1).await;
    it.stop();
    crate::behind::until("the door is closed", async || {
        TcpStream::connect(it.address).await.is_err()
    })
    .await;
    let response = late.await.unwrap().unwrap();
    problem(response, 504, "deadline-exceeded").await;
}

#[tokio::test]
async fn a_head_request_is_answered_without_a_body() {
    let it = Edge::start().await;
    let order = Some(samples::full_order());
    it.stub.say("get_order", GetOrderResponse { order });
    let path = format!("/v1/orders/{ORDER_ID}");
    let response = it.request(Method::HEAD, &path).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(!header(&response, "etag").is_empty());
    assert!(response.bytes().await.unwrap().is_empty());
}
