//! Money that goes the way it should.

use reqwest::StatusCode;
use serde_json::json;

use crate::processor::{Processor, authorise, json};

#[tokio::test]
async fn an_authorised_amount_is_captured_and_refunded_once() {
    let it = Processor::start().await;
    let id = it.authorised("a", "o-1").await;
    let captured = it.follow(&id, "captures", "c").await.unwrap();
    assert_eq!(captured.status(), StatusCode::CREATED);
    let captured = json(captured).await;
    assert_eq!(captured["status"], "captured");
    assert_eq!(captured["authorisationId"], id);
    let twice = it.follow(&id, "captures", "c-2").await.unwrap();
    assert_eq!(twice.status(), StatusCode::CONFLICT);
    assert_eq!(json(twice).await["code"], "already-captured");
    let refunded = it.follow(&id, "refunds", "r").await.unwrap();
    assert_eq!(refunded.status(), StatusCode::CREATED);
    let kinds: Vec<_> = it.ledger("o-1").await;
    let kinds: Vec<_> = kinds.iter().map(|(_, status)| status.as_str()).collect();
    assert_eq!(kinds, ["authorised", "captured", "refunded"]);
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer_and_says_so() {
    let it = Processor::start().await;
    let id = it.authorised("a", "o-1").await;
    let again = it.authorise("a", "o-1").await.unwrap();
    assert_eq!(again.status(), StatusCode::CREATED);
    assert_eq!(again.headers()["idempotency-replayed"], "true");
    assert_eq!(json(again).await["id"], id);
    let other = it.authorise("a", "o-2").await.unwrap();
    assert_eq!(other.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(json(other).await["code"], "idempotency-key-reused");
}

#[tokio::test]
async fn tokens_decide_what_the_bank_says() {
    let it = Processor::start().await;
    for (token, status, code) in [
        ("tok_ok_7f3a", "authorised", None),
        ("tok_declined", "declined", Some("card-declined")),
        ("tok_insufficient_1", "declined", Some("insufficient-funds")),
    ] {
        let path = "/v1/authorisations";
        let response = it.post(path, token, &authorise("o-1", token)).await;
        let body = json(response.unwrap()).await;
        assert_eq!(body["status"], status);
        assert_eq!(body["declineCode"].as_str(), code);
    }
}

#[tokio::test]
async fn authorisations_are_found_as_they_stand() {
    let it = Processor::start().await;
    let id = it.authorised("a", "o-1").await;
    it.follow(&id, "voids", "v").await.unwrap();
    for path in [
        "/v1/authorisations?key=a",
        "/v1/authorisations?reference=o-1",
    ] {
        let found = json(it.get(path).await).await;
        assert_eq!(found["items"][0]["id"], id);
        assert_eq!(found["items"][0]["status"], "voided");
    }
    let one = json(it.get(&format!("/v1/authorisations/{id}")).await).await;
    assert_eq!(one["status"], "voided");
    let none = it.get("/v1/authorisations?reference=o-2").await;
    assert_eq!(json(none).await, json!({ "items": [] }));
    let unknown = it.get("/v1/authorisations?key=b").await;
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn many_requests_at_once_under_one_key_make_one_entry() {
    let it = Processor::start().await;
    let requests = (0..64).map(|_| it.authorise("a", "o-1"));
    let mut ids = std::collections::BTreeSet::new();
    for response in futures_util::future::join_all(requests).await {
        ids.insert(json(response.unwrap()).await["id"].to_string());
    }
    assert_eq!(ids.len(), 1);
    assert_eq!(it.ledger("o-1").await.len(), 1);
}
