//! Stores and products, and the events that tell them.

use std::sync::Arc;

use brewline_proto::catalogue::v1::catalogue_service_server::CatalogueService;
use brewline_proto::catalogue::v1::{
    ListProductsRequest, ListStoresRequest, Product, ProductChanged, RetireProductRequest,
    RetireStoreRequest, Store,
};
use brewline_proto::inventory::v1::ListStockRequest;
use brewline_proto::inventory::v1::inventory_service_server::InventoryService;
use brewline_server::status::{fields, reason};
use prost::Message;
use tonic::{Code, Request};

use crate::shop::{STORE, Shop, product, store};

#[tokio::test]
async fn a_put_creates_and_then_changes() {
    let shop = Shop::open(&[]).await;
    let created = shop.put_product(product("cortado")).await.unwrap();
    assert_eq!(created.version, 1);
    let mut dearer = product("cortado");
    dearer.prices[0].amount_minor = 300;
    let changed = shop.put_product(dearer.clone()).await.unwrap();
    assert_eq!(
        changed,
        Product {
            version: 2,
            ..dearer
        }
    );
    let told = shop.told("product/cortado").await;
    assert_eq!(
        told,
        [
            ("ProductChanged".to_owned(), 1),
            ("ProductChanged".to_owned(), 2)
        ]
    );
}

#[tokio::test]
async fn an_unchanged_put_writes_nothing() {
    let shop = Shop::open(&[("cortado", 1)]).await;
    let rows = "select (select count(*) from outbox) + (select count(*) from product)";
    let before = shop.number(rows).await;
    assert_eq!(shop.put_store(store()).await.unwrap().version, 1);
    assert_eq!(
        shop.put_product(product("cortado")).await.unwrap().version,
        1
    );
    assert_eq!(shop.number(rows).await, before);
}

#[tokio::test]
async fn events_hold_the_whole_state() {
    let shop = Shop::open(&[("cortado", 1)]).await;
    let product_id = "cortado".to_owned();
    let retire = RetireProductRequest { product_id };
    shop.catalogue
        .retire_product(Request::new(retire))
        .await
        .unwrap();
    let sql = "select topic, payload from outbox where aggregate_id = 'product/cortado'
               order by version desc";
    let row = &shop.rows(sql).await[0];
    assert_eq!(
        row.try_get::<_, String>(0).unwrap(),
        "brewline.catalogue.events.v1"
    );
    let told = ProductChanged::decode(row.try_get::<_, &[u8]>(1).unwrap()).unwrap();
    let whole = product("cortado");
    assert_eq!(
        (told.retired, told.name, told.prices),
        (true, whole.name, whole.prices)
    );
}

#[tokio::test]
async fn the_currency_of_a_store_is_for_ever() {
    let shop = Shop::open(&[]).await;
    let currency = "NOK".to_owned();
    let status = shop
        .put_store(Store {
            currency,
            ..store()
        })
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(reason(&status).as_deref(), Some("currency-fixed"));
}

#[tokio::test]
async fn a_retired_id_is_never_used_again() {
    let shop = Shop::open(&[("cortado", 1)]).await;
    let retire = || {
        let store_id = STORE.to_owned();
        shop.catalogue
            .retire_store(Request::new(RetireStoreRequest { store_id }))
    };
    assert_eq!(retire().await.unwrap().into_inner().version, 2);
    assert_eq!(retire().await.unwrap().into_inner().version, 2);
    let status = shop.put_store(store()).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(reason(&status).as_deref(), Some("retired"));
    let stores = shop
        .catalogue
        .list_stores(Request::new(ListStoresRequest {}))
        .await
        .unwrap();
    assert!(stores.into_inner().stores.is_empty());
    let products = shop
        .catalogue
        .list_products(Request::new(ListProductsRequest {}))
        .await;
    let products = products.unwrap().into_inner().products;
    assert_eq!(
        products,
        [Product {
            version: 1,
            ..product("cortado")
        }]
    );
}

#[tokio::test]
async fn what_never_was_cannot_be_retired_or_counted() {
    let shop = Shop::open(&[]).await;
    let product_id = "tea".to_owned();
    let retire = RetireProductRequest { product_id };
    let status = shop
        .catalogue
        .retire_product(Request::new(retire))
        .await
        .unwrap_err();
    assert_eq!(reason(&status).as_deref(), Some("unknown-product"));
    let store_id = "store-nowhere".to_owned();
    let list = ListStockRequest { store_id };
    let status = shop.stock.list_stock(Request::new(list)).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(reason(&status).as_deref(), Some("unknown-store"));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_managers_at_once_make_versions_without_a_gap() {
    let shop = Arc::new(Shop::open(&[]).await);
    let mut managers = tokio::task::JoinSet::new();
    for n in 0..4 {
        let shop = Arc::clone(&shop);
        let name = format!("Cortado {n}");
        managers.spawn(async move {
            shop.put_product(Product {
                name,
                ..product("cortado")
            })
            .await
            .unwrap()
            .version
        });
    }
    let mut versions = managers.join_all().await;
    versions.sort_unstable();
    assert_eq!(versions, [1, 2, 3, 4]);
    let told: Vec<i64> = shop
        .told("product/cortado")
        .await
        .into_iter()
        .map(|(_, v)| v)
        .collect();
    assert_eq!(told, [1, 2, 3, 4]);
}

#[tokio::test]
async fn a_currency_that_does_not_exist_is_refused_for_stores_and_prices() {
    let shop = Shop::open(&[]).await;
    for currency in ["ABC", "XXX", "XAU", "DEM"] {
        let wrong = Store {
            currency: currency.to_owned(),
            ..store()
        };
        let status = shop.put_store(wrong).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{currency}");
        assert_eq!(fields(&status)[0].0, "currency");
        let mut wrong = product("cortado");
        wrong.prices[0].currency = currency.to_owned();
        let status = shop.put_product(wrong).await.unwrap_err();
        assert_eq!(fields(&status)[0].0, "prices", "{currency}");
    }
    for currency in ["JPY", "KWD", "NOK"] {
        let right = Store {
            store_id: format!("store-{}", currency.to_lowercase()),
            currency: currency.to_owned(),
            ..store()
        };
        assert!(shop.put_store(right).await.is_ok(), "{currency}");
    }
}

#[tokio::test]
async fn wrong_input_names_its_fields() {
    let shop = Shop::open(&[]).await;
    let wrong = Store {
        store_id: "Store Lisbon".to_owned(),
        currency: "euro".to_owned(),
        time_zone: "Europe/Atlantis".to_owned(),
        ..store()
    };
    let status = shop.put_store(wrong).await.unwrap_err();
    let named: Vec<_> = fields(&status).into_iter().map(|(name, _)| name).collect();
    assert_eq!(named, ["storeId", "currency", "timeZone"]);
    type Change = fn(&mut Product);
    let table: [(&str, Change); 6] = [
        ("productId", |p| p.product_id = "a/b".to_owned()),
        ("name", |p| p.name.clear()),
        ("kind", |p| p.kind = 0),
        ("method", |p| p.method.clear()),
        ("prices", |p| p.prices.clear()),
        ("prices", |p| p.prices[0].currency = "eur".to_owned()),
    ];
    for (field, change) in table {
        let mut request = product("cortado");
        change(&mut request);
        let status = shop.put_product(request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{field}");
        let named: Vec<_> = fields(&status).into_iter().map(|(name, _)| name).collect();
        assert_eq!(named, [field]);
    }
}
