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
    pub wal_bytes: Option<i64>,
}

/// What is shown as one process.
#[derive(Debug)]
struct Process {
    name: String,
    /// Those that last as long as it does.
    pids: Vec<u32>,
    /// Those that come and go while it runs.
    passing: Vec<u32>,
}

/// The kernel counts processor time in ticks; Linux has had 100 a second on every platform for
/// user space (`USER_HZ`).
const MS_PER_TICK: u64 = 10;

/// The page size behind `/proc/PID/statm` is 4 KiB on every machine this runs on.
const KIB_PER_PAGE: u64 = 4;

/// Reads all figures now. What cannot be read is left out.
pub async fn sample(endpoints: &Endpoints, databases: &BTreeMap<&'static str, Pool>) -> Sample {
    let mut sample = Sample::default();
    for process in processes(endpoints) {
        if let Some(sum) = process.sum(cpu_ms) {
            sample.cpu_ms.insert(process.name.clone(), sum);
        }
        if let Some(sum) = process.sum(memory_kib) {
            sample.memory_kib.insert(process.name, sum);
        }
    }
    for (service, pool) in databases {
        let Ok(db) = pool.get().await else { continue };
        if let Ok((rows, wal_bytes)) = written(&db).await {
            sample.rows.insert((*service).to_owned(), rows);
            sample.wal_bytes = Some(wal_bytes);
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

// === impl Process ===

impl Process {
    fn of(name: &str, pids: Vec<u32>) -> Self {
        Self {
            name: name.to_owned(),
            pids,
            passing: vec![],
        }
    }

    /// None as soon as one of its processes cannot be read: one that was started again under the run
    /// has another number, and a sum over the rest would pass for the whole.
    fn sum(&self, of: fn(u32) -> Option<u64>) -> Option<u64> {
        let lasting: u64 = self.pids.iter().map(|pid| of(*pid)).sum::<Option<u64>>()?;
        let passing: u64 = self.passing.iter().filter_map(|pid| of(*pid)).sum();
        (!self.pids.is_empty()).then_some(lasting + passing)
    }
}

fn processes(endpoints: &Endpoints) -> Vec<Process> {
    let services = endpoints.services.iter();
    let mut processes: Vec<Process> = services
        .map(|(name, found)| Process::of(name, found.instances.iter().map(|i| i.pid).collect()))
        .collect();
    if let Some(first) = endpoints.pids.postgres {
        let backends = children().remove(&first).unwrap_or_default();
        processes.push(Process {
            passing: backends,
            ..Process::of("postgres", vec![first])
        });
    }
    processes.push(Process::of("kafka", endpoints.pids.kafka.clone()));
    processes.push(Process::of("bench", vec![std::process::id()]));
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

/// Time in user and kernel mode, with that of children that have ended: a service that starts again
/// takes its connections' backends with it, and their time stays with PostgreSQL's first process.
fn cpu_ms(pid: u32) -> Option<u64> {
    let fields = stat(pid)?;
    Some(fields.get(11..15)?.iter().sum::<u64>() * MS_PER_TICK)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_is_gone_has_no_figures_instead_of_zeros() {
        let own = std::process::id();
        let gone = u32::MAX;
        let sum = |pids, passing| {
            let process = Process {
                passing,
                ..Process::of("p", pids)
            };
            process.sum(memory_kib).is_some()
        };
        assert!(sum(vec![own], vec![]));
        assert!(sum(vec![own], vec![gone]), "a backend may leave");
        assert!(!sum(vec![own, gone], vec![]));
        assert!(!sum(vec![], vec![]));
    }
}
