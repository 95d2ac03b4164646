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

/// Columns of which the planner has kept samples that name a person, however the text is written.
async fn samples_of_a_person(database: &TestDatabase) -> Vec<String> {
    let connection = database.pool().get().await.unwrap();
    let hex: String = "Wilhelmina".bytes().map(|b| format!("{b:02x}")).collect();
    let sql = "select distinct tablename || '.' || attname from pg_stats s
                where s::text ilike '%wilhelmina%' or s::text like '%' || $1 || '%' order by 1";
    let rows = connection.query(sql, &[&hex]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

async fn run(database: &TestDatabase, sql: &'static str) {
    let connection = database.pool().get().await.unwrap();
    connection.batch_execute(sql).await.unwrap();
}

/// What is written of persons, for as many that the planner would keep samples; then they are taken.
const PERSONS: &str = "
    insert into customer (customer_id, name, email, locale, show_name, version)
    select 'c' || n || clock_timestamp(), 'Wilhelmina ' || n, 'wilhelmina' || n || '@example.com', 'en', false, 1
      from generate_series(1, 200) n;
    insert into idempotency_key (principal, route, key, fingerprint, answer)
    select 'p', 'r', n || clock_timestamp()::text, '', convert_to('Wilhelmina ' || n, 'utf8')
      from generate_series(1, 200) n;
    insert into outbox (position, version, occurred_at, recorded_on, slot, id, correlation_id, topic,
                        aggregate_type, aggregate_id, type, payload)
    select nextval('outbox_position_0'), 1, now(), (now() at time zone 'utc')::date + n % 7, 0, gen_random_uuid(),
           gen_random_uuid(), 't', 'customer', 'c', 't', convert_to('Wilhelmina ' || n, 'utf8')
      from generate_series(1, 700) n;
    analyze;";

#[tokio::test]
async fn the_planner_keeps_no_samples_of_persons() {
    let named = |m: &brewline_postgres::Migration| m.name == "no_statistics_of_persons";
    let before = MIGRATIONS.iter().position(named).unwrap();
    let database = TestDatabase::create(&MIGRATIONS[..before]).await;
    run(&database, PERSONS).await;
    let kept = samples_of_a_person(&database).await;
    for column in ["customer.name", "customer.email", "idempotency_key.answer"] {
        assert!(
            kept.iter().any(|it| it == column),
            "the search finds: {kept:?}"
        );
    }
    assert!(kept.iter().any(|it| it.starts_with("outbox_")), "{kept:?}");
    migrate(database.pool(), MIGRATIONS).await.unwrap();
    let gone: Vec<String> = Vec::new();
    assert_eq!(samples_of_a_person(&database).await, gone, "old ones");
    run(
        &database,
        "delete from outbox_default; select outbox_make_partitions(9);",
    )
    .await;
    run(&database, PERSONS).await;
    assert_eq!(samples_of_a_person(&database).await, gone, "new ones");
}
