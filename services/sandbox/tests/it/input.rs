//! Input that is refused: a problem that says why, never a 5xx.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::processor::{Processor, authorise, json};

#[tokio::test]
async fn bad_bodies_are_refused_with_the_reason() {
    let it = Processor::start().await;
    let with = |field: &str, value: serde_json::Value| {
        let mut body = authorise("o-1", "tok_ok");
        body[field] = value;
        body.to_string()
    };
    let large = " ".repeat(65 * 1_024);
    for (body, status, says) in [
        (String::new(), 400, "EOF"),
        ("{".to_owned(), 400, "line 1 column 1"),
        (with("extra", json!(1)), 400, "extra"),
        (with("amountMinor", json!("350")), 400, "invalid type"),
        (with("amountMinor", json!(0)), 422, "positive"),
        (with("amountMinor", json!(1.5)), 400, "invalid type"),
        (with("currency", json!("eur")), 422, "ISO 4217"),
        (with("token", json!("4111111111111111")), 422, "tok_ok"),
        (with("reference", json!("a b")), 422, "reference"),
        (large, 413, "65536"),
    ] {
        let url = format!("{}/v1/authorisations", it.url);
        let request = it
            .client
            .post(url)
            .header("idempotency-key", "k")
            .body(body);
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{says}");
        assert_eq!(
            response.headers()["content-type"],
            "application/problem+json"
        );
        let problem = json(response).await;
        assert!(
            problem["detail"].as_str().unwrap().contains(says),
            "{problem}"
        );
    }
    assert!(it.ledger("o-1").await.is_empty());
}

#[tokio::test]
async fn bad_keys_paths_and_queries_are_refused() {
    let it = Processor::start().await;
    let long = "x".repeat(256);
    for (method, path, key, status) in [
        (Method::POST, "/v1/authorisations", None, 400),
        (Method::POST, "/v1/authorisations", Some("a b"), 400),
        (Method::POST, "/v1/authorisations", Some(long.as_str()), 400),
        (
            Method::POST,
            "/v1/authorisations/nope/captures",
            Some("k"),
            404,
        ),
        (Method::GET, "/v1/authorisations", None, 400),
        (
            Method::GET,
            "/v1/authorisations?key=a&reference=b",
            None,
            400,
        ),
        (Method::GET, "/v1/authorisations?colour=red", None, 400),
        (Method::GET, "/nothing", None, 404),
        (Method::DELETE, "/ledger", None, 405),
    ] {
        let mut request = it
            .client
            .request(method.clone(), format!("{}{path}", it.url));
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{method} {path}");
        let code = json(response).await["code"].clone();
        assert!(code.is_string());
    }
}

#[tokio::test]
async fn bad_behaviour_is_not_told() {
    let it = Processor::start().await;
    for (kind, body, status) in [
        ("authorise", json!({ "mode": "odd" }), 422),
        ("authorise", json!({ "mode": "error", "status": 200 }), 422),
        ("authorise", json!({ "mode": "hang", "share": 1.5 }), 422),
        (
            "authorise",
            json!({ "mode": "slow", "delayMs": 86_400_001_u64 }),
            422,
        ),
        ("authorise", json!({ "mode": "hang", "colour": 1 }), 400),
        ("bank", json!({ "mode": "hang" }), 404),
        ("keys", json!({ "ttlMs": -1 }), 400),
    ] {
        let told = it.tell(kind, body.clone()).await;
        assert_eq!(told.as_u16(), status, "{kind} {body}");
    }
    it.authorised("a", "o-1").await;
    assert_eq!(
        it.tell("authorise", json!({ "mode": "ok" })).await,
        StatusCode::NO_CONTENT
    );
}
