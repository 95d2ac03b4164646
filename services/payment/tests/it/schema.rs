use brewline_payment::outbound::store::MIGRATIONS;
use brewline_postgres::migrate;

use crate::shop::{Shop, an_order};

#[test]
fn the_messaging_tables_are_a_copy() {
    let copy = MIGRATIONS.iter().find(|it| it.version == 1).unwrap();
    assert!(
        copy.sql == brewline_messaging::SCHEMA,
        "copy crates/messaging/schema/messaging.sql"
    );
}

#[tokio::test]
async fn migrations_run_again_change_nothing() {
    let shop = Shop::open().await;
    migrate(shop.db.pool(), MIGRATIONS).await.unwrap();
}

#[tokio::test]
async fn the_ledger_takes_no_change() {
    let (shop, order) = (Shop::open().await, an_order());
    shop.authorise(order).await;
    let connection = shop.db.pool().get().await.unwrap();
    for change in [
        "update ledger_posting set held_minor = 0, pending_minor = 0",
        "delete from ledger_posting",
        "truncate ledger_posting",
    ] {
        let refused = connection.batch_execute(change).await.unwrap_err();
        assert!(refused.to_string().contains("append-only"), "{refused}");
    }
}

#[tokio::test]
async fn a_sold_order_is_few_rows() {
    let (shop, order) = (Shop::open().await, an_order());
    shop.authorise(order).await;
    shop.capture(order).await;
    let connection = shop.db.pool().get().await.unwrap();
    let sql = "select (select count(*) from ledger_posting) + (select count(*) from outbox)
                    + (select sum(revision)::bigint from payment)";
    let written: i64 = connection.query_one(sql, &[]).await.unwrap().get(0);
    assert_eq!(written, 8, "rows written for one sold order");
}
