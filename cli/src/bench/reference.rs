//! What this machine can write, for comparison.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use brewline_postgres::{Config, Error, Pool};

/// How many connections write at once.
const WRITERS: usize = 4;
/// Rows in one batch.
const ROWS: i32 = 64;
/// For how long.
const DURATION: Duration = Duration::from_secs(3);

/// What this machine can write: batches of 64 narrow rows, one statement and one commit each, from
/// four connections. Says commits a second; rows a second are 64 times that. A figure of `bench` means
/// something beside it only.
///
/// # Errors
/// When the database refuses.
pub async fn batched_commits_per_second(url: &str) -> anyhow::Result<u64> {
    let pool = Pool::new(&Config::from_url(url, WRITERS).context("read the database's address")?);
    let db = pool.get().await?;
    db.batch_execute(
        "drop table if exists bench_reference;
         create table bench_reference (id uuid primary key, at timestamptz, body bytea)",
    )
    .await?;
    let started = Instant::now();
    let writers = (0..WRITERS).map(|_| write(&pool, started));
    let commits = futures_util::future::try_join_all(writers).await;
    let elapsed = started.elapsed();
    db.batch_execute("drop table bench_reference").await?;
    let commits: u64 = commits?.into_iter().sum();
    let micros = u64::try_from(elapsed.as_micros())
        .unwrap_or(u64::MAX)
        .max(1);
    Ok(commits * 1_000_000 / micros)
}

async fn write(pool: &Pool, started: Instant) -> Result<u64, Error> {
    let db = pool.get().await?;
    let mut commits = 0;
    while started.elapsed() < DURATION {
        db.execute(
            "insert into bench_reference
             select gen_random_uuid(), now(), decode(repeat('ab', 100), 'hex') from generate_series(1, $1::int)",
            &[&ROWS],
        )
        .await?;
        commits += 1;
    }
    Ok(commits)
}
