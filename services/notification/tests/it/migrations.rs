//! The schema.

use brewline_notification::MIGRATIONS;
use brewline_postgres::migrate;
use brewline_test_support::TestDatabase;

use crate::post::Post;

#[tokio::test]
async fn migrations_run_twice() {
    let post = Post::open().await;
    migrate(&post.pool, MIGRATIONS).await.unwrap();
}

#[test]
fn the_messaging_tables_are_the_message_cores_own() {
    assert_eq!(MIGRATIONS[0].sql, brewline_messaging::SCHEMA);
    assert_eq!(MIGRATIONS[2].sql, brewline_messaging::OPERATOR_SCHEMA);
}

#[tokio::test]
async fn only_what_is_needed_is_kept_of_others_data() {
    let post = Post::open().await;
    let columns = "
        select table_name || '.' || column_name from information_schema.columns
         where table_name in ('customer', 'delivery', 'event_log', 'call')
           and column_name in ('name', 'email', 'locale', 'show_name', 'address', 'customer_id', 'body',
                               'subject', 'recipient', 'phone')
         order by 1";
    let columns = post.rows(columns).await;
    let columns: Vec<String> = columns.iter().map(|row| row.get(0)).collect();
    let wanted = [
        "customer.customer_id",
        "customer.email",
        "customer.locale",
        "customer.name",
        "delivery.customer_id",
    ];
    assert_eq!(columns, wanted);
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
    insert into customer (customer_id, name, email, locale)
    select 'c' || n || clock_timestamp(), 'Wilhelmina ' || n, 'wilhelmina' || n || '@example.com', 'en'
      from generate_series(1, 200) n;
    insert into dead_letter (record_offset, version, partition, attempts, id, consumer, topic, subject, event_type,
                             reason, headers, payload)
    select n, 1, 0, 3, gen_random_uuid(), 'c' || clock_timestamp(), 't', 's', 'e', 'r', '{}',
           convert_to('Wilhelmina ' || n, 'utf8')
      from generate_series(1, 200) n;
    insert into parked (version, record_offset, partition, consumer, topic, subject, headers, payload)
    select n, n, 0, 'c' || clock_timestamp(), 't', 's', '{}', convert_to('Wilhelmina ' || n, 'utf8')
      from generate_series(1, 200) n;
    analyze;";

#[tokio::test]
async fn the_planner_keeps_no_samples_of_persons() {
    let named = |m: &brewline_postgres::Migration| m.name == "no_statistics_of_persons";
    let before = MIGRATIONS.iter().position(named).unwrap();
    let database = TestDatabase::create(&MIGRATIONS[..before]).await;
    run(&database, PERSONS).await;
    let wanted = [
        "customer.email",
        "customer.name",
        "dead_letter.payload",
        "parked.payload",
    ];
    assert_eq!(samples_of_a_person(&database).await, wanted);
    migrate(database.pool(), MIGRATIONS).await.unwrap();
    let gone: Vec<String> = Vec::new();
    assert_eq!(samples_of_a_person(&database).await, gone, "old ones");
    run(&database, PERSONS).await;
    assert_eq!(samples_of_a_person(&database).await, gone, "new ones");
}
