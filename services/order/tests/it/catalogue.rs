//! Our copy of the catalogue.

use brewline_proto::order::v1 as wire;
use tonic::Code;

use crate::shop::{Shop, order, product, product_changed, says, store};

async fn price(shop: &Shop, key: &str) -> i64 {
    let answer = shop.place(order(key, &[("cortado", 1)])).await.unwrap();
    answer.order.unwrap().total.unwrap().amount_minor
}

#[tokio::test]
async fn only_newer_states_are_applied() {
    let shop = Shop::open().await;
    shop.hear(&[product("cortado", 400, 3)]).await;
    shop.hear(&[product("cortado", 300, 2)]).await;
    assert_eq!(price(&shop, "k1").await, 400);
    // Within one batch the last of a subject counts.
    shop.hear(&[product("cortado", 500, 4), product("cortado", 600, 5)])
        .await;
    assert_eq!(price(&shop, "k2").await, 600);
}

#[tokio::test]
async fn a_change_that_another_replica_consumed_prices_the_next_order() {
    let shop = Shop::open().await;
    let other = shop.replica();
    assert_eq!(price(&shop, "k1").await, 350);
    let at_other = crate::shop::place_at(&other, "k2").await.unwrap();
    assert_eq!(at_other.order.unwrap().total.unwrap().amount_minor, 350);
    shop.hear(&[product("cortado", 410, 2)]).await;
    let at_other = crate::shop::place_at(&other, "k3").await.unwrap();
    assert_eq!(at_other.order.unwrap().total.unwrap().amount_minor, 410);
    assert_eq!(price(&shop, "k4").await, 410);
}

#[tokio::test]
async fn retired_products_are_sold_no_more() {
    let shop = Shop::open().await;
    shop.hear(&[product_changed("cortado", 350, 2, true)]).await;
    let status = shop.place(order("k", &[("cortado", 1)])).await.unwrap_err();
    assert_eq!(says(&status).1, "unknown-product");
}

#[tokio::test]
async fn a_store_prices_in_its_own_currency() {
    let shop = Shop::open().await;
    let mut request = order("k", &[("cortado", 1)]);
    request.store_id = "store-oslo".to_owned();
    let total = shop
        .place(request.clone())
        .await
        .unwrap()
        .order
        .unwrap()
        .total
        .unwrap();
    assert_eq!(total.currency, "NOK");
    shop.hear(&[store("store-oslo", "JPY", 2)]).await;
    request.idempotency_key = "k2".to_owned();
    let status = shop.place(request).await.unwrap_err();
    assert_eq!(says(&status).1, "unknown-product");
}

#[tokio::test]
async fn an_order_waits_for_the_product_its_token_names() {
    let shop = Shop::open().await;
    let token = |version| wire::ConsistencyToken {
        topic: "brewline.catalogue.events.v1".to_owned(),
        subject: "product/tea".to_owned(),
        version,
    };
    let mut request = order("k", &[("tea", 1)]);
    request.tokens = vec![token(1)];
    request.wait_ms = 50;
    let status = shop.place(request.clone()).await.unwrap_err();
    assert_eq!(says(&status), (Code::Unavailable, "view-behind".to_owned()));
    request.wait_ms = 20_000;
    let tea = [product("tea", 200, 1)];
    let (placed, ()) = tokio::join!(shop.place(request), shop.hear(&tea));
    assert_eq!(
        placed.unwrap().order.unwrap().total.unwrap().amount_minor,
        200
    );
}
