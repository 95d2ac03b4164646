//! Stores, catalogue, stock and customers: every status and header of their calls.

use brewline_proto::catalogue::v1::{
    ListProductsResponse, ListStoresResponse, ProductKind, PutProductRequest, PutProductResponse,
    PutStoreRequest, PutStoreResponse, RetireProductResponse, RetireStoreResponse,
};
use brewline_proto::customer::v1::{
    CreateCustomerRequest, CreateCustomerResponse, GetCustomerResponse,
};
use brewline_proto::inventory::v1::{AdjustStockRequest, AdjustStockResponse, ListStockResponse};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::edge::{Edge, header, json};
use crate::samples;

const CONSISTENCY: &str = "brewline-consistency";

#[tokio::test]
async fn a_store_is_created_then_changed() {
    let it = Edge::start().await;
    for (created, status) in [(true, StatusCode::CREATED), (false, StatusCode::OK)] {
        let answer = PutStoreResponse {
            store: Some(samples::store()),
            created,
        };
        it.stub.say("put_store", answer);
        let response = it
            .put("/v1/stores/store-kyoto", &samples::put_store())
            .await;
        assert_eq!(response.status(), status);
        let token = "brewline.catalogue.events.v1:store/store-kyoto:3";
        assert_eq!(header(&response, CONSISTENCY), token);
        let body = json(response).await;
        assert_eq!(body["timeZone"], "Asia/Tokyo");
        let (_, sent): (_, PutStoreRequest) = it.stub.last("put_store");
        assert_eq!(sent.store.unwrap().store_id, "store-kyoto");
    }
}

#[tokio::test]
async fn a_product_is_created_then_changed() {
    let it = Edge::start().await;
    for (created, status) in [(true, StatusCode::CREATED), (false, StatusCode::OK)] {
        let answer = PutProductResponse {
            product: Some(samples::product()),
            created,
        };
        it.stub.say("put_product", answer);
        let path = "/v1/catalogue/v60-ethiopia";
        let response = it.put(path, &samples::put_product()).await;
        assert_eq!(response.status(), status);
        let token = "brewline.catalogue.events.v1:product/v60-ethiopia:5";
        assert_eq!(header(&response, CONSISTENCY), token);
        assert_eq!(json(response).await["kind"], "drink");
        let (_, sent): (_, PutProductRequest) = it.stub.last("put_product");
        let sent = sent.product.unwrap();
        assert_eq!(sent.kind(), ProductKind::Drink);
        assert_eq!(sent.prices, [samples::euro(450)]);
    }
}

#[tokio::test]
async fn stores_and_products_are_retired() {
    let it = Edge::start().await;
    it.stub
        .say("retire_store", RetireStoreResponse { version: 9 });
    it.stub
        .say("retire_product", RetireProductResponse { version: 8 });
    for (path, token) in [
        ("/v1/stores/store-oslo", "store/store-oslo:9"),
        ("/v1/catalogue/cortado", "product/cortado:8"),
    ] {
        let response = it.request(Method::DELETE, path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        let token = format!("brewline.catalogue.events.v1:{token}");
        assert_eq!(header(&response, CONSISTENCY), token);
    }
}

#[tokio::test]
async fn everything_is_listed() {
    let it = Edge::start().await;
    let stores = vec![samples::store()];
    it.stub.say("list_stores", ListStoresResponse { stores });
    let products = vec![samples::product()];
    it.stub
        .say("list_products", ListProductsResponse { products });
    let items = vec![samples::stock_item()];
    it.stub.say("list_stock", ListStockResponse { items });
    for (path, field, value) in [
        ("/v1/stores", "storeId", json!("store-kyoto")),
        ("/v1/catalogue", "origin", json!("Ethiopia")),
        ("/v1/stores/store-lisbon/stock", "available", json!(997)),
    ] {
        let request = it.request(Method::GET, path).header(CONSISTENCY, "a:b:1");
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(json(response).await["items"][0][field], value);
    }
}

#[tokio::test]
async fn stock_is_adjusted_under_a_key() {
    let it = Edge::start().await;
    for replayed in [false, true] {
        let answer = AdjustStockResponse {
            item: Some(samples::stock_item()),
            version: 12,
            replayed,
        };
        it.stub.say("adjust_stock", answer);
        let path = "/v1/stores/store-lisbon/stock";
        let response = it.post(path, &samples::adjust_stock()).await;
        assert_eq!(response.status(), StatusCode::OK);
        let token = "brewline.inventory.events.v1:store-lisbon/cortado:12";
        assert_eq!(header(&response, CONSISTENCY), token);
        let expected = if replayed { "true" } else { "" };
        assert_eq!(header(&response, "idempotency-replayed"), expected);
        assert_eq!(json(response).await["onHand"], 1_000);
    }
    let (_, sent): (_, AdjustStockRequest) = it.stub.last("adjust_stock");
    assert_eq!((sent.delta, sent.store_id.as_str()), (-3, "store-lisbon"));
    assert_eq!(sent.principal, "anonymous");
    assert_eq!(sent.idempotency_key, "key-1");
    assert_eq!(sent.reason, "spilt'; DROP TABLE stock; --");
}

#[tokio::test]
async fn a_customer_is_created_and_found() {
    let it = Edge::start().await;
    let answer = CreateCustomerResponse {
        customer: Some(samples::customer()),
        replayed: false,
    };
    it.stub.say("create_customer", answer);
    let response = it.post("/v1/customers", &samples::create_customer()).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    assert_eq!(header(&response, "location"), "/v1/customers/customer-demo");
    let token = "brewline.customer.events.v1:customer-demo:1";
    assert_eq!(header(&response, CONSISTENCY), token);
    let created = json(response).await;
    assert_eq!(created["name"], "Ana <b>O'Neil</b>", "text stays text");
    let (_, sent): (_, CreateCustomerRequest) = it.stub.last("create_customer");
    assert_eq!((sent.customer_id.as_str(), sent.show_name), ("", true));
    let answer = GetCustomerResponse {
        customer: Some(samples::customer()),
    };
    it.stub.say("get_customer", answer);
    let response = it.get("/v1/customers/customer-demo").await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(json(response).await, created);
}
