//! Whether a consumer has applied what a caller has seen elsewhere: reads after writes.

use std::time::Duration;

use brewline_postgres as postgres;
use brewline_postgres::{Pool, ToSql};
use tokio::time::Instant;

use crate::Monitor;

/// A version of a subject that a caller knows to exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The topic that tells it.
    pub topic: String,
    /// The subject.
    pub subject: String,
    /// The version.
    pub version: i64,
}

/// How it stands with the tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// All are applied.
    Yes,
    /// One is not, and its subject is parked: waiting does not help.
    Parked,
    /// One is not yet.
    Behind,
}

/// A waiter looks again by itself this often: the commit may be another replica's.
const REREAD: Duration = Duration::from_millis(100);

const READ: &str = "
    select coalesce(bool_and(coalesce(i.version, 0) >= t.version), true),
           coalesce(bool_or(coalesce(i.version, 0) < t.version and k.dead_letter_id is not null), false)
    from unnest($2::text[], $3::text[], $4::bigint[]) as t(topic, subject, version)
    left join inbox i on i.consumer = $1 and i.topic = t.topic and i.subject = t.subject
    left join parked_key k on k.consumer = $1 and k.topic = t.topic and k.subject = t.subject";

/// Waits until `consumer` has applied all `tokens`, at most for `wait`; a parked subject answers at
/// once. The waiter registers before it reads, so a commit in between wakes it.
///
/// # Errors
/// When the database does not answer.
pub async fn wait(
    pool: &Pool,
    monitor: &Monitor,
    consumer: &str,
    tokens: &[Token],
    wait: Duration,
) -> Result<Held, postgres::Error> {
    let deadline = Instant::now() + wait;
    let mut commits = monitor.commits();
    loop {
        commits.mark_unchanged();
        let held = read(pool, consumer, tokens).await?;
        if held != Held::Behind || Instant::now() >= deadline {
            return Ok(held);
        }
        tokio::select! {
            _ = commits.changed() => {}
            () = tokio::time::sleep_until(deadline.min(Instant::now() + REREAD)) => {}
        }
    }
}

async fn read(pool: &Pool, consumer: &str, tokens: &[Token]) -> Result<Held, postgres::Error> {
    let topics: Vec<&str> = tokens.iter().map(|token| token.topic.as_str()).collect();
    let subjects: Vec<&str> = tokens.iter().map(|token| token.subject.as_str()).collect();
    let versions: Vec<i64> = tokens.iter().map(|token| token.version).collect();
    let params: [&(dyn ToSql + Sync); 4] = [&consumer, &topics, &subjects, &versions];
    let row = pool.get().await?.query_one(READ, &params).await?;
    Ok(match (row.try_get(0)?, row.try_get(1)?) {
        (true, _) => Held::Yes,
        (false, true) => Held::Parked,
        (false, false) => Held::Behind,
    })
}
