//! Bad input: a problem that says what is wrong, never a 5xx, and nothing is asked of any service.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::edge::{Edge, header, json, problem};
use crate::samples::{self, ORDER_ID, place_order};

fn with(field: &str, value: Value) -> String {
    let mut body = place_order();
    body[field] = value;
    body.to_string()
}

/// A body, the answer's status and code, and what the problem must name.
type Case = (String, u16, &'static str, &'static str);

fn line(product: &Value, quantity: &Value) -> String {
    let line = json!({ "productId": product, "quantity": quantity });
    with("lines", json!([line]))
}

fn cases(status: u16, code: &'static str, bodies: Vec<(String, &'static str)>) -> Vec<Case> {
    let case = |(body, names)| (body, status, code, names);
    bodies.into_iter().map(case).collect()
}

fn malformed() -> Vec<Case> {
    let bodies = vec![
        (String::new(), "line 1 column 0"),
        ("{".to_owned(), "line 1 column 1"),
        ("{\"storeId\": \u{1}}".to_owned(), "line 1"),
        (format!("{} x", place_order()), "trailing"),
    ];
    cases(400, "malformed-json", bodies)
}

fn misshapen() -> Vec<Case> {
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let cortado = &json!("cortado");
    let bodies = vec![
        (deep, ""),
        ("null".to_owned(), ""),
        ("[]".to_owned(), ""),
        (with("colour", json!(1)), "colour"),
        (with("pickupAt", json!("2026-11-21T12:00:00Z")), "pickupAt"),
        (
            with("payment", json!({ "token": "t", "cvv": 1 })),
            "payment.cvv",
        ),
        (with("payment", json!({})), "payment.token"),
        (with("storeId", json!(5)), "storeId"),
        (with("lines", json!("x")), "lines"),
        (line(cortado, &json!("2")), "lines[0].quantity"),
        (line(cortado, &json!(1.5)), "lines[0].quantity"),
        (line(cortado, &json!(1e30)), "lines[0].quantity"),
    ];
    cases(400, "invalid-json", bodies)
}

fn against_the_rules() -> Vec<Case> {
    let many = vec![json!({ "productId": "cortado", "quantity": 1 }); 51];
    let cortado = &json!("cortado");
    let bodies = vec![
        (line(cortado, &json!(0)), "lines[0].quantity"),
        (line(cortado, &json!(100)), "1 to 99"),
        (
            line(&json!("'; DROP TABLE orders; --"), &json!(1)),
            "productId",
        ),
        (with("lines", json!([])), "lines"),
        (with("lines", json!(many)), "50"),
        (with("storeId", json!("<script>")), "storeId"),
        (with("customerId", json!("")), "customerId"),
        (with("customerId", json!("a\u{0}b")), "customerId"),
        (with("payment", json!({ "token": "" })), "payment.token"),
        (with("payment", json!({ "token": "x".repeat(256) })), "255"),
    ];
    cases(422, "invalid-request", bodies)
}

fn too_large() -> Vec<Case> {
    let bodies = vec![
        (" ".repeat(64 * 1_024 + 1), "64 KiB"),
        (" ".repeat(4 * 1_024 * 1_024), "64 KiB"),
    ];
    cases(413, "body-too-large", bodies)
}

#[tokio::test]
async fn bad_orders_are_refused_with_the_field_or_the_place() {
    let it = Edge::start().await;
    let cases = [malformed(), misshapen(), against_the_rules(), too_large()];
    for (body, status, code, names) in cases.concat() {
        let request = it
            .write(Method::POST, "/v1/orders", &Value::Null)
            .body(body);
        // The edge may stop reading a body that is far too long, which a client may see as a reset.
        let Ok(response) = request.send().await else {
            assert_eq!(status, 413);
            continue;
        };
        let problem = problem(response, status, code).await.to_string();
        assert!(problem.contains(names), "{problem} does not name {names}");
    }
    assert_eq!(it.stub.count("place_order"), 0);
}

#[tokio::test]
async fn all_faults_of_a_request_are_named_at_once() {
    let it = Edge::start().await;
    let body = json!({
        "storeId": "Store", "customerId": "", "payment": { "token": "" },
        "lines": [{ "productId": "cortado", "quantity": 1 }, { "productId": "", "quantity": 0 }],
    });
    let problem = problem(it.post("/v1/orders", &body).await, 422, "invalid-request").await;
    let fields: Vec<_> = problem["errors"].as_array().unwrap().iter().collect();
    let fields: Vec<_> = fields
        .iter()
        .map(|it| it["field"].as_str().unwrap())
        .collect();
    assert_eq!(
        fields,
        [
            "storeId",
            "customerId",
            "lines[1].productId",
            "lines[1].quantity",
            "payment.token"
        ]
    );
}

#[tokio::test]
async fn bad_values_elsewhere_are_refused_too() {
    let it = Edge::start().await;
    let change = |mut body: Value, field: &str, value: Value| {
        body[field] = value;
        body
    };
    let customer = || samples::create_customer();
    for (method, path, body, names) in [
        (
            Method::POST,
            "/v1/customers",
            change(customer(), "email", json!("nobody")),
            "email",
        ),
        (
            Method::POST,
            "/v1/customers",
            change(customer(), "name", json!(" ")),
            "name",
        ),
        (
            Method::POST,
            "/v1/customers",
            change(customer(), "name", json!("a\u{0}")),
            "name",
        ),
        (
            Method::POST,
            "/v1/customers",
            change(customer(), "locale", json!("'--")),
            "locale",
        ),
        (
            Method::PUT,
            "/v1/stores/s",
            change(samples::put_store(), "currency", json!("eur")),
            "currency",
        ),
        (
            Method::PUT,
            "/v1/catalogue/p",
            change(samples::put_product(), "kind", json!("soup")),
            "kind",
        ),
        (
            Method::PUT,
            "/v1/catalogue/p",
            change(samples::put_product(), "prices", json!([])),
            "prices",
        ),
        (
            Method::POST,
            "/v1/stores/s/stock",
            change(samples::adjust_stock(), "delta", json!(0)),
            "delta",
        ),
    ] {
        let response = it.write(method, path, &body).send().await.unwrap();
        let problem = problem(response, 422, "invalid-request").await;
        assert_eq!(problem["errors"][0]["field"], names);
    }
}

#[tokio::test]
async fn a_write_needs_a_good_key() {
    let it = Edge::start().await;
    for path in ["/v1/orders", "/v1/customers", "/v1/stores/store-oslo/stock"] {
        let bare = it.request(Method::POST, path).send().await.unwrap();
        problem(bare, 400, "idempotency-key-missing").await;
        for key in ["", "a b", &"x".repeat(256)] {
            let request = it
                .request(Method::POST, path)
                .header("idempotency-key", key);
            let response = request.send().await.unwrap();
            problem(response, 400, "idempotency-key-malformed").await;
        }
        let request = it.request(Method::POST, path);
        let twice = request
            .header("idempotency-key", "a")
            .header("idempotency-key", "b");
        problem(
            twice.send().await.unwrap(),
            400,
            "idempotency-key-malformed",
        )
        .await;
    }
}

#[tokio::test]
async fn a_body_must_be_json_by_name() {
    let it = Edge::start().await;
    for kind in [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
    ] {
        let mut request = it
            .request(Method::POST, "/v1/orders")
            .header("idempotency-key", "k")
            .body(place_order().to_string());
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        let response = request.send().await.unwrap();
        problem(response, 415, "unsupported-media-type").await;
    }
    let request = it
        .request(Method::POST, "/v1/orders")
        .header("idempotency-key", "k")
        .header("content-type", "Application/JSON; charset=utf-8")
        .body("{");
    problem(request.send().await.unwrap(), 400, "malformed-json").await;
}

#[tokio::test]
async fn bad_paths_and_queries_are_refused() {
    let it = Edge::start().await;
    let long = format!("/v1/orders?pageToken={}", "x".repeat(600));
    for (path, code, names) in [
        ("/v1/orders/nope", "invalid-id", "orderId"),
        ("/v1/orders/%ff%fe", "invalid-id", "orderId"),
        ("/v1/stores/Store/stock", "invalid-id", "storeId"),
        ("/v1/customers/a%00b", "invalid-id", "customerId"),
        ("/v1/orders?pageSize=0", "invalid-query", "pageSize"),
        ("/v1/orders?pageSize=101", "invalid-query", "100"),
        ("/v1/orders?pageSize=many", "invalid-query", "pageSize"),
        ("/v1/orders?status=gone", "invalid-query", "pending"),
        ("/v1/orders?storeId='--", "invalid-query", "storeId"),
        ("/v1/orders?customerId=%00", "invalid-query", "customerId"),
        ("/v1/orders?custmerId=x", "invalid-query", "custmerId"),
        (
            "/v1/orders?pageToken=a%20b",
            "invalid-page-token",
            "pageToken",
        ),
        (&long, "invalid-page-token", "pageToken"),
    ] {
        let problem = problem(it.get(path).await, 400, code).await.to_string();
        assert!(problem.contains(names), "{problem} does not name {names}");
    }
    let path = format!("/v1/orders/{ORDER_ID}?until=friday");
    problem(it.get(&path).await, 400, "invalid-query").await;
    assert_eq!(it.stub.count("list_orders") + it.stub.count("get_order"), 0);
}

#[tokio::test]
async fn bad_headers_are_refused() {
    let it = Edge::start().await;
    let path = format!("/v1/orders/{ORDER_ID}");
    let nine = ["a:b:1"; 9].join(",");
    for (name, value, code) in [
        ("prefer", "wait", "invalid-prefer"),
        ("prefer", "wait=soon", "invalid-prefer"),
        ("prefer", "wait=-1", "invalid-prefer"),
        ("prefer", "wait=1.5", "invalid-prefer"),
        (
            "brewline-consistency",
            "nonsense",
            "invalid-consistency-token",
        ),
        ("brewline-consistency", "a:b:0", "invalid-consistency-token"),
        (
            "brewline-consistency",
            "a:b c:1",
            "invalid-consistency-token",
        ),
        ("brewline-consistency", &nine, "invalid-consistency-token"),
    ] {
        let request = it.request(Method::GET, &path).header(name, value);
        problem(request.send().await.unwrap(), 400, code).await;
    }
    assert_eq!(it.stub.count("get_order"), 0);
}

#[tokio::test]
async fn what_is_not_served_is_a_problem_too() {
    let it = Edge::start().await;
    for path in [
        "/",
        "/v1",
        "/v1/orders/",
        "/v2/orders",
        "/livez",
        "/../etc/passwd",
        "/%00",
    ] {
        problem(it.get(path).await, 404, "not-found").await;
    }
    for (method, path, allow) in [
        (Method::DELETE, "/v1/orders", "GET,HEAD,POST"),
        (Method::PATCH, "/v1/stores/store-oslo", "DELETE,PUT"),
        (Method::POST, "/openapi.json", "GET,HEAD"),
        (Method::GET, "/v1/catalogue/cortado", "DELETE,PUT"),
    ] {
        let response = it.request(method.clone(), path).send().await.unwrap();
        let mut allowed: Vec<_> = header(&response, "allow").split(',').collect();
        allowed.sort_unstable();
        assert_eq!(allowed.join(","), allow, "{method} {path}");
        problem(response, 405, "method-not-allowed").await;
    }
    let odd = Method::from_bytes(b"BREW").unwrap();
    let response = it.request(odd, "/v1/orders").send().await.unwrap();
    problem(response, 405, "method-not-allowed").await;
}

#[tokio::test]
async fn the_trace_of_a_problem_is_the_callers() {
    let it = Edge::start().await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let request = it
        .request(Method::GET, "/nothing")
        .header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"));
    let problem = json(request.send().await.unwrap()).await;
    assert_eq!(problem["traceId"], trace);
}

/// Every route, with a name behind the `?` that nobody knows.
#[tokio::test]
async fn a_query_parameter_that_nobody_knows_is_refused_by_every_route() {
    let it = Edge::start().await;
    for (method, path) in brewline_gateway::served() {
        let path = path
            .replace("{orderId}", ORDER_ID)
            .replace("{storeId}", "store-lisbon")
            .replace("{productId}", "cortado")
            .replace("{customerId}", "customer-demo")
            .replace("{ticketId}", ORDER_ID)
            .replace("{webhookId}", ORDER_ID)
            .replace("{board}", "coffee-lovers")
            .replace("{memberId}", "customer-demo");
        let request = it.request(method.parse().unwrap(), &format!("{path}?pagesize=5"));
        let response = request.send().await.unwrap();
        problem(response, 400, "invalid-query").await;
    }
    assert_eq!(it.get("/openapi.json?").await.status(), StatusCode::OK);
}
