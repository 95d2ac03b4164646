use brewline_messaging::SCHEMA;
use brewline_postgres::{Migration, migrate};
use brewline_test_support::TestDatabase;

#[tokio::test]
async fn the_schema_is_applied_once_by_replicas_that_start_together() {
    let database = TestDatabase::create(&[]).await;
    let migrations = [Migration {
        version: 1,
        name: "messaging",
        sql: SCHEMA,
    }];
    let pool = database.pool();
    let together = tokio::join!(migrate(pool, &migrations), migrate(pool, &migrations));
    together.0.unwrap();
    together.1.unwrap();
    migrate(pool, &migrations).await.unwrap();
    let connection = pool.get().await.unwrap();
    let slots = connection
        .query_one("select count(*) from relay_slot", &[])
        .await
        .unwrap();
    assert_eq!(slots.get::<_, i64>(0), 1);
}

#[tokio::test]
async fn partitions_are_dropped_only_when_old_and_published() {
    let migrations = [Migration {
        version: 1,
        name: "messaging",
        sql: SCHEMA,
    }];
    let database = TestDatabase::create(&migrations).await;
    let connection = database.pool().get().await.unwrap();
    connection
        .batch_execute(
            "create table outbox_20200101 partition of outbox for values from ('2020-01-01') to ('2020-01-02');
             create table outbox_20200102 partition of outbox for values from ('2020-01-02') to ('2020-01-03');
             insert into outbox (position, version, occurred_at, recorded_on, slot, id, correlation_id, topic,
                                 aggregate_type, aggregate_id, type)
             select n, 1, now(), date '2020-01-01' + (n - 1)::integer, 0, gen_random_uuid(), gen_random_uuid(),
                    't', 'a', 's', 'x'
             from generate_series(1, 2) as n;
             update relay_slot set watermark = 1;",
        )
        .await
        .unwrap();
    let dropped = connection
        .query_one("select outbox_drop_partitions(7)", &[])
        .await
        .unwrap();
    assert_eq!(dropped.get::<_, i32>(0), 1);
    let left = connection
        .query_one("select position from outbox", &[])
        .await
        .unwrap();
    assert_eq!(left.get::<_, i64>(0), 2);
}
