//! Customers.

use brewline_proto::customer::v1 as wire;
use brewline_proto::customer::v1::customer_service_server::CustomerService as _;
use prost::Message as _;
use tonic::{Code, Request};

use crate::shop::{Shop, customer, says};

#[tokio::test]
async fn a_customer_is_created_once_and_told_whole() {
    let shop = Shop::empty().await;
    let first = shop.create(customer("k", "")).await.unwrap();
    let again = shop.create(customer("k", "")).await.unwrap();
    assert_eq!(first.customer, again.customer);
    assert!(again.replayed && !first.replayed);
    let customer = first.customer.unwrap();
    let connection = shop.parts.pool.get().await.unwrap();
    let row = connection
        .query_one(
            "select topic, aggregate_id, version, payload from outbox_record",
            &[],
        )
        .await
        .unwrap();
    let body: Vec<u8> = row.get(3);
    let told = wire::CustomerChanged::decode(body.as_slice()).unwrap();
    assert_eq!(row.get::<_, &str>(0), "brewline.customer.events.v1");
    assert_eq!(
        (row.get::<_, String>(1), row.get::<_, i64>(2)),
        (customer.customer_id, 1)
    );
    assert_eq!((told.name, told.email), (customer.name, customer.email));
}

#[tokio::test]
async fn a_taken_id_is_refused_and_the_key_stays_free() {
    let shop = Shop::open().await;
    let status = shop
        .create(customer("k", "customer-demo"))
        .await
        .unwrap_err();
    assert_eq!(
        says(&status),
        (Code::AlreadyExists, "customer-exists".to_owned())
    );
    assert!(
        !shop
            .create(customer("k", "customer-other"))
            .await
            .unwrap()
            .replayed
    );
}

#[tokio::test]
async fn the_same_key_with_another_body_is_refused() {
    let shop = Shop::empty().await;
    shop.create(customer("k", "")).await.unwrap();
    let mut other = customer("k", "");
    other.name = "Grace".to_owned();
    let status = shop.create(other).await.unwrap_err();
    assert_eq!(says(&status).1, "idempotency-key-reused");
}

#[tokio::test]
async fn a_customer_is_found_by_id() {
    let shop = Shop::open().await;
    let get = async |id: &str| {
        let request = wire::GetCustomerRequest {
            customer_id: id.to_owned(),
        };
        shop.customers.get_customer(Request::new(request)).await
    };
    let found = get("customer-demo")
        .await
        .unwrap()
        .into_inner()
        .customer
        .unwrap();
    assert_eq!((found.name.as_str(), found.version), ("Ada", 1));
    assert_eq!(
        says(&get("customer-nobody").await.unwrap_err()).1,
        "unknown-customer"
    );
    assert_eq!(
        get("'; drop").await.unwrap_err().code(),
        Code::InvalidArgument
    );
}
