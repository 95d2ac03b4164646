//! Orders: every status and header of their calls.

use brewline_proto::order::v1::{
    CancelOrderRequest, CancelOrderResponse, CollectOrderRequest, CollectOrderResponse,
    ConsistencyToken, GetOrderRequest, GetOrderResponse, ListOrdersRequest, ListOrdersResponse,
    OrderStatus, PaymentStatus, PlaceOrderRequest, PlaceOrderResponse,
};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::edge::{Edge, header, json};
use crate::samples::{ORDER_ID, full_order, order, place_order};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

async fn placing(replayed: bool) -> Edge {
    let it = Edge::start().await;
    let answer = PlaceOrderResponse {
        order: Some(order(OrderStatus::Pending, 1)),
        replayed,
    };
    it.stub.say("place_order", answer);
    it
}

async fn holding(status: OrderStatus, payment: PaymentStatus) -> Edge {
    let it = Edge::start().await;
    let mut held = order(status, 2);
    held.payment_status = payment.into();
    it.stub
        .say("get_order", GetOrderResponse { order: Some(held) });
    it
}

#[tokio::test]
async fn an_order_is_accepted_with_its_place_and_token() {
    let it = placing(false).await;
    let response = it.post("/v1/orders", &place_order()).await;
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    assert_eq!(
        header(&response, "location"),
        format!("/v1/orders/{ORDER_ID}")
    );
    let token = format!("brewline.order.events.v1:{ORDER_ID}:1");
    assert_eq!(header(&response, "brewline-consistency"), token);
    assert_eq!(header(&response, "etag"), "\"1-none\"");
    assert_eq!(header(&response, "content-type"), "application/json");
    assert!(response.headers().get("idempotency-replayed").is_none());
    let body = json(response).await;
    assert_eq!(
        body,
        json!({
            "orderId": ORDER_ID,
            "storeId": "store-lisbon",
            "customerId": "customer-demo",
            "status": "pending",
            "lines": [{
                "productId": "cortado", "name": "Cortado", "kind": "drink", "method": "espresso",
                "origin": "Brazil", "quantity": 2,
                "unitPrice": { "amountMinor": 350, "currency": "EUR" },
            }],
            "total": { "amountMinor": 700, "currency": "EUR" },
            "payment": { "status": "none" },
            "version": 1,
            "placedAt": "2026-09-21T14:13:20.123456Z",
            "updatedAt": "2026-09-21T14:13:21Z",
        })
    );
}

#[tokio::test]
async fn an_order_is_handed_on_whole_with_its_trace_and_deadline() {
    let it = placing(false).await;
    let request = it
        .write(Method::POST, "/v1/orders", &place_order())
        .header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"))
        .header(
            "brewline-consistency",
            "brewline.catalogue.events.v1:product/cortado:4",
        )
        .header("prefer", "wait=1");
    assert!(request.send().await.unwrap().status().is_success());
    let (metadata, sent): (_, PlaceOrderRequest) = it.stub.last("place_order");
    assert_eq!(sent.principal, "anonymous");
    assert_eq!(sent.idempotency_key, "key-1");
    assert_eq!(sent.store_id, "store-lisbon");
    assert_eq!(sent.customer_id, "customer-demo");
    assert_eq!(sent.lines[0].product_id, "cortado");
    assert_eq!(sent.lines[0].quantity, 2);
    assert_eq!(sent.payment_token, "tok_ok");
    assert_eq!(sent.wait_ms, 1_000);
    let token = ConsistencyToken {
        topic: "brewline.catalogue.events.v1".to_owned(),
        subject: "product/cortado".to_owned(),
        version: 4,
    };
    assert_eq!(sent.tokens, [token]);
    assert!(sent.traceparent.starts_with(&format!("00-{TRACE}-")));
    assert!(
        !sent.traceparent.contains("00f067aa0ba902b7"),
        "a span of our own"
    );
    assert_eq!(
        metadata.get("traceparent").unwrap(),
        sent.traceparent.as_str()
    );
    assert!(metadata.get("grpc-timeout").is_some());
}

#[tokio::test]
async fn a_trace_is_begun_where_none_is_given() {
    let it = placing(false).await;
    for given in [
        "",
        "nonsense",
        "00-00000000000000000000000000000000-0000000000000000-00",
    ] {
        let request = it.write(Method::POST, "/v1/orders", &place_order());
        let sent = request.header("traceparent", given).send().await.unwrap();
        assert_eq!(sent.status(), StatusCode::ACCEPTED);
        let (_, sent): (_, PlaceOrderRequest) = it.stub.last("place_order");
        let trace: brewline_kernel::TraceParent = sent.traceparent.parse().unwrap();
        assert_ne!(trace.trace_id, 0);
    }
}

#[tokio::test]
async fn a_replay_says_so_and_is_otherwise_the_same() {
    let it = placing(true).await;
    let response = it.post("/v1/orders", &place_order()).await;
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    assert_eq!(header(&response, "idempotency-replayed"), "true");
    assert_eq!(
        header(&response, "location"),
        format!("/v1/orders/{ORDER_ID}")
    );
    assert!(header(&response, "brewline-consistency").ends_with(":1"));
}

#[tokio::test]
async fn an_order_is_shown_whole() {
    let it = Edge::start().await;
    let answer = GetOrderResponse {
        order: Some(full_order()),
    };
    it.stub.say("get_order", answer);
    let body = json(it.get(&format!("/v1/orders/{ORDER_ID}")).await).await;
    assert_eq!(
        body["rejection"],
        json!({ "code": "out-of-stock", "detail": "cortado: 1 left" })
    );
    assert_eq!(
        body["cancellation"],
        json!({ "status": "granted", "reason": "too late" })
    );
}

#[tokio::test]
async fn a_known_order_is_not_sent_again_until_it_or_its_payment_moves() {
    let it = holding(OrderStatus::Confirmed, PaymentStatus::Authorised).await;
    let path = format!("/v1/orders/{ORDER_ID}");
    let response = it.get(&path).await;
    assert_eq!(response.status(), StatusCode::OK);
    let etag = header(&response, "etag").to_owned();
    assert_eq!(etag, "\"2-authorised\"");
    let known = [
        etag.clone(),
        format!("W/{etag}"),
        format!("\"x\", {etag}"),
        "*".to_owned(),
    ];
    for known in known {
        let request = it
            .request(Method::GET, &path)
            .header("if-none-match", known);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(header(&response, "etag"), etag);
        assert!(response.bytes().await.unwrap().is_empty());
    }
    let mut moved = order(OrderStatus::Confirmed, 2);
    moved.payment_status = PaymentStatus::Captured.into();
    it.stub
        .say("get_order", GetOrderResponse { order: Some(moved) });
    let request = it.request(Method::GET, &path).header("if-none-match", etag);
    assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_read_waits_as_long_as_it_is_told_at_most_30_seconds() {
    let it = holding(OrderStatus::Confirmed, PaymentStatus::None).await;
    let path = format!("/v1/orders/{ORDER_ID}?until=settled");
    for (prefer, wait_ms, applied) in [
        (None, 2_000, ""),
        (Some("wait=7"), 7_000, "wait=7"),
        (Some("respond-async, wait=0"), 0, "wait=0"),
        (Some("wait=3600"), 30_000, "wait=30"),
        (Some("return=minimal"), 2_000, ""),
    ] {
        let mut request = it.request(Method::GET, &path);
        if let Some(prefer) = prefer {
            request = request.header("prefer", prefer);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(header(&response, "preference-applied"), applied);
        let (_, sent): (_, GetOrderRequest) = it.stub.last("get_order");
        assert_eq!(sent.wait_ms, wait_ms, "{prefer:?}");
        assert!(sent.until_settled);
    }
}

#[tokio::test]
async fn tokens_are_taken_from_several_headers_and_lists() {
    let it = holding(OrderStatus::Pending, PaymentStatus::None).await;
    let request = it
        .request(Method::GET, &format!("/v1/orders/{ORDER_ID}"))
        .header(
            "brewline-consistency",
            "brewline.order.events.v1:a:1, b.c:d/e:22",
        )
        .header("brewline-consistency", "f:g:3,");
    assert!(request.send().await.unwrap().status().is_success());
    let (_, sent): (_, GetOrderRequest) = it.stub.last("get_order");
    let versions: Vec<_> = sent.tokens.iter().map(|token| token.version).collect();
    assert_eq!(versions, [1, 22, 3]);
    assert!(!sent.until_settled);
}

#[tokio::test]
async fn a_page_of_orders_is_asked_for_by_filter_and_token() {
    let it = Edge::start().await;
    let answer = ListOrdersResponse {
        orders: vec![order(OrderStatus::Ready, 4), order(OrderStatus::Pending, 1)],
        next_page_token: "djEuNDI".to_owned(),
    };
    it.stub.say("list_orders", answer);
    let query = "customerId=customer-demo&storeId=store-oslo&status=ready&pageSize=2&pageToken=abc";
    let response = it.get(&format!("/v1/orders?{query}")).await;
    assert_eq!(response.status(), StatusCode::OK);
    let body = json(response).await;
    assert_eq!(body["nextPageToken"], "djEuNDI");
    assert_eq!(body["items"].as_array().unwrap().len(), 2);
    assert_eq!(body["items"][0]["status"], "ready");
    let (_, sent): (_, ListOrdersRequest) = it.stub.last("list_orders");
    assert_eq!(
        (
            sent.customer_id.as_str(),
            sent.store_id.as_str(),
            sent.page_size
        ),
        ("customer-demo", "store-oslo", 2)
    );
    assert_eq!(sent.status(), OrderStatus::Ready);
    assert_eq!(sent.page_token, "abc");
}

#[tokio::test]
async fn the_last_page_has_no_token() {
    let it = Edge::start().await;
    it.stub.say("list_orders", ListOrdersResponse::default());
    let body = json(it.get("/v1/orders").await).await;
    assert_eq!(body, json!({ "items": [] }));
    let (_, sent): (_, ListOrdersRequest) = it.stub.last("list_orders");
    assert_eq!(sent.page_size, 20);
}

#[tokio::test]
async fn cancelling_tells_whether_the_barista_is_asked() {
    let it = Edge::start().await;
    let path = format!("/v1/orders/{ORDER_ID}/cancel");
    for (status, expected) in [
        (OrderStatus::Cancelled, StatusCode::OK),
        (OrderStatus::Cancelling, StatusCode::ACCEPTED),
    ] {
        let answer = CancelOrderResponse {
            order: Some(order(status, 3)),
        };
        it.stub.say("cancel_order", answer);
        let response = it
            .post(&path, &json!({ "reason": "changed my mind" }))
            .await;
        assert_eq!(response.status(), expected);
        let token = format!("brewline.order.events.v1:{ORDER_ID}:3");
        assert_eq!(header(&response, "brewline-consistency"), token);
        let (_, sent): (_, CancelOrderRequest) = it.stub.last("cancel_order");
        assert_eq!(sent.order_id, ORDER_ID);
        assert_eq!(sent.reason, "changed my mind");
    }
    // Neither key nor body are needed: cancelling twice is harmless.
    let bare = it.request(Method::POST, &path).send().await.unwrap();
    assert_eq!(bare.status(), StatusCode::ACCEPTED);
}

#[tokio::test]
async fn a_token_of_the_last_ticket_travels_with_the_handing_over() {
    let it = Edge::start().await;
    let order = Some(order(OrderStatus::Collected, 5));
    it.stub.say("collect_order", CollectOrderResponse { order });
    let path = format!("/v1/orders/{ORDER_ID}/collect");
    let token = format!("brewline.fulfilment.events.v1:{ORDER_ID}:5");
    let request = it.request(Method::POST, &path);
    let request = request.header("brewline-consistency", token);
    let response = request.header("prefer", "wait=3").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let (_, sent): (_, CollectOrderRequest) = it.stub.last("collect_order");
    assert_eq!((sent.tokens.len(), sent.wait_ms), (1, 3_000));
    it.request(Method::POST, &path).send().await.unwrap();
    let (_, sent): (_, CollectOrderRequest) = it.stub.last("collect_order");
    assert_eq!(sent.wait_ms, 0, "nobody waits for nothing");
}
