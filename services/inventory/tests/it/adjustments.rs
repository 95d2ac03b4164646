//! Stock added and taken by hand.

use std::sync::Arc;

use brewline_proto::catalogue::v1::catalogue_service_server::CatalogueService;
use brewline_proto::catalogue::v1::{RetireProductRequest, RetireStoreRequest};
use brewline_proto::inventory::v1::AdjustStockRequest;
use brewline_proto::inventory::v1::inventory_service_server::InventoryService;
use brewline_server::status::{fields, reason};
use tonic::{Code, Request, Status};

use crate::shop::{Order, STORE, Shop, adjustment, product};

fn says(status: &Status) -> (Code, Option<String>) {
    (status.code(), reason(status))
}

fn no(code: Code, reason: &str) -> (Code, Option<String>) {
    (code, Some(reason.to_owned()))
}

#[tokio::test]
async fn an_adjustment_moves_stock_and_tells_it() {
    let shop = Shop::open(&[("cortado", 10)]).await;
    let answer = shop.adjust("k1", "cortado", -4).await.unwrap();
    assert_eq!((answer.version, answer.replayed), (2, false));
    let item = answer.item.unwrap();
    assert_eq!((item.on_hand, item.reserved, item.available), (6, 0, 6));
    let told = shop.told("store-lisbon/cortado").await;
    assert_eq!(
        told,
        [
            ("StockAdjusted".to_owned(), 1),
            ("StockAdjusted".to_owned(), 2)
        ]
    );
    shop.assert_books_balance().await;
}

#[tokio::test]
async fn the_same_key_is_answered_the_same() {
    let shop = Shop::open(&[("cortado", 10)]).await;
    let first = shop.adjust("k1", "cortado", 5).await.unwrap();
    shop.adjust("k2", "cortado", 1).await.unwrap();
    let again = shop.adjust("k1", "cortado", 5).await.unwrap();
    assert_eq!((again.item, again.version), (first.item, first.version));
    assert!(again.replayed && !first.replayed);
    assert_eq!(shop.level("cortado").await.on_hand, 16);
}

#[tokio::test]
async fn the_same_key_with_another_body_is_refused() {
    let shop = Shop::open(&[("cortado", 10), ("croissant", 10)]).await;
    shop.adjust("k1", "cortado", 5).await.unwrap();
    for other in [
        adjustment("k1", "cortado", 6),
        adjustment("k1", "croissant", 5),
    ] {
        let status = shop
            .stock
            .adjust_stock(Request::new(other))
            .await
            .unwrap_err();
        assert_eq!(
            says(&status),
            no(Code::AlreadyExists, "idempotency-key-reused")
        );
    }
    let mut stranger = adjustment("k1", "cortado", 1);
    stranger.principal = "manager-2".to_owned();
    shop.stock
        .adjust_stock(Request::new(stranger))
        .await
        .unwrap();
    assert_eq!(shop.level("cortado").await.on_hand, 16);
}

#[tokio::test]
async fn what_is_reserved_cannot_be_taken() {
    let shop = Shop::open(&[("cortado", 10)]).await;
    shop.deliver(&[Order::new().placed(&[("cortado", 7)])])
        .await
        .unwrap();
    let status = shop.adjust("k1", "cortado", -4).await.unwrap_err();
    assert_eq!(
        says(&status),
        no(Code::FailedPrecondition, "insufficient-stock")
    );
    // The refusal kept no key: the same key may try what fits.
    let answer = shop.adjust("k1", "cortado", -3).await.unwrap();
    assert_eq!(answer.item.unwrap().available, 0);
    shop.assert_books_balance().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_callers_at_once_adjust_the_same_product() {
    let shop = Arc::new(Shop::open(&[]).await);
    shop.put_product(product("cortado")).await.unwrap();
    let mut callers = tokio::task::JoinSet::new();
    for n in 0..40 {
        let shop = Arc::clone(&shop);
        callers.spawn(async move { shop.adjust(&format!("k{n}"), "cortado", 3).await.unwrap() });
    }
    let mut versions: Vec<i64> = callers
        .join_all()
        .await
        .iter()
        .map(|answer| answer.version)
        .collect();
    versions.sort_unstable();
    assert_eq!(versions, (1..=40).collect::<Vec<_>>());
    assert_eq!(shop.level("cortado").await.on_hand, 120);
    shop.assert_books_balance().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_repeats_at_once_adjust_once() {
    let shop = Arc::new(Shop::open(&[("cortado", 5)]).await);
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let shop = Arc::clone(&shop);
        callers.spawn(async move { shop.adjust("same", "cortado", -5).await.unwrap() });
    }
    let answers = callers.join_all().await;
    assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1);
    assert!(
        answers
            .iter()
            .all(|answer| answer.item.as_ref().unwrap().on_hand == 0)
    );
    assert_eq!(shop.level("cortado").await.on_hand, 0);
}

#[tokio::test]
async fn a_key_in_flight_is_told_to_come_again() {
    let shop = Shop::open(&[("cortado", 5)]).await;
    let mut connection = shop.pool.get().await.unwrap();
    let tx = connection.transaction().await.unwrap();
    let hold = "insert into adjustment (principal, key, store_id, product_id, delta, reason)
                values ('manager-1', 'k1', 'store-lisbon', 'cortado', 1, 'delivery')";
    tx.execute(hold, &[]).await.unwrap();
    let status = shop.adjust("k1", "cortado", 1).await.unwrap_err();
    assert_eq!(says(&status), no(Code::Aborted, "idempotency-in-flight"));
    tx.rollback().await.unwrap();
    shop.adjust("k1", "cortado", 1).await.unwrap();
}

#[tokio::test]
async fn unknown_and_retired_ones_are_refused() {
    let shop = Shop::open(&[("cortado", 5), ("croissant", 5)]).await;
    let status = shop.adjust("k1", "tea", 1).await.unwrap_err();
    assert_eq!(says(&status), no(Code::NotFound, "unknown-product"));
    let mut elsewhere = adjustment("k1", "cortado", 1);
    elsewhere.store_id = "store-nowhere".to_owned();
    let status = shop
        .stock
        .adjust_stock(Request::new(elsewhere))
        .await
        .unwrap_err();
    assert_eq!(says(&status), no(Code::NotFound, "unknown-store"));
    let product_id = "croissant".to_owned();
    let retire = RetireProductRequest { product_id };
    shop.catalogue
        .retire_product(Request::new(retire))
        .await
        .unwrap();
    let status = shop.adjust("k1", "croissant", 1).await.unwrap_err();
    assert_eq!(says(&status), no(Code::FailedPrecondition, "retired"));
    let answered = shop.adjust("k2", "cortado", 1).await.unwrap();
    let store_id = STORE.to_owned();
    let retire = RetireStoreRequest { store_id };
    shop.catalogue
        .retire_store(Request::new(retire))
        .await
        .unwrap();
    let status = shop.adjust("k3", "cortado", 1).await.unwrap_err();
    assert_eq!(says(&status), no(Code::FailedPrecondition, "retired"));
    // What was answered before stays answered.
    assert_eq!(
        shop.adjust("k2", "cortado", 1).await.unwrap().item,
        answered.item
    );
}

#[tokio::test]
async fn wrong_input_names_its_fields() {
    let shop = Shop::open(&[("cortado", 5)]).await;
    type Change = fn(&mut AdjustStockRequest);
    let table: [(&str, Change); 7] = [
        ("principal", |r| r.principal.clear()),
        ("idempotencyKey", |r| r.idempotency_key.clear()),
        ("idempotencyKey", |r| r.idempotency_key = "a b".to_owned()),
        ("storeId", |r| {
            r.store_id = "'; drop table stock --".to_owned()
        }),
        ("productId", |r| r.product_id = "<b>".to_owned()),
        ("delta", |r| r.delta = 0),
        ("reason", |r| r.reason = "x".repeat(201)),
    ];
    for (field, change) in table {
        let mut request = adjustment("k1", "cortado", 1);
        change(&mut request);
        let status = shop
            .stock
            .adjust_stock(Request::new(request))
            .await
            .unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{field}");
        let named: Vec<_> = fields(&status).into_iter().map(|(name, _)| name).collect();
        assert_eq!(named, [field]);
    }
}
