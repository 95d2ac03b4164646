use brewline_postgres::{Error, Migration, Pool, migrate};
use brewline_test_support::TestDatabase;
use futures_util::future::try_join_all;

const ONE: Migration = Migration {
    version: 1,
    name: "one",
    // Slow enough for replicas to meet, and it fails when it runs twice.
    sql: "create table one (id integer); select pg_sleep(0.2)",
};
const TWO: Migration = Migration {
    version: 2,
    name: "two",
    sql: "insert into one values (2)",
};

async fn rows(pool: &Pool, sql: &'static str) -> i64 {
    pool.get()
        .await
        .unwrap()
        .query_one(sql, &[])
        .await
        .unwrap()
        .get(0)
}

#[tokio::test]
async fn replicas_that_start_together_migrate_once() {
    let database = TestDatabase::create(&[]).await;
    let pools: Vec<Pool> = (0..4).map(|_| Pool::new(database.config())).collect();
    try_join_all(pools.iter().map(|pool| migrate(pool, &[ONE, TWO])))
        .await
        .unwrap();
    assert_eq!(rows(&pools[0], "select count(*) from one").await, 1);
    assert_eq!(
        rows(&pools[0], "select count(*) from schema_migration").await,
        2
    );
}

#[tokio::test]
async fn migrating_twice_does_nothing_the_second_time() {
    let database = TestDatabase::create(&[]).await;
    migrate(database.pool(), &[ONE]).await.unwrap();
    migrate(database.pool(), &[ONE, TWO]).await.unwrap();
    migrate(database.pool(), &[ONE, TWO]).await.unwrap();
    assert_eq!(rows(database.pool(), "select count(*) from one").await, 1);
}

#[tokio::test]
async fn an_applied_migration_that_was_changed_is_refused() {
    let database = TestDatabase::create(&[ONE]).await;
    let changed = Migration {
        sql: "create table other (id integer)",
        ..ONE
    };
    let refused = migrate(database.pool(), &[changed, TWO]).await.unwrap_err();
    assert!(
        matches!(refused, Error::MigrationChanged { version: 1, .. }),
        "{refused}"
    );
    assert_eq!(
        rows(database.pool(), "select count(*) from one").await,
        0,
        "nothing else ran"
    );
}

#[tokio::test]
async fn a_failing_migration_leaves_the_schema_as_it_was() {
    let database = TestDatabase::create(&[]).await;
    let broken = Migration {
        version: 2,
        name: "broken",
        sql: "create table two (id nonsense)",
    };
    let failed = migrate(database.pool(), &[ONE, broken]).await.unwrap_err();
    assert_eq!(failed.code(), Some("42704"), "{failed}");
    let sql = "select count(*) from pg_tables where tablename = 'one'";
    assert_eq!(rows(database.pool(), sql).await, 0);
}

#[tokio::test]
async fn an_older_program_lives_with_a_newer_schema() {
    let database = TestDatabase::create(&[ONE, TWO]).await;
    migrate(database.pool(), &[ONE]).await.unwrap();
}
