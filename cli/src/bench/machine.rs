//! What the run cost: processor time and memory by process, rows and log by database.

use std::collections::BTreeMap;
use std::fs;

use brewline_postgres::{Connection, Pool};

use crate::stack::Endpoints;

/// Figures of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Processor time used so far by process, in milliseconds.
    pub cpu_ms: BTreeMap<String, u64>,
    /// Resident memory by process, in KiB.
    pub memory_kib: BTreeMap<String, u64>,
    /// Rows written so far by service.
    pub rows: BTreeMap<String, i64>,
    /// Bytes of write-ahead log so far.
    pub wal_bytes: i64,
}

/// The kernel counts processor time in ticks; Linux has had 100 a second on every platform for
/// user space (`USER_HZ`).
const MS_PER_TICK: u64 = 10;

/// The page size behind `/proc/PID/statm` is 4 KiB on every machine this runs on.
const KIB_PER_PAGE: u64 = 4;

/// Reads all figures now. What cannot be read is left out.
pub async fn sample(endpoints: &Endpoints, databases: &BTreeMap<&'static str, Pool>) -> Sample {
    let mut sample = Sample::default();
    for (name, pids) in processes(endpoints) {
        let sum = |of: fn(u32) -> Option<u64>| pids.iter().filter_map(|pid| of(*pid)).sum();
        sample.cpu_ms.insert(name.clone(), sum(cpu_ms));
        sample.memory_kib.insert(name, sum(memory_kib));
    }
    for (service, pool) in databases {
        let Ok(db) = pool.get().await else { continue };
        if let Ok((rows, wal_bytes)) = written(&db).await {
            sample.rows.insert((*service).to_owned(), rows);
            sample.wal_bytes = wal_bytes;
        }
    }
    sample
}

/// Rows written in this database, and bytes of log written by the whole server.
async fn written(db: &Connection) -> Result<(i64, i64), brewline_postgres::Error> {
    let sql = "select (tup_inserted + tup_updated + tup_deleted)::bigint,
                      (pg_current_wal_lsn() - '0/0')::bigint
               from pg_stat_database where datname = current_database()";
    let row = db.query_one(sql, &[]).await?;
    Ok((row.get(0), row.get(1)))
}

fn processes(endpoints: &Endpoints) -> BTreeMap<String, Vec<u32>> {
    let mut processes: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for (service, found) in &endpoints.services {
        processes.insert(
            service.clone(),
            found.instances.iter().map(|i| i.pid).collect(),
        );
    }
    let children = children();
    if let Some(postgres) = endpoints.pids.postgres {
        let mut all = vec![postgres];
        all.extend(children.get(&postgres).into_iter().flatten());
        processes.insert("postgres".to_owned(), all);
    }
    processes.insert("kafka".to_owned(), endpoints.pids.kafka.clone());
    processes.insert("bench".to_owned(), vec![std::process::id()]);
    processes
}

/// The children of every process. PostgreSQL has one a connection.
fn children() -> BTreeMap<u32, Vec<u32>> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok());
        if let Some((pid, parent)) = pid.and_then(|pid| Some((pid, parent(pid)?))) {
            children.entry(parent).or_default().push(pid);
        }
    }
    children
}

/// The fields of `/proc/PID/stat` after the command, whose name may hold anything; the state is
/// the first of them.
fn stat(pid: u32) -> Option<Vec<u64>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    Some(
        fields
            .split_whitespace()
            .map(|field| field.parse().unwrap_or(0))
            .collect(),
    )
}

fn parent(pid: u32) -> Option<u32> {
    stat(pid)?
        .get(1)
        .and_then(|parent| u32::try_from(*parent).ok())
}

/// Time in user and kernel mode. Of children that have ended it counts nothing: backends that left
/// take their time with them, which pools make rare.
fn cpu_ms(pid: u32) -> Option<u64> {
    let fields = stat(pid)?;
    Some((fields.get(11)? + fields.get(12)?) * MS_PER_TICK)
}

fn memory_kib(pid: u32) -> Option<u64> {
    // Shared pages of PostgreSQL would count once a backend: proportional shares add up.
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok();
    let pss = rollup.as_deref().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("Pss:"))?;
        line.split_whitespace().nth(1)?.parse().ok()
    });
    pss.or_else(|| {
        let statm = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
        let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
        Some(pages * KIB_PER_PAGE)
    })
}
