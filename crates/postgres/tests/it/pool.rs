use std::time::Duration;

use brewline_kernel::Timestamp;
use brewline_postgres::{Config, Connection, Error, Instant, Migration, Pool};
use brewline_test_support::{TestDatabase, eventually};
use futures_util::{join, try_join};

const SCHEMA: &[Migration] = &[Migration {
    version: 1,
    name: "cups",
    sql: "create table cup (
              name  text constraint cup_has_one_name primary key,
              size  integer not null constraint cup_holds_something check (size > 0),
              since timestamptz
          )",
}];

const INSERT: &str = "insert into cup (name, size) values ($1, $2)";
const COUNT: &str = "select count(*) from cup";

async fn count(connection: &Connection) -> i64 {
    connection.query_one(COUNT, &[]).await.unwrap().get(0)
}

async fn backend(connection: &Connection) -> i32 {
    connection
        .query_one("select pg_backend_pid()", &[])
        .await
        .unwrap()
        .get(0)
}

#[tokio::test]
async fn a_constraint_is_known_by_its_name() {
    let database = TestDatabase::create(SCHEMA).await;
    let connection = database.pool().get().await.unwrap();
    connection
        .execute(INSERT, &[&"demitasse", &60])
        .await
        .unwrap();
    let twice = connection
        .execute(INSERT, &[&"demitasse", &60])
        .await
        .unwrap_err();
    assert_eq!(twice.constraint(), Some("cup_has_one_name"));
    let empty = connection
        .execute(INSERT, &[&"sieve", &0])
        .await
        .unwrap_err();
    assert_eq!(empty.constraint(), Some("cup_holds_something"));
    assert!(!twice.is_unavailable() && !twice.is_retryable());
    assert_eq!(count(&connection).await, 1, "the connection is still good");
}

#[tokio::test]
async fn a_dropped_transaction_leaves_nothing_behind_in_the_pool() {
    let database = TestDatabase::create(SCHEMA).await;
    let config = Config::from_url(database.url(), 1).unwrap();
    let pool = Pool::new(&config);
    let mut connection = pool.get().await.unwrap();
    let before = backend(&connection).await;
    let tx = connection.transaction().await.unwrap();
    tx.execute(INSERT, &[&"demitasse", &60]).await.unwrap();
    drop(tx);
    drop(connection);

    let connection = pool.get().await.unwrap();
    assert_eq!(
        backend(&connection).await,
        before,
        "the same connection is lent again"
    );
    assert_eq!(count(&connection).await, 0);
    connection
        .execute(INSERT, &[&"beaker", &250])
        .await
        .unwrap();
    let other = database.pool().get().await.unwrap();
    assert_eq!(count(&other).await, 1, "no transaction is open");
}

#[tokio::test]
async fn a_beginning_given_up_leaves_nothing_behind_in_the_pool() {
    let database = TestDatabase::create(SCHEMA).await;
    let config = Config::from_url(database.url(), 1).unwrap();
    let pool = Pool::new(&config);
    for _ in 0..20 {
        let mut connection = pool.get().await.unwrap();
        // `BEGIN` has been sent and its answer has not come: the moment in which callers time out.
        let mut begin = Box::pin(connection.transaction());
        assert!(futures_util::poll!(&mut begin).is_pending());
        drop(begin);
    }
    let connection = pool.get().await.unwrap();
    connection
        .execute(INSERT, &[&"demitasse", &60])
        .await
        .unwrap();
    let other = database.pool().get().await.unwrap();
    assert_eq!(
        count(&other).await,
        1,
        "what is written outside a transaction is durable at once"
    );
}

#[tokio::test]
async fn a_killed_backend_is_evicted() {
    let database = TestDatabase::create(SCHEMA).await;
    let config = Config::from_url(database.url(), 1).unwrap();
    let pool = Pool::new(&config);
    let connection = pool.get().await.unwrap();
    let pid = backend(&connection).await;
    let killer = database.pool().get().await.unwrap();
    killer
        .query("select pg_terminate_backend($1, 5000)", &[&pid])
        .await
        .unwrap();
    let error = connection.query(COUNT, &[]).await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    drop(connection);
    let connection = pool.get().await.unwrap();
    assert_ne!(backend(&connection).await, pid);
}

#[tokio::test]
async fn an_idle_connection_killed_meanwhile_is_not_lent() {
    let database = TestDatabase::create(SCHEMA).await;
    let config = Config::from_url(database.url(), 1).unwrap();
    let pool = Pool::new(&config);
    let pid = backend(&pool.get().await.unwrap()).await;
    let killer = database.pool().get().await.unwrap();
    killer
        .query("select pg_terminate_backend($1, 5000)", &[&pid])
        .await
        .unwrap();
    eventually("the pool lends a new connection", async || {
        let connection = pool.get().await.unwrap();
        connection.query(COUNT, &[]).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn a_read_only_connection_is_evicted() {
    let database = TestDatabase::create(SCHEMA).await;
    let config = Config::from_url(database.url(), 1).unwrap();
    let pool = Pool::new(&config);
    pool.check_writable().await.unwrap();
    let connection = pool.get().await.unwrap();
    connection
        .batch_execute("set default_transaction_read_only = on")
        .await
        .unwrap();
    let error = connection
        .execute(INSERT, &[&"demitasse", &60])
        .await
        .unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    drop(connection);
    let connection = pool.get().await.unwrap();
    connection
        .execute(INSERT, &[&"demitasse", &60])
        .await
        .unwrap();

    connection
        .batch_execute("set default_transaction_read_only = on")
        .await
        .unwrap();
    drop(connection);
    assert!(matches!(pool.check_writable().await, Err(Error::ReadOnly)));
    pool.check_writable().await.unwrap();
}

#[tokio::test]
async fn a_silent_server_costs_a_bounded_wait_and_the_connection() {
    let database = TestDatabase::create(SCHEMA).await;
    let config = Config::from_url(database.url(), 1).unwrap();
    let pool = Pool::new(&config.answer_within(Duration::from_millis(100)));
    let connection = pool.get().await.unwrap();
    let pid = backend(&connection).await;
    let error = connection
        .query("select pg_sleep(20)", &[])
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::Unanswered(_)) && error.is_unavailable(),
        "{error}"
    );
    drop(connection);
    assert_ne!(backend(&pool.get().await.unwrap()).await, pid);
}

#[tokio::test]
async fn waiting_for_a_free_connection_is_bounded() {
    let database = TestDatabase::create(SCHEMA).await;
    let config = Config::from_url(database.url(), 1).unwrap();
    // Connecting and coming back to the pool count as waiting too: long enough for a busy machine.
    let pool = Pool::new(&config.acquire_within(Duration::from_secs(1)));
    let held = pool.get().await.unwrap();
    let error = pool.get().await.unwrap_err();
    assert!(
        matches!(error, Error::Exhausted(_)) && error.is_unavailable(),
        "{error}"
    );
    drop(held);
    pool.get().await.unwrap();
}

#[tokio::test]
async fn nobody_listening_is_unavailable() {
    let config = Config::from_url("postgres://nobody@127.0.0.1:1/none", 1).unwrap();
    let error = Pool::new(&config).get().await.unwrap_err();
    assert!(
        matches!(error, Error::Connect(_)) && error.is_unavailable(),
        "{error}"
    );
}

#[tokio::test]
async fn a_deadlock_is_retryable() {
    let database = TestDatabase::create(SCHEMA).await;
    let seed = database.pool().get().await.unwrap();
    seed.execute(INSERT, &[&"left", &1]).await.unwrap();
    seed.execute(INSERT, &[&"right", &1]).await.unwrap();
    let (mut one, mut two) = (
        database.pool().get().await.unwrap(),
        database.pool().get().await.unwrap(),
    );
    let (one, two) = (
        one.transaction().await.unwrap(),
        two.transaction().await.unwrap(),
    );
    let grow = "update cup set size = size + 1 where name = $1";
    one.execute(grow, &[&"left"]).await.unwrap();
    two.execute(grow, &[&"right"]).await.unwrap();
    let (ours, theirs) = join!(
        async {
            let ours = one.execute(grow, &[&"right"]).await;
            one.rollback().await.unwrap();
            ours
        },
        async {
            let theirs = two.execute(grow, &[&"left"]).await;
            two.rollback().await.unwrap();
            theirs
        }
    );
    let losers: Vec<_> = [ours, theirs].into_iter().filter_map(Result::err).collect();
    assert_eq!(losers.len(), 1);
    assert!(
        losers[0].is_retryable() && !losers[0].is_unavailable(),
        "{}",
        losers[0]
    );
}

#[tokio::test]
async fn statements_polled_together_run_in_order_in_one_transaction() {
    let database = TestDatabase::create(SCHEMA).await;
    let mut connection = database.pool().get().await.unwrap();
    let tx = connection.transaction().await.unwrap();
    let (inserted, row, _) = try_join!(
        tx.execute(INSERT, &[&"demitasse", &60]),
        tx.query_one("select count(*), min(size) from cup", &[]),
        tx.execute("update cup set size = size * 2", &[]),
    )
    .unwrap();
    assert_eq!(
        (inserted, row.get::<_, i64>(0), row.get::<_, i32>(1)),
        (1, 1, 60)
    );
    tx.commit().await.unwrap();
    let size: i32 = connection
        .query_one("select size from cup", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(size, 120);
}

#[tokio::test]
async fn instants_keep_their_microseconds() {
    let database = TestDatabase::create(SCHEMA).await;
    let connection = database.pool().get().await.unwrap();
    for micros in [0, 1, -1, 946_684_800_000_000, 1_795_000_000_123_456] {
        let instant = Instant(Timestamp::from_micros(micros));
        let row = connection
            .query_one(
                "select $1::timestamptz, extract(epoch from $1) * 1000000 = $2::bigint",
                &[&instant, &micros],
            )
            .await
            .unwrap();
        assert_eq!(row.get::<_, Instant>(0), instant);
        assert!(
            row.get::<_, bool>(1),
            "PostgreSQL reads {micros} as another instant"
        );
    }
}

#[tokio::test]
async fn sessions_carry_their_name_and_limits() {
    let database = TestDatabase::create(SCHEMA).await;
    let pool = Pool::new(&database.config().clone().named("order-7"));
    let connection = pool.get().await.unwrap();
    let sql = "select current_setting($1)";
    for (setting, value) in [
        ("application_name", "order-7"),
        ("statement_timeout", "30s"),
        ("lock_timeout", "10s"),
        ("idle_in_transaction_session_timeout", "1min"),
    ] {
        let row = connection.query_one(sql, &[&setting]).await.unwrap();
        assert_eq!(row.get::<_, &str>(0), value, "{setting}");
    }
}
