//! What services refuse, as HTTP: the table.

use brewline_proto::order::v1::{OrderStatus, PlaceOrderResponse};
use brewline_server::status::{busy, invalid, rejected_fields, rejection};
use serde_json::json;
use tonic::{Code, Status};

use crate::edge::{Edge, header, problem};
use crate::samples::{ORDER_ID, order, place_order};

/// What a service says, and what the caller is to be told: status, code, seconds to wait.
type Case = (Status, u16, &'static str, &'static str);

fn reasons() -> Vec<Case> {
    use Code::{AlreadyExists, FailedPrecondition, InvalidArgument, NotFound};
    let same = |code, http, reason| (rejection(code, reason, "because"), http, reason, "");
    let busy = busy("overloaded", "full", std::time::Duration::from_secs(3));
    vec![
        same(FailedPrecondition, 422, "idempotency-key-reused"),
        same(AlreadyExists, 422, "idempotency-key-reused"),
        same(InvalidArgument, 422, "unknown-store"),
        same(InvalidArgument, 400, "invalid-page-token"),
        same(NotFound, 404, "unknown-order"),
        same(NotFound, 410, "customer-erased"),
        same(FailedPrecondition, 412, "version-conflict"),
        same(FailedPrecondition, 409, "not-cancellable"),
        same(FailedPrecondition, 409, "insufficient-stock"),
        same(AlreadyExists, 409, "customer-exists"),
        (busy, 503, "overloaded", "3"),
    ]
}

fn reasons_to_come_again() -> Vec<Case> {
    let again = |code, http, reason| (rejection(code, reason, "because"), http, reason, "1");
    vec![
        again(Code::Aborted, 409, "idempotency-in-flight"),
        again(Code::Aborted, 409, "contended"),
        again(Code::Unavailable, 503, "view-behind"),
        again(Code::Unavailable, 503, "database-unavailable"),
    ]
}

fn bare_codes() -> Vec<Case> {
    let lost = Status::unavailable("tcp connect error 127.0.0.1");
    vec![
        (Status::not_found("x"), 404, "not-found", ""),
        (Status::already_exists("x"), 409, "already-exists", ""),
        (Status::failed_precondition("x"), 409, "conflict", ""),
        (Status::out_of_range("x"), 400, "out-of-range", ""),
        (Status::unauthenticated("x"), 401, "unauthenticated", ""),
        (Status::permission_denied("x"), 403, "forbidden", ""),
        (Status::resource_exhausted("x"), 503, "overloaded", "1"),
        (lost, 503, "unavailable", "1"),
        (
            Status::deadline_exceeded("x"),
            504,
            "deadline-exceeded",
            "1",
        ),
        (Status::unimplemented("x"), 501, "not-implemented", ""),
        (Status::internal("secret"), 500, "internal", ""),
        (Status::unknown("secret"), 500, "internal", ""),
        (Status::data_loss("secret"), 500, "internal", ""),
    ]
}

#[tokio::test]
async fn each_refusal_has_its_status_and_code() {
    let it = Edge::start().await;
    let cases = [reasons(), reasons_to_come_again(), bare_codes()];
    for (status, http, code, again) in cases.concat() {
        it.stub.refuse("place_order", status);
        let response = it.post("/v1/orders", &place_order()).await;
        assert_eq!(header(&response, "retry-after"), again, "{code}");
        let text = problem(response, http, code).await.to_string();
        assert!(
            !text.contains("secret") && !text.contains("127.0.0.1"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_parked_view_says_that_waiting_will_not_help() {
    let it = Edge::start().await;
    let status = rejection(
        Code::Unavailable,
        "view-behind-parked",
        "behind a dead letter",
    );
    it.stub.refuse("get_order", status);
    let response = it.get(&format!("/v1/orders/{ORDER_ID}")).await;
    assert!(!header(&response, "retry-after").is_empty());
    let parked = problem(response, 503, "view-behind").await;
    assert_eq!(parked["parked"], true);
    it.stub.refuse(
        "get_order",
        rejection(Code::Unavailable, "view-behind", "not yet"),
    );
    let response = it.get(&format!("/v1/orders/{ORDER_ID}")).await;
    assert!(
        problem(response, 503, "view-behind")
            .await
            .get("parked")
            .is_none()
    );
}

#[tokio::test]
async fn fields_at_fault_are_named() {
    let it = Edge::start().await;
    let fields = vec![("lines[0].productId".to_owned(), "there is none".to_owned())];
    for (status, code) in [
        (invalid(fields.clone()), "invalid-request"),
        (
            rejected_fields("unknown-product", fields),
            "unknown-product",
        ),
    ] {
        it.stub.refuse("place_order", status);
        let response = it.post("/v1/orders", &place_order()).await;
        let problem = problem(response, 422, code).await;
        let expected = json!([{ "field": "lines[0].productId", "detail": "there is none" }]);
        assert_eq!(problem["errors"], expected);
    }
}

#[tokio::test]
async fn an_incomplete_answer_is_a_bad_gateway() {
    let it = Edge::start().await;
    it.stub.say("place_order", PlaceOrderResponse::default());
    let response = it.post("/v1/orders", &place_order()).await;
    problem(response, 502, "bad-gateway").await;
    let answer = PlaceOrderResponse {
        order: Some(order(OrderStatus::Unspecified, 1)),
        replayed: false,
    };
    it.stub.say("place_order", answer);
    let response = it.post("/v1/orders", &place_order()).await;
    assert_eq!(crate::edge::json(response).await["status"], "unknown");
}
