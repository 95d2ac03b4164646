//! Each way to misbehave.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::processor::{Processor, authorise, json, until};

/// How long a caller waits who expects no answer.
const SHORT: Duration = Duration::from_millis(150);

async fn told(kind: &str, body: Value) -> Processor {
    let it = Processor::start().await;
    assert_eq!(it.tell(kind, body).await, StatusCode::NO_CONTENT);
    it
}

async fn impatient(it: &Processor) -> reqwest::Result<reqwest::Response> {
    let request = it.client.post(format!("{}/v1/authorisations", it.url));
    let body = authorise("o-1", "tok_ok").to_string();
    let request = request.header("idempotency-key", "a").body(body);
    request.timeout(SHORT).send().await
}

/// Whether the peer reset the connection, rather than closing it or answering nothing.
fn was_reset(error: &reqwest::Error) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        let io = error.downcast_ref::<std::io::Error>();
        if io.is_some_and(|io| io.kind() == std::io::ErrorKind::ConnectionReset) {
            return true;
        }
        cause = error.source();
    }
    false
}

#[tokio::test]
async fn decline_says_no_to_a_good_card_and_keeps_it_on_record() {
    let it = told("authorise", json!({ "mode": "decline", "count": 1 })).await;
    let response = it.authorise("a", "o-1").await.unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);
    assert_eq!(json(response).await["status"], "declined");
    let again = json(it.authorise("a", "o-1").await.unwrap()).await;
    assert_eq!(again["status"], "declined", "the key remembers it");
}

#[tokio::test]
async fn a_declined_capture_is_refused_and_takes_nothing() {
    let it = told("capture", json!({ "mode": "decline" })).await;
    let id = it.authorised("a", "o-1").await;
    let refused = it.follow(&id, "captures", "c").await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(json(refused).await["code"], "declined");
    let ledger = it.ledger("o-1").await;
    assert_eq!(ledger[1], ("capture".to_owned(), "declined".to_owned()));
}

#[tokio::test]
async fn error_does_nothing() {
    let it = told("authorise", json!({ "mode": "error", "status": 503 })).await;
    let response = it.authorise("a", "o-1").await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    it.behave().await;
    assert!(it.ledger("o-1").await.is_empty());
    it.authorised("a", "o-1").await;
}

#[tokio::test]
async fn slow_is_done_late_even_when_the_caller_has_gone() {
    let it = told(
        "authorise",
        json!({ "mode": "slow", "delayMs": 600, "count": 1 }),
    )
    .await;
    assert!(impatient(&it).await.unwrap_err().is_timeout());
    let found = it.get("/v1/authorisations?key=a").await;
    assert_eq!(found.status(), StatusCode::NOT_FOUND, "it has not landed");
    until("the slow request lands", async || {
        it.ledger("o-1").await.len() == 1
    })
    .await;
}

#[tokio::test]
async fn a_repeat_waits_for_the_slow_first_request() {
    let it = told(
        "authorise",
        json!({ "mode": "slow", "delayMs": 500, "count": 1 }),
    )
    .await;
    let begin = Instant::now();
    assert!(impatient(&it).await.unwrap_err().is_timeout());
    let other = it.authorise("a", "o-2").await.unwrap();
    assert_eq!(other.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let repeat = it.authorise("a", "o-1").await.unwrap();
    assert_eq!(repeat.status(), StatusCode::CREATED);
    assert_eq!(repeat.headers()["idempotency-replayed"], "true");
    assert!(begin.elapsed() >= Duration::from_millis(500), "it waited");
    assert_eq!(it.ledger("o-1").await.len(), 1);
}

#[tokio::test]
async fn hang_neither_does_nor_answers() {
    let it = told("authorise", json!({ "mode": "hang", "count": 1 })).await;
    assert!(impatient(&it).await.unwrap_err().is_timeout());
    assert!(it.ledger("o-1").await.is_empty());
    it.authorised("a", "o-1").await;
}

#[tokio::test]
async fn done_then_hang_does_and_does_not_answer() {
    let it = told("authorise", json!({ "mode": "done-then-hang", "count": 1 })).await;
    assert!(impatient(&it).await.unwrap_err().is_timeout());
    assert_eq!(it.ledger("o-1").await.len(), 1);
    let repeat = it.authorise("a", "o-1").await.unwrap();
    assert_eq!(repeat.headers()["idempotency-replayed"], "true");
}

#[tokio::test]
async fn done_then_reset_does_and_resets_the_connection() {
    let it = told(
        "authorise",
        json!({ "mode": "done-then-reset", "count": 1 }),
    )
    .await;
    let error = it.authorise("a", "o-1").await.unwrap_err();
    assert!(was_reset(&error), "{error:?}");
    assert_eq!(it.ledger("o-1").await.len(), 1);
    it.authorised("a", "o-1").await;
}

#[tokio::test]
async fn refuse_connection_closes_the_door_until_told_otherwise() {
    let it = told("authorise", json!({ "mode": "refuse-connection" })).await;
    until("the door is closed", async || {
        let refused = it.authorise("a", "o-1").await;
        refused.is_err_and(|error| error.is_connect())
    })
    .await;
    it.behave().await;
    until("the door is open", async || {
        it.authorise("a", "o-1").await.is_ok()
    })
    .await;
    assert_eq!(it.ledger("o-1").await.len(), 1);
}

#[tokio::test]
async fn with_one_address_a_refusal_resets_so_that_it_can_be_called_off() {
    let it = Processor::start_on_one_address().await;
    it.tell("authorise", json!({ "mode": "refuse-connection" }))
        .await;
    for _ in 0..3 {
        let error = it.authorise("a", "o-1").await.unwrap_err();
        assert!(was_reset(&error), "{error:?}");
    }
    it.behave().await;
    it.authorised("a", "o-1").await;
    assert_eq!(it.ledger("o-1").await.len(), 1);
}

#[tokio::test]
async fn a_counted_refusal_resets_and_does_nothing() {
    let it = told(
        "authorise",
        json!({ "mode": "refuse-connection", "count": 2 }),
    )
    .await;
    for _ in 0..2 {
        let error = it.authorise("a", "o-1").await.unwrap_err();
        assert!(was_reset(&error), "{error:?}");
    }
    assert!(it.ledger("o-1").await.is_empty());
    it.authorised("a", "o-1").await;
}

#[tokio::test]
async fn a_share_is_struck_by_its_seed() {
    let it = Processor::start().await;
    let body = json!({ "mode": "error", "share": 0.5, "seed": 42 });
    let mut runs = Vec::new();
    for run in 0..2 {
        it.tell("authorise", body.clone()).await;
        let mut statuses = Vec::new();
        for n in 0..20 {
            let response = it.authorise(&format!("{run}-{n}"), "o-1").await.unwrap();
            statuses.push(response.status().is_success());
        }
        runs.push(statuses);
    }
    assert_eq!(runs[0], runs[1]);
    assert!(runs[0].contains(&true) && runs[0].contains(&false));
}

#[tokio::test]
async fn a_forgotten_key_authorises_a_second_time() {
    let it = told("keys", json!({ "ttlMs": 0 })).await;
    let first = it.authorised("a", "o-1").await;
    until("the key is forgotten", async || {
        it.authorised("a", "o-1").await != first
    })
    .await;
    assert!(it.ledger("o-1").await.len() >= 2);
    it.behave().await;
    let last = it.authorised("a", "o-1").await;
    assert_eq!(it.authorised("a", "o-1").await, last, "remembered again");
}
