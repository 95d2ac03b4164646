//! What the edge tells about itself.

use brewline_proto::order::v1::GetOrderResponse;
use reqwest::Method;

use crate::edge::Edge;
use crate::samples::{ORDER_ID, full_order};

#[tokio::test]
async fn requests_are_counted_by_route_and_never_by_path() {
    let it = Edge::start().await;
    let order = Some(full_order());
    it.stub.say("get_order", GetOrderResponse { order });
    it.get(&format!("/v1/orders/{ORDER_ID}")).await;
    it.get("/strangers/text").await;
    let odd = Method::from_bytes(b"BREW").unwrap();
    it.request(odd, "/v1/stores").send().await.unwrap();
    let text = brewline_telemetry::metrics::encode();
    for line in [
        r#"brewline_gateway_requests_total{route="/v1/orders/{orderId}",method="GET",status="2xx"}"#,
        r#"brewline_gateway_requests_total{route="none",method="GET",status="4xx"}"#,
        r#"brewline_gateway_requests_total{route="/v1/stores",method="other",status="4xx"}"#,
        r#"brewline_gateway_request_duration_seconds_count{route="/v1/orders/{orderId}",method="GET"}"#,
        "brewline_gateway_in_flight_requests ",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    for secret in [ORDER_ID, "strangers", "BREW\""] {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
}
