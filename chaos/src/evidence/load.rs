use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;
use std::time::Duration;

use brewline_kernel::Timestamp;
use brewline_postgres::{Connection, Error, Pool};
use uuid::Uuid;

use super::{Evidence, LogRecord, Messaging, Orders, StockBooks, log, messaging, orders};
use super::{payments, processor};
use crate::history::History;

/// Where the evidence is.
#[derive(Debug)]
pub struct Sources {
    /// A connection pool a service: `order`, `inventory`, `payment`.
    pub databases: BTreeMap<&'static str, Pool>,
    /// The broker, as a user that may read every topic.
    pub kafka: brewline_kafka::Config,
    /// The card processor, `http://host:port`.
    pub processor: String,
    /// Where clients wrote down what they asked for and were told.
    pub journal: Option<PathBuf>,
    /// Orders placed before this instant are left out.
    pub since: Timestamp,
    /// Whether healing was promised: a parked saga is then a failure.
    pub healing_promised: bool,
}

/// Outbox rows are kept for 7 days; what is older cannot be compared with the log any more.
const RETENTION: Duration = Duration::from_secs(6 * 24 * 3_600);

/// Reads everything. What cannot be read is noted in the evidence; this itself does not fail.
pub async fn collect(sources: Sources) -> Evidence {
    let now = read(&sources, "order", messaging::clock)
        .await
        .unwrap_or(Timestamp::EPOCH);
    let since = capped(sources.since, now);
    let before = read(&sources, "order", async |db| orders::marks(db, since).await).await;
    let orders = read(&sources, "order", async |db| Orders::read(db, since).await).await;
    let stock = read(&sources, "inventory", StockBooks::read).await;
    let operations = read(&sources, "payment", payments::operations).await;
    let postings = read(&sources, "payment", payments::postings).await;
    let processor = ledger(&sources.processor).await;
    let mut tables = BTreeMap::new();
    for service in sources.databases.keys().copied() {
        tables.insert(service, read(&sources, service, Messaging::read).await);
    }
    let log = log::read(&sources.kafka).await;
    if let Ok(log) = &log {
        second_look(&sources, &mut tables, log).await;
    }
    let after = read(&sources, "order", async |db| orders::marks(db, since).await).await;
    // The journal is read after the tables: a request is written down before it is sent, so the
    // journal then knows of every order in them.
    let history = sources.journal.as_deref().map(|path| {
        History::read(path).map_err(|error| format!("journal {}: {error}", path.display()))
    });
    let mut slots_after = BTreeMap::new();
    for service in sources.databases.keys().copied() {
        slots_after.insert(service, read(&sources, service, messaging::slots).await);
    }
    Evidence {
        now,
        since,
        before,
        after,
        orders,
        stock,
        operations,
        postings,
        processor,
        messaging: tables,
        slots_after,
        log,
        history,
        healing_promised: sources.healing_promised,
    }
}

/// `since`, but not before what is still kept.
fn capped(since: Timestamp, now: Timestamp) -> Timestamp {
    let kept = i64::try_from(RETENTION.as_micros()).unwrap_or(i64::MAX);
    since.max(Timestamp::from_micros(now.as_micros().saturating_sub(kept)))
}

/// Reads from one service's database, all in one snapshot.
async fn read<T, F>(sources: &Sources, service: &str, reader: F) -> Result<T, String>
where
    F: AsyncFnOnce(&Connection) -> Result<T, Error>,
{
    let pool = sources
        .databases
        .get(service)
        .ok_or_else(|| format!("no database of {service}"))?;
    let snapshot = async {
        let db = pool.get().await?;
        db.batch_execute("begin isolation level repeatable read read only")
            .await?;
        let found = reader(&db).await;
        // The read is over either way; a failed one has ended the transaction already.
        let ended = db.batch_execute("rollback").await;
        let found = found?;
        ended?;
        Ok::<T, Error>(found)
    };
    snapshot
        .await
        .map_err(|error| format!("database of {service}: {error}"))
}

/// The tables were read before the log, so the log may hold events younger than the tables. Their
/// rows are looked for once more, before anything is called missing.
async fn second_look(
    sources: &Sources,
    tables: &mut BTreeMap<&'static str, Result<Messaging, String>>,
    log: &[LogRecord],
) {
    for (service, read_before) in tables {
        let Ok(read_before) = read_before else {
            continue;
        };
        let own: BTreeSet<_> = log::topics()
            .into_iter()
            .filter(|(_, owner)| owner == service)
            .map(|(topic, _)| topic)
            .collect();
        let known: HashSet<Uuid> = read_before.outbox.iter().map(|row| row.id).collect();
        let missing: Vec<Uuid> = log
            .iter()
            .filter(|record| own.contains(record.topic) && !known.contains(&record.id))
            .map(|record| record.id)
            .collect();
        if missing.is_empty() {
            continue;
        }
        let late = read(sources, service, async |db| {
            messaging::rows_of(db, &missing).await
        })
        .await;
        read_before.outbox.extend(late.unwrap_or_default());
    }
}

async fn ledger(processor: &str) -> Result<Vec<super::LedgerEntry>, String> {
    let timeout = Duration::from_secs(60);
    let mut client = crate::workload::Client::new(processor, timeout);
    let answer = client
        .send(hyper::Method::GET, "/ledger", None, String::new())
        .await;
    let answer = answer.map_err(|error| format!("card processor: {error}"))?;
    if !answer.status.is_success() {
        return Err(format!("card processor: {}", answer.status));
    }
    let text = std::str::from_utf8(&answer.body).map_err(|error| format!("ledger: {error}"))?;
    processor::parse(text)
}
