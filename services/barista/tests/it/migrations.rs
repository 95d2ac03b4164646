//! The schema.

use brewline_barista::MIGRATIONS;
use brewline_postgres::migrate;
use brewline_test_support::TestDatabase;

use crate::bar::Bar;

#[tokio::test]
async fn migrations_run_twice() {
    let bar = Bar::open().await;
    bar.order().await;
    migrate(&bar.pool, MIGRATIONS).await.unwrap();
    assert_eq!(bar.number("select count(*) from ticket").await, 3);
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
}

#[test]
fn the_messaging_tables_are_the_message_cores_own() {
    assert_eq!(MIGRATIONS[0].sql, brewline_messaging::SCHEMA);
    assert_eq!(MIGRATIONS[2].sql, brewline_messaging::OPERATOR_SCHEMA);
}

#[tokio::test]
async fn the_database_itself_refuses_a_ticket_that_was_done_and_never_begun() {
    let bar = Bar::open().await;
    bar.order().await;
    let connection = bar.pool.get().await.unwrap();
    let change = "update ticket set status = 'done', ended_at = now()";
    let error = connection.batch_execute(change).await.unwrap_err();
    assert_eq!(error.constraint(), Some("ticket_done_was_started"));
}
