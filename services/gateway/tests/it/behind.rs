//! Services that are away, dead or silent.

use std::time::{Duration, Instant};

use brewline_proto::order::v1::{OrderStatus, PlaceOrderResponse};

use crate::edge::{Edge, PATIENCE, header, problem};
use crate::samples::{order, place_order};

/// Asks again until the answer is yes, within [`PATIENCE`].
pub(crate) async fn until(what: &str, mut yes: impl AsyncFnMut() -> bool) {
    let patience = tokio::time::timeout(PATIENCE, async {
        while !yes().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(patience.await.is_ok(), "{what} did not come true");
}

#[tokio::test]
async fn a_silent_service_costs_the_deadline_and_is_asked_once() {
    let it = Edge::with(|config| config.request_timeout = Duration::from_millis(400)).await;
    it.stub.hang("place_order");
    let begin = Instant::now();
    let response = it.post("/v1/orders", &place_order()).await;
    assert!(begin.elapsed() < Duration::from_secs(3));
    let problem = problem(response, 504, "deadline-exceeded").await;
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("Idempotency-Key")
    );
    assert_eq!(it.stub.count("place_order"), 1);
}

#[tokio::test]
async fn a_service_that_was_never_there_is_unavailable_in_time() {
    let nobody = crate::edge::free_address();
    let it = Edge::with(|config| {
        config.order_url = format!("http://{nobody}");
        config.request_timeout = Duration::from_millis(400);
    })
    .await;
    let begin = Instant::now();
    let response = it.post("/v1/orders", &place_order()).await;
    assert!(begin.elapsed() < Duration::from_secs(3));
    assert!(matches!(response.status().as_u16(), 503 | 504));
    assert_eq!(
        header(&response, "content-type"),
        "application/problem+json"
    );
    assert_eq!(header(&response, "retry-after"), "1");
}

#[tokio::test]
async fn a_service_that_dies_is_unavailable_not_a_fault_of_ours() {
    let it = Edge::with(|config| config.request_timeout = Duration::from_secs(1)).await;
    let answer = PlaceOrderResponse {
        order: Some(order(OrderStatus::Pending, 1)),
        replayed: false,
    };
    it.stub.say("place_order", answer);
    assert_eq!(it.post("/v1/orders", &place_order()).await.status(), 202);
    it.stop_services().await;
    for _ in 0..3 {
        let response = it.post("/v1/orders", &place_order()).await;
        assert!(
            matches!(response.status().as_u16(), 503 | 504),
            "{response:?}"
        );
        assert_eq!(
            header(&response, "content-type"),
            "application/problem+json"
        );
    }
    assert!(it.get("/openapi.json").await.status().is_success());
}
