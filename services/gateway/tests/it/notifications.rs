//! Notifications, preferences, webhooks, events to be pulled.

use brewline_proto::notification::v1 as wire;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::edge::{Edge, header, json, problem};
use crate::samples::{ORDER_ID, pulled_event, webhook};

const PREFERENCES: &str = "/v1/customers/customer-demo/preferences";

#[tokio::test]
async fn preferences_arrive_as_they_were_put_even_when_they_want_nothing() {
    let it = Edge::start().await;
    let answer = wire::PutPreferencesResponse {
        channels: Vec::new(),
        kinds: vec![wire::Kind::Ready.into()],
        version: 3,
    };
    it.stub.say("put_preferences", answer);
    let body = json!({ "channels": [], "kinds": ["ready"] });
    let response = it.put(PREFERENCES, &body).await;
    assert_eq!(response.status(), StatusCode::OK);
    let token = "brewline.notification.events.v1:preferences/customer-demo:3";
    assert_eq!(header(&response, "brewline-consistency"), token);
    assert_eq!(json(response).await, body);
    let (_, sent): (_, wire::PutPreferencesRequest) = it.stub.last("put_preferences");
    assert_eq!(sent.customer_id, "customer-demo");
    assert!(sent.channels.is_empty());
    assert_eq!(sent.kinds, [i32::from(wire::Kind::Ready)]);
}

#[tokio::test]
async fn a_kind_that_nobody_knows_is_named_with_its_place() {
    let it = Edge::start().await;
    let body = json!({ "channels": ["email"], "kinds": ["ready", "brewed"] });
    let problem = problem(it.put(PREFERENCES, &body).await, 422, "invalid-request").await;
    assert_eq!(problem["errors"][0]["field"], "kinds[1]");
    assert_eq!(it.stub.count("put_preferences"), 0);
}

#[tokio::test]
async fn a_token_travels_with_a_read_of_notifications() {
    let it = Edge::start().await;
    it.stub
        .say("list_deliveries", wire::ListDeliveriesResponse::default());
    let path = "/v1/customers/customer-demo/notifications";
    let token = format!("brewline.order.events.v1:{ORDER_ID}:2");
    let request = it.request(Method::GET, path);
    let request = request.header("brewline-consistency", token);
    let response = request.header("prefer", "wait=7").send().await.unwrap();
    assert_eq!(header(&response, "preference-applied"), "wait=7");
    let (_, sent): (_, wire::ListDeliveriesRequest) = it.stub.last("list_deliveries");
    assert_eq!((sent.tokens.len(), sent.wait_ms), (1, 7_000));
}

#[tokio::test]
async fn a_secret_is_shown_when_a_webhook_is_made_and_never_again() {
    let it = Edge::start().await;
    let made = wire::CreateEndpointResponse {
        endpoint: Some(webhook()),
        secret: "whsec_x".to_owned(),
        replayed: false,
    };
    it.stub.say("create_endpoint", made);
    let body = json!({ "url": "https://example.com/hook" });
    let response = it.post("/v1/webhooks", &body).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    let token = format!("brewline.notification.events.v1:webhook/{ORDER_ID}:4");
    assert_eq!(header(&response, "brewline-consistency"), token);
    let path = format!("/v1/webhooks/{ORDER_ID}");
    assert_eq!(header(&response, "location"), path);
    assert_eq!(json(response).await["secret"], "whsec_x");
    let listed = wire::ListEndpointsResponse {
        endpoints: vec![webhook()],
    };
    it.stub.say("list_endpoints", listed);
    let listed = json(it.get("/v1/webhooks").await).await;
    assert_eq!(listed["items"][0].get("secret"), None);
}

#[tokio::test]
async fn a_pull_waits_only_when_it_is_asked_to() {
    let it = Edge::start().await;
    let page = wire::PullEventsResponse {
        events: vec![pulled_event()],
        next: "7".to_owned(),
    };
    it.stub.say("pull_events", page);
    let path = "/v1/events?after=3&types=order.ready,order.placed&storeId=store-lisbon";
    let page = json(it.get(path).await).await;
    assert_eq!(page["nextPageToken"], "7");
    let (_, sent): (_, wire::PullEventsRequest) = it.stub.last("pull_events");
    assert_eq!((sent.after.as_str(), sent.wait_ms), ("3", 0));
    assert_eq!(sent.types, ["order.ready", "order.placed"]);
    let wrong = it.get("/v1/events?after=x").await;
    problem(wrong, 422, "invalid-request").await;
}

#[tokio::test]
async fn an_absent_service_is_named_by_its_part() {
    let it = Edge::with(|config| {
        config.notification_url = format!("http://{}", crate::edge::free_address());
        config.request_timeout = std::time::Duration::from_millis(400);
    })
    .await;
    let response = it.get("/v1/webhooks").await;
    assert!(matches!(response.status().as_u16(), 503 | 504));
    assert_eq!(json(response).await["missing"], "notification");
}

#[tokio::test]
async fn the_key_of_a_registration_or_a_rotation_travels_and_its_replay_is_marked() {
    let it = Edge::start().await;
    let made = wire::CreateEndpointResponse {
        endpoint: Some(webhook()),
        secret: "whsec_x".to_owned(),
        replayed: true,
    };
    it.stub.say("create_endpoint", made);
    let body = json!({ "url": "https://example.com/hook" });
    let request = it.request(Method::POST, "/v1/webhooks").json(&body);
    let response = request.header("idempotency-key", "k").send().await.unwrap();
    assert_eq!(header(&response, "idempotency-replayed"), "true");
    let (_, sent): (_, wire::CreateEndpointRequest) = it.stub.last("create_endpoint");
    assert_eq!(sent.idempotency_key, "k");
    assert!(!sent.principal.is_empty());
    let rotated = wire::RotateEndpointSecretResponse {
        endpoint: Some(webhook()),
        secret: "whsec_y".to_owned(),
        former_until: webhook().created_at,
        replayed: false,
    };
    it.stub.say("rotate_endpoint_secret", rotated);
    let path = format!("/v1/webhooks/{ORDER_ID}/rotate");
    let request = it.request(Method::POST, &path);
    let response = request.header("idempotency-key", "r").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let answer = json(response).await;
    assert_eq!(answer["secret"], "whsec_y");
    assert!(answer["formerSecretUntil"].is_string());
    let (_, sent): (_, wire::RotateEndpointSecretRequest) = it.stub.last("rotate_endpoint_secret");
    assert_eq!(
        (sent.endpoint_id.as_str(), sent.idempotency_key.as_str()),
        (ORDER_ID, "r")
    );
}
