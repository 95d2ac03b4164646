//! The schema.

use brewline_order::MIGRATIONS;
use brewline_postgres::{Config, Pool, migrate};
use brewline_test_support::TestDatabase;
use futures_util::future::join_all;

#[tokio::test]
async fn four_replicas_that_start_at_once_migrate_once() {
    let database = TestDatabase::create(&[]).await;
    let config = Config::from_url(database.url(), 1).unwrap();
    let pools: Vec<Pool> = (0..4).map(|_| Pool::new(&config)).collect();
    for done in join_all(pools.iter().map(|pool| migrate(pool, MIGRATIONS))).await {
        done.unwrap();
    }
    // And once more, as every start does.
    migrate(database.pool(), MIGRATIONS).await.unwrap();
    let connection = database.pool().get().await.unwrap();
    let applied = connection
        .query("select version from schema_migration", &[])
        .await
        .unwrap();
    assert_eq!(applied.len(), MIGRATIONS.len());
}

#[test]
fn the_messaging_tables_are_a_copy() {
    assert!(
        MIGRATIONS[0].sql == brewline_messaging::SCHEMA,
        "copy it anew from crates/messaging"
    );
}
