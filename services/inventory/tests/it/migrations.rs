//! The schema.

use brewline_inventory::MIGRATIONS;
use brewline_postgres::migrate;
use brewline_test_support::TestDatabase;

use crate::shop::Shop;

#[tokio::test]
async fn migrations_run_twice() {
    let shop = Shop::open(&[("cortado", 3)]).await;
    migrate(&shop.pool, MIGRATIONS).await.unwrap();
    assert_eq!(shop.level("cortado").await.on_hand, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn four_replicas_migrate_at_once() {
    let database = TestDatabase::create(&[]).await;
    let mut replicas = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let pool = database.pool().clone();
        replicas.spawn(async move { migrate(&pool, MIGRATIONS).await.unwrap() });
    }
    replicas.join_all().await;
    let pool = database.pool().clone();
    let count = "select count(*) from schema_migration";
    let row = pool
        .get()
        .await
        .unwrap()
        .query_one(count, &[])
        .await
        .unwrap();
    let applied = usize::try_from(row.try_get::<_, i64>(0).unwrap()).unwrap();
    assert_eq!(applied, MIGRATIONS.len());
}

#[test]
fn the_messaging_tables_are_the_message_cores_own() {
    assert_eq!(MIGRATIONS[0].sql, brewline_messaging::SCHEMA);
    assert_eq!(MIGRATIONS[3].sql, brewline_messaging::OPERATOR_SCHEMA);
}

#[tokio::test]
async fn the_ledger_cannot_be_changed() {
    let shop = Shop::open(&[("cortado", 3)]).await;
    let connection = shop.pool.get().await.unwrap();
    for change in [
        "update stock_ledger set on_hand_delta = 4",
        "delete from stock_ledger",
        "truncate stock_ledger",
    ] {
        let error = connection.batch_execute(change).await.unwrap_err();
        assert!(
            error.to_string().contains("append-only"),
            "{change}: {error}"
        );
    }
}

#[tokio::test]
async fn the_database_itself_refuses_to_oversell() {
    let shop = Shop::open(&[("cortado", 3)]).await;
    let connection = shop.pool.get().await.unwrap();
    for change in [
        "update stock set reserved = 4",
        "update stock set reserved = -1",
        "update stock set on_hand = -1",
    ] {
        let error = connection.batch_execute(change).await.unwrap_err();
        assert_eq!(error.constraint(), Some("stock_never_oversold"), "{change}");
    }
}
