//! Keeps the tables small: partitions of the outbox are made ahead and dropped, the inbox forgets
//! orders that ended long ago.

use std::convert::Infallible;
use std::time::Duration;

use brewline_postgres as postgres;
use brewline_postgres::Pool;

use crate::{ConsumerSpec, TopicKind};

const EVERY: Duration = Duration::from_secs(3_600);
/// Partitions made ahead: a weekend without maintenance still finds one.
const DAYS_AHEAD: i32 = 3;
/// How long published events stay in the table.
const DAYS_KEPT: i32 = 7;
/// Rows deleted in one statement, so that no lock is held for long.
const PRUNE_ROWS_MAX: i64 = 10_000;

const MAKE: &str = "select outbox_make_partitions($1)";
const DROP: &str = "select outbox_drop_partitions($1)";

// Only subjects that end are forgotten, and those are UUIDs of version 7: the inbox's judge can tell
// from such a subject alone that its row may be missing.
const PRUNE: &str = "
    delete from inbox where ctid = any (array(
        select ctid from inbox
        where consumer = $1 and topic = any ($2::text[])
          and updated_at < now() - $3::bigint * interval '1 microsecond'
          and subject ~ '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$'
        limit $4
    ))";

/// Makes and drops partitions of the outbox, for ever.
pub(crate) async fn keep_outbox(pool: &Pool) -> Infallible {
    loop {
        if let Err(error) = outbox(pool).await {
            tracing::warn!(%error, "outbox partitions were not maintained; trying again later");
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Forgets subjects that ended, for ever.
pub(crate) async fn keep_inbox(pool: &Pool, spec: ConsumerSpec, memory: Duration) -> Infallible {
    loop {
        if let Err(error) = prune_inbox(pool, spec, memory).await {
            tracing::warn!(%error, consumer = spec.name, "the inbox was not pruned; trying again later");
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn outbox(pool: &Pool) -> Result<(), postgres::Error> {
    let connection = pool.get().await?;
    connection.query(MAKE, &[&DAYS_AHEAD]).await?;
    let dropped: i32 = connection
        .query_one(DROP, &[&DAYS_KEPT])
        .await?
        .try_get(0)?;
    if dropped > 0 {
        tracing::info!(
            outbox.partitions = dropped,
            "dropped published partitions of the outbox"
        );
    }
    Ok(())
}

/// Deletes the inbox rows of subjects that ended longer than `memory` ago; says how many.
///
/// # Errors
/// When the database does not answer.
pub async fn prune_inbox(
    pool: &Pool,
    spec: ConsumerSpec,
    memory: Duration,
) -> Result<u64, postgres::Error> {
    // Whole states never end, and their subjects are as few as customers and products.
    let ending = spec
        .topics
        .iter()
        .filter(|topic| topic.kind == TopicKind::Events);
    let topics: Vec<&str> = ending.map(|topic| topic.name).collect();
    let memory = i64::try_from(memory.as_micros()).unwrap_or(i64::MAX);
    let mut pruned = 0_u64;
    loop {
        let connection = pool.get().await?;
        let params: [&(dyn postgres::ToSql + Sync); 4] =
            [&spec.name, &topics, &memory, &PRUNE_ROWS_MAX];
        let deleted = connection.execute(PRUNE, &params).await?;
        pruned = pruned.saturating_add(deleted);
        if deleted < PRUNE_ROWS_MAX.unsigned_abs() {
            return Ok(pruned);
        }
    }
}
