//! Customers: changed, tagged, erased.

use brewline_proto::customer::v1::{
    ChangeCustomerRequest, ChangeCustomerResponse, CreateCustomerResponse, Customer,
    EraseCustomerRequest, EraseCustomerResponse, GetCustomerResponse,
};
use brewline_server::status::rejection;
use reqwest::{Method, StatusCode};
use serde_json::json;
use tonic::Code;

use crate::edge::{Edge, header, json, problem};
use crate::samples::{create_customer, customer};

const PATH: &str = "/v1/customers/customer-demo";

async fn holding(version: i64) -> Edge {
    let it = Edge::start().await;
    let customer = Some(Customer {
        version,
        ..customer()
    });
    let answer = GetCustomerResponse {
        customer: customer.clone(),
    };
    it.stub.say("get_customer", answer);
    it.stub
        .say("change_customer", ChangeCustomerResponse { customer });
    it
}

#[tokio::test]
async fn a_customer_is_tagged_and_changed_only_at_that_tag() {
    let it = holding(3).await;
    let got = it.get(PATH).await;
    assert_eq!(header(&got, "etag"), "\"3\"");
    let change = json!({ "locale": "pt-BR", "name": null });
    let request = it.write(Method::PATCH, PATH, &change);
    let response = request.header("if-match", "\"3\"").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let token = "brewline.customer.events.v1:customer-demo:3";
    assert_eq!(header(&response, "brewline-consistency"), token);
    assert_eq!(header(&response, "etag"), "\"3\"");
    let (_, sent): (_, ChangeCustomerRequest) = it.stub.last("change_customer");
    let expected = ChangeCustomerRequest {
        customer_id: "customer-demo".to_owned(),
        locale: Some("pt-BR".to_owned()),
        expected_version: 3,
        ..ChangeCustomerRequest::default()
    };
    assert_eq!(sent, expected);
}

#[tokio::test]
async fn a_tag_that_is_none_of_ours_matches_nothing() {
    let it = holding(3).await;
    for tag in ["3", "W/\"3\"", "\"x\"", "\"0\"", "\"-1\""] {
        let request = it.write(Method::PATCH, PATH, &json!({}));
        let response = request.header("if-match", tag).send().await.unwrap();
        problem(response, 412, "version-conflict").await;
    }
    assert_eq!(it.stub.count("change_customer"), 0);
    let request = it.write(Method::PATCH, PATH, &json!({}));
    let any = request.header("if-match", "*").send().await.unwrap();
    assert_eq!(any.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_change_is_judged_like_a_new_customer() {
    let it = holding(3).await;
    for (change, field) in [
        (json!({ "name": " " }), "name"),
        (json!({ "email": "nobody" }), "email"),
        (json!({ "locale": "en_US" }), "locale"),
    ] {
        let response = it.write(Method::PATCH, PATH, &change).send().await.unwrap();
        let problem = problem(response, 422, "invalid-request").await;
        assert_eq!(problem["errors"][0]["field"], field);
    }
    let unknown = json!({ "customerId": "customer-other" });
    let response = it.write(Method::PATCH, PATH, &unknown).send().await;
    problem(response.unwrap(), 400, "invalid-json").await;
}

#[tokio::test]
async fn an_erasure_has_a_token_and_nothing_else() {
    let it = Edge::start().await;
    it.stub
        .say("erase_customer", EraseCustomerResponse { version: 2 });
    let response = it.request(Method::DELETE, PATH).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    let token = "brewline.customer.events.v1:customer-demo:2";
    assert_eq!(header(&response, "brewline-consistency"), token);
    assert!(response.bytes().await.unwrap().is_empty());
    let (_, sent): (_, EraseCustomerRequest) = it.stub.last("erase_customer");
    assert_eq!(sent.customer_id, "customer-demo");
}

#[tokio::test]
async fn an_erased_customer_is_gone_and_a_repeat_of_its_making_finds_the_id() {
    let it = Edge::start().await;
    let erased = rejection(Code::NotFound, "customer-erased", "the customer was erased");
    it.stub.refuse("get_customer", erased);
    problem(it.get(PATH).await, 410, "customer-erased").await;
    let answer = CreateCustomerResponse {
        customer: Some(Customer {
            customer_id: "customer-demo".to_owned(),
            version: 1,
            erased: true,
            ..Customer::default()
        }),
        replayed: true,
    };
    it.stub.say("create_customer", answer);
    let response = it.post("/v1/customers", &create_customer()).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    assert_eq!(header(&response, "idempotency-replayed"), "true");
    let left = json!({ "customerId": "customer-demo", "erased": true });
    assert_eq!(json(response).await, left);
}
