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
        r#"http_server_request_duration_seconds_count{http_route="/v1/orders/{orderId}",http_request_method="GET",http_response_status_code="200"}"#,
        r#"http_server_request_duration_seconds_count{http_route="none",http_request_method="GET",http_response_status_code="404"}"#,
        r#"http_server_request_duration_seconds_count{http_route="/v1/stores",http_request_method="other",http_response_status_code="405"}"#,
        "http_server_active_requests ",
        r#"rpc_client_call_duration_seconds_count{rpc_method="brewline.order.v1.OrderService/GetOrder",rpc_response_status_code="OK"}"#,
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    for secret in [ORDER_ID, "strangers", "BREW\""] {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
}
