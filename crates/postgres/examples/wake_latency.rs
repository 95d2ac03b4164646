//! How soon after a commit does a relay know, and what does telling it cost the writers?
//!
//! Three ways to tell it: `NOTIFY` inside the writing transaction, `NOTIFY` of its own after the
//! commit (`Transaction::notify_after_commit`), and the WAL, decoded by a replication slot. For each,
//! with 1, 4 and 16 writers, this prints commits a second and the time from sending `COMMIT` to being
//! woken. The ways take turns, three rounds of them, and the median round counts: the machine's own
//! moods hit all alike.
//!
//! ```sh
//! BREWLINE_POSTGRES_URL=postgres://postgres@127.0.0.1:5432/postgres \
//! BREWLINE_RECVLOGICAL=/usr/lib/postgresql/15/bin/pg_recvlogical \
//! cargo run --example wake_latency -p brewline-postgres
//! ```
//!
//! The server needs `wal_level = logical`, and `fsync = on` for figures that mean anything.
#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![allow(
    clippy::disallowed_methods,
    reason = "a benchmark plays several processes at once"
)]

use std::collections::HashMap;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use brewline_config::{Environment, Variable};
use brewline_postgres::{Config, Error, Listener, Pool, Wake};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::task::JoinSet;

const URL: Variable = Variable {
    name: "BREWLINE_POSTGRES_URL",
    default: None,
    help: "A superuser's URL of a database to play in.",
};
const RECVLOGICAL: Variable = Variable {
    name: "BREWLINE_RECVLOGICAL",
    default: Some("/usr/lib/postgresql/15/bin/pg_recvlogical"),
    help: "PostgreSQL's tool that follows a replication slot. The default is Debian 12's.",
};

const ROUNDS: usize = 3;
const PHASE: Duration = Duration::from_secs(4);
const SLOT: &str = "wake_latency";
const INSERT: &str = "insert into wake_latency (id) values ($1)";
const NOTIFY: &str = "select pg_notify('wake_latency', $1)";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Way {
    Nothing,
    NotifyInside,
    NotifyAfter,
    Wal,
}

const WAYS: [(Way, &str); 4] = [
    (Way::Nothing, "nobody is told"),
    (Way::NotifyInside, "NOTIFY in the transaction"),
    (Way::NotifyAfter, "NOTIFY after the commit"),
    (Way::Wal, "WAL (test_decoding)"),
];

/// What one phase measured.
#[derive(Debug, Clone, Copy)]
struct Figures {
    commits_per_second: u128,
    commit: [Duration; 2],
    wake: Option<[Duration; 2]>,
}

/// When each commit was sent and when somebody was told of it.
#[derive(Debug, Default)]
struct Times {
    sent: Mutex<HashMap<i64, Instant>>,
    waits: Mutex<Vec<Duration>>,
    commits: Mutex<Vec<Duration>>,
}

type Shared = Arc<Times>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut env = Environment::from_process();
    let (url, tool) = (env.read::<String>(&URL), env.read::<String>(&RECVLOGICAL));
    let (url, tool) = env.finish(url.zip(tool))?;
    let pool = Pool::new(&Config::from_url(&url, 18)?);
    prepare(&pool).await?;
    for writers in [1, 4, 16] {
        println!(
            "\n{writers} writers, {ROUNDS} rounds of {} s",
            PHASE.as_secs()
        );
        let mut rounds: HashMap<Way, Vec<Figures>> = HashMap::new();
        for _ in 0..ROUNDS {
            for (way, _) in WAYS {
                let figures = phase(&pool, &url, &tool, way, writers).await?;
                rounds.entry(way).or_default().push(figures);
            }
        }
        for (way, name) in WAYS {
            print(name, rounds.remove(&way).unwrap_or_default());
        }
    }
    clean(&pool).await?;
    Ok(())
}

async fn prepare(pool: &Pool) -> Result<(), Error> {
    clean(pool).await?;
    let connection = pool.get().await?;
    connection
        .batch_execute("create table wake_latency (id bigint primary key)")
        .await?;
    let slot = "select pg_create_logical_replication_slot($1, 'test_decoding')";
    connection.query(slot, &[&SLOT]).await?;
    Ok(())
}

async fn clean(pool: &Pool) -> Result<(), Error> {
    let connection = pool.get().await?;
    connection
        .batch_execute("drop table if exists wake_latency")
        .await?;
    let drop = "select pg_drop_replication_slot(slot_name) from pg_replication_slots
                where slot_name = $1";
    connection.query(drop, &[&SLOT]).await?;
    Ok(())
}

/// Writers and whoever is told, for a few seconds.
async fn phase(
    pool: &Pool,
    url: &str,
    tool: &str,
    way: Way,
    writers: usize,
) -> Result<Figures, Box<dyn std::error::Error>> {
    pool.get()
        .await?
        .batch_execute("truncate wake_latency")
        .await?;
    // What earlier phases left in the WAL is nobody's wake-up.
    let advance = "select pg_replication_slot_advance($1, pg_current_wal_lsn())";
    pool.get().await?.query(advance, &[&SLOT]).await?;
    let times = Shared::default();
    let mut told = JoinSet::new();
    match way {
        Way::Nothing => {}
        Way::NotifyInside | Way::NotifyAfter => listen(&mut told, url, &times).await?,
        Way::Wal => {
            told.spawn(follow(url.to_owned(), tool.to_owned(), Arc::clone(&times)));
            // The tool connects in well under a second.
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
    let began = Instant::now();
    let mut running = JoinSet::new();
    for writer in 0..writers {
        running.spawn(write(
            pool.clone(),
            Arc::clone(&times),
            way,
            i64::try_from(writer)?,
        ));
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    let elapsed = began.elapsed();
    tokio::time::sleep(Duration::from_millis(300)).await;
    told.shutdown().await;
    Ok(figures(&times, elapsed))
}

async fn write(pool: Pool, times: Shared, way: Way, writer: i64) -> Result<(), Error> {
    let began = Instant::now();
    let mut connection = pool.get().await?;
    let mut number = 0;
    while began.elapsed() < PHASE {
        number += 1;
        let id = writer * 1_000_000 + number;
        let tx = connection.transaction().await?;
        tx.execute(INSERT, &[&id]).await?;
        if way == Way::NotifyInside {
            tx.query(NOTIFY, &[&id.to_string()]).await?;
        }
        if way == Way::NotifyAfter {
            tx.notify_after_commit("wake_latency", id.to_string());
        }
        let sent = Instant::now();
        locked(&times.sent).insert(id, sent);
        tx.commit().await?;
        locked(&times.commits).push(sent.elapsed());
    }
    Ok(())
}

/// Listens until told to stop.
async fn listen(told: &mut JoinSet<()>, url: &str, times: &Shared) -> Result<(), Error> {
    let mut listener = Listener::new(&Config::from_url(url, 1)?, "wake_latency");
    listener.next().await;
    let times = Arc::clone(times);
    told.spawn(async move {
        loop {
            if let Wake::Notified(payload) = listener.next().await {
                payload.parse().into_iter().for_each(|id| heard(&times, id));
            }
        }
    });
    Ok(())
}

/// Follows the slot as PostgreSQL's own tool prints it.
async fn follow(url: String, tool: String, times: Shared) {
    let child = Command::new(tool)
        .args([
            "--dbname",
            &url,
            "--slot",
            SLOT,
            "--start",
            "--file",
            "-",
            "--no-loop",
        ])
        .args(["--status-interval", "1", "--fsync-interval", "0"])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let Ok(mut child) = child else { return };
    let Some(output) = child.stdout.take() else {
        return;
    };
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if let Some((_, id)) = line.split_once("INSERT: id[bigint]:") {
            id.trim()
                .parse()
                .into_iter()
                .for_each(|id| heard(&times, id));
        }
    }
}

fn heard(times: &Times, id: i64) {
    if let Some(sent) = locked(&times.sent).remove(&id) {
        locked(&times.waits).push(sent.elapsed());
    }
}

fn figures(times: &Times, elapsed: Duration) -> Figures {
    let mut commits = std::mem::take(&mut *locked(&times.commits));
    let mut waits = std::mem::take(&mut *locked(&times.waits));
    let millis = elapsed.as_millis().max(1);
    let count = u128::try_from(commits.len()).unwrap_or(0);
    Figures {
        commits_per_second: count * 1_000 / millis,
        commit: percentiles(&mut commits).unwrap_or_default(),
        wake: percentiles(&mut waits),
    }
}

fn percentiles(values: &mut [Duration]) -> Option<[Duration; 2]> {
    values.sort_unstable();
    let at = |share: usize| {
        values
            .get(values.len().saturating_sub(1) * share / 100)
            .copied()
    };
    at(50).zip(at(99)).map(|(half, most)| [half, most])
}

fn print(name: &str, mut rounds: Vec<Figures>) {
    rounds.sort_by_key(|figures| figures.commits_per_second);
    let Some(Figures {
        commits_per_second,
        commit,
        wake,
    }) = rounds.get(rounds.len() / 2)
    else {
        return;
    };
    let [half, most] = commit.map(micros);
    print!("{name:28} {commits_per_second:6} commits/s   commit p50 {half:6} us p99 {most:7} us");
    match wake.map(|wake| wake.map(micros)) {
        Some([half, most]) => println!("   woken p50 {half:6} us p99 {most:7} us"),
        None => println!(),
    }
}

const fn micros(duration: Duration) -> u128 {
    duration.as_micros()
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
