use std::time::Duration;

use brewline_postgres::{Listener, Wake};
use brewline_test_support::{TestDatabase, eventually};
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(10);
const NOTIFY: &str = "select pg_notify('outbox', $1)";

async fn next(listener: &mut Listener) -> Wake {
    timeout(LIMIT, listener.next())
        .await
        .expect("no wake-up came")
}

#[tokio::test]
async fn a_notification_wakes_at_commit() {
    let database = TestDatabase::create(&[]).await;
    let mut listener = Listener::new(database.config(), "outbox");
    assert_eq!(next(&mut listener).await, Wake::Reconnected);
    let mut connection = database.pool().get().await.unwrap();
    let tx = connection.transaction().await.unwrap();
    tx.query(NOTIFY, &[&"3"]).await.unwrap();
    let early = timeout(Duration::from_millis(50), listener.next()).await;
    assert!(early.is_err(), "it woke before the commit");
    tx.commit().await.unwrap();
    assert_eq!(next(&mut listener).await, Wake::Notified("3".to_owned()));
}

#[tokio::test]
async fn a_notification_after_the_commit_wakes_too_and_only_then() {
    let database = TestDatabase::create(&[]).await;
    let mut listener = Listener::new(database.config(), "outbox");
    assert_eq!(next(&mut listener).await, Wake::Reconnected);
    let mut connection = database.pool().get().await.unwrap();
    let tx = connection.transaction().await.unwrap();
    tx.notify_after_commit("outbox", "undone");
    tx.rollback().await.unwrap();
    for round in ["1", "2", "3"] {
        let tx = connection.transaction().await.unwrap();
        tx.notify_after_commit("outbox", round);
        tx.notify_after_commit("another", round);
        let early = timeout(Duration::from_millis(50), listener.next()).await;
        assert!(early.is_err(), "it woke before the commit");
        tx.commit().await.unwrap();
        assert_eq!(next(&mut listener).await, Wake::Notified(round.to_owned()));
    }
}

#[tokio::test]
async fn hints_survive_a_terminated_backend() {
    let database = TestDatabase::create(&[]).await;
    let mut listener = Listener::new(&database.config().clone().named("ear"), "outbox");
    assert_eq!(next(&mut listener).await, Wake::Reconnected);
    let mut connection = database.pool().get().await.unwrap();
    let mut announce = async |payload: &str| {
        let tx = connection.transaction().await.unwrap();
        tx.notify_after_commit("outbox", payload);
        tx.commit().await.unwrap();
    };
    announce("before").await;
    assert_eq!(
        next(&mut listener).await,
        Wake::Notified("before".to_owned())
    );
    let killer = database.pool().get().await.unwrap();
    let kill = "select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity
                where query like '%unnest($1::text[], $2::text[]) as hint%'
                  and pid <> pg_backend_pid() and datname = current_database()";
    let killed: i64 = killer.query_one(kill, &[]).await.unwrap().get(0);
    assert_eq!(killed, 1);
    // The first may be lost with the connection; the next is not.
    eventually("a hint comes through again", async || {
        announce("after").await;
        let heard = timeout(Duration::from_millis(100), listener.next()).await;
        heard.is_ok_and(|wake| wake == Wake::Notified("after".to_owned()))
    })
    .await;
}

#[tokio::test]
async fn listening_survives_a_terminated_backend() {
    let database = TestDatabase::create(&[]).await;
    let mut listener = Listener::new(&database.config().clone().named("the-listener"), "outbox");
    assert_eq!(next(&mut listener).await, Wake::Reconnected);
    let connection = database.pool().get().await.unwrap();
    for payload in ["1", "2"] {
        let kill = "select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity
                    where application_name = 'the-listener' and datname = current_database()";
        let killed: i64 = connection.query_one(kill, &[]).await.unwrap().get(0);
        assert_eq!(killed, 1);
        assert_eq!(next(&mut listener).await, Wake::Reconnected);
        connection.query(NOTIFY, &[&payload]).await.unwrap();
        assert_eq!(
            next(&mut listener).await,
            Wake::Notified(payload.to_owned())
        );
    }
}

#[tokio::test]
async fn a_wait_given_up_loses_no_notification() {
    let database = TestDatabase::create(&[]).await;
    let mut listener = Listener::new(database.config(), "outbox");
    let connection = database.pool().get().await.unwrap();
    // Even connecting goes on where it stopped.
    let mut wakes = Vec::new();
    for _ in 0..10_000 {
        if let Ok(wake) = timeout(Duration::from_micros(200), listener.next()).await {
            wakes.push(wake);
            break;
        }
    }
    assert_eq!(wakes, [Wake::Reconnected]);
    connection.query(NOTIFY, &[&"late"]).await.unwrap();
    assert_eq!(next(&mut listener).await, Wake::Notified("late".to_owned()));
}
