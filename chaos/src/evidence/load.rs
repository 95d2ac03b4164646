use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;
use std::time::Duration;

use brewline_kernel::Timestamp;
use brewline_postgres::{Connection, Error, Pool};
use uuid::Uuid;

use super::log::{self, Log};
use super::{Evidence, LogRecord, Messaging, Movement, Orders, StockBooks, born_ms};
use super::{messaging, orders, payments, processor};
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

/// What changed shortly before the cut is read as well: clocks differ, and a row is written a moment
/// before or after the event that it belongs to.
const MARGIN: Duration = Duration::from_secs(60);

/// Reads evidence again and again, and keeps what only ever grows: the log and the stock's ledger. What
/// was read of them is not read again, so a change of old entries shows to a new reader alone.
#[derive(Debug, Default)]
pub struct EvidenceReader {
    log: Log,
    ledger: Vec<Movement>,
}

/// Reads everything, once.
pub async fn collect(sources: Sources) -> Evidence {
    EvidenceReader::default().read(sources).await
}

// === impl EvidenceReader ===

impl EvidenceReader {
    /// Reads everything that the cut leaves in. What cannot be read is noted in the evidence; this
    /// itself does not fail.
    pub async fn read(&mut self, sources: Sources) -> Evidence {
        let now = read(&sources, "order", messaging::clock)
            .await
            .unwrap_or(Timestamp::EPOCH);
        let since = capped(sources.since, now);
        let a_bit_before = earlier(since, MARGIN);
        let before = read(&sources, "order", async |db| orders::marks(db, since).await).await;
        let orders = read(&sources, "order", async |db| {
            Orders::read(db, since, a_bit_before).await
        })
        .await;
        let stock = self.stock(&sources, a_bit_before).await;
        let operations = read(&sources, "payment", async |db| {
            payments::operations(db, a_bit_before).await
        })
        .await;
        let postings = read(&sources, "payment", async |db| {
            payments::postings(db, a_bit_before).await
        })
        .await;
        let processor = ledger(&sources.processor).await;
        let (messaging, log) = self.messages(&sources, since, a_bit_before).await;
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
            messaging,
            slots_after,
            log,
            history,
            healing_promised: sources.healing_promised,
        }
    }

    async fn stock(
        &mut self,
        sources: &Sources,
        changed_since: Timestamp,
    ) -> Result<StockBooks, String> {
        let known = std::mem::take(&mut self.ledger);
        let kept = known.clone();
        let books = read(sources, "inventory", async |db| {
            StockBooks::read(db, known, changed_since).await
        })
        .await;
        self.ledger = books.as_ref().map_or(kept, |books| books.ledger.clone());
        books
    }

    async fn messages(
        &mut self,
        sources: &Sources,
        since: Timestamp,
        changed_since: Timestamp,
    ) -> (Tables, Result<Vec<LogRecord>, String>) {
        let mut tables = BTreeMap::new();
        for service in sources.databases.keys().copied() {
            let found = read(sources, service, async |db| {
                Messaging::read(db, changed_since).await
            })
            .await;
            tables.insert(service, found);
        }
        let log = self.log.read_on(&sources.kafka).await.map(<[_]>::to_vec);
        if let Ok(log) = &log {
            second_look(sources, since, &mut tables, log).await;
        }
        (tables, log)
    }
}

type Tables = BTreeMap<&'static str, Result<Messaging, String>>;

/// `since`, but not before what is still kept.
fn capped(since: Timestamp, now: Timestamp) -> Timestamp {
    since.max(earlier(now, RETENTION))
}

fn earlier(instant: Timestamp, by: Duration) -> Timestamp {
    let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(instant.as_micros().saturating_sub(micros))
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
async fn second_look(sources: &Sources, since: Timestamp, tables: &mut Tables, log: &[LogRecord]) {
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
            .filter(|record| born_ms(record.id) >= since.as_millis())
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
