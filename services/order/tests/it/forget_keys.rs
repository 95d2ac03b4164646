//! What becomes of idempotency keys in the long run.

use brewline_order::app::forget_keys::forget;

use crate::shop::{Shop, customer};

const ORDERS_KEYS: &str = "select count(*) from idempotency_key where order_id is not null";
const CUSTOMERS_KEYS: &str = "select count(*) from idempotency_key where order_id is null";

/// A week and a day pass, and old keys are forgotten.
async fn eight_days_later(shop: &Shop) {
    change(
        shop,
        "update idempotency_key set created_at = created_at - interval '8 days'",
    )
    .await;
    forget(&shop.parts.pool).await.unwrap();
}

async fn change(shop: &Shop, sql: &'static str) {
    let connection = shop.parts.pool.get().await.unwrap();
    connection.execute(sql, &[]).await.unwrap();
}

#[tokio::test]
async fn a_key_is_kept_for_a_week() {
    let shop = Shop::empty().await;
    shop.create(customer("k", "")).await.unwrap();
    assert_eq!(forget(&shop.parts.pool).await.unwrap(), 0);
    assert_eq!(shop.count(CUSTOMERS_KEYS).await, 1);
    eight_days_later(&shop).await;
    assert_eq!(shop.count(CUSTOMERS_KEYS).await, 0);
}

#[tokio::test]
async fn a_key_is_kept_while_its_order_is_not_final() {
    let shop = Shop::open().await;
    shop.placed("k").await;
    eight_days_later(&shop).await;
    assert_eq!(shop.count(ORDERS_KEYS).await, 1);
    change(&shop, "update orders set status = 'rejected'").await;
    eight_days_later(&shop).await;
    assert_eq!(shop.count(ORDERS_KEYS).await, 1, "its checkout is open");
    change(&shop, "update saga set open = false").await;
    eight_days_later(&shop).await;
    assert_eq!(shop.count(ORDERS_KEYS).await, 0);
}
