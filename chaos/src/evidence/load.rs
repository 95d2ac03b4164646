use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;
use std::time::Duration;

use brewline_kernel::Timestamp;
use brewline_postgres::{Connection, Error};
use uuid::Uuid;

use super::log::{self, Log, Topics};
use super::logfiles::LogFiles;
use super::{
    DeadRecord, Evidence, LogRecord, Messaging, Movement, Notified, Orders, Sources, StockBooks,
    Unreadable, born_ms,
};
use super::{barista, boards, erasure, messaging, notified, orders, outside, payments, processor};
use crate::history::History;

/// Outbox rows are kept for 7 days; what is older cannot be compared with the log any more.
const RETENTION: Duration = Duration::from_secs(6 * 24 * 3_600);

/// Reads evidence again and again, and keeps what only ever grows: the log and the stock's ledger. What
/// was read of them is not read again, so a change of old entries shows to a new reader alone.
#[derive(Debug, Default)]
pub struct EvidenceReader {
    log: Log,
    log_files: LogFiles,
    ledger: Vec<Movement>,
}

/// Reads everything, once.
pub async fn collect(sources: Sources) -> Evidence {
    EvidenceReader::default().read(sources).await
}

fn journal(path: &Path) -> Result<History, String> {
    History::read(path).map_err(|error| format!("journal {}: {error}", path.display()))
}

// === impl EvidenceReader ===

impl EvidenceReader {
    /// Reads everything that the cut leaves in. What cannot be read is noted in the evidence; this
    /// itself does not fail.
    pub async fn read(&mut self, mut sources: Sources) -> Evidence {
        sources.find_away().await;
        let now = read(&sources, "order", messaging::clock)
            .await
            .unwrap_or(Timestamp::EPOCH);
        let since = capped(sources.since, now);
        let a_bit_before = earlier(since, sources.margin);
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
        let processor = ledger(&sources).await;
        let keepers = keepers(&sources).await;
        let tables = tables(&sources, &keepers, a_bit_before).await;
        // What follows from an event is read after the inbox that says that the event was applied.
        let tickets = tickets(&sources, &keepers, a_bit_before).await;
        let (notified, mailbox, hooks) = told(&sources, &keepers, a_bit_before).await;
        let erasures = erasures(&sources).await;
        // The log is read last of all, so that it holds whatever the others have read of it.
        let boards = match sources.leaderboard.as_deref() {
            Some(grpc) => Some(boards::dumped(grpc).await),
            None => None,
        };
        let (messaging, log) = self.messages(&sources, since, tables).await;
        let (log, unreadable, dead) = apart(log);
        let folder = sources.log_files.as_deref();
        let addresses_logged = folder.map(|folder| self.log_files.read_on(folder));
        let after = read(&sources, "order", async |db| orders::marks(db, since).await).await;
        // The journal is read after the tables: a request is written down before it is sent, so the
        // journal then knows of every order in them.
        let history = sources.journal.as_deref().map(journal);
        let slots_after = slots(&sources, keepers).await;
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
            unreadable,
            dead,
            addresses_logged,
            history,
            tickets,
            notified,
            mailbox,
            hooks,
            boards,
            erasures,
            expected_dead_letters: sources.expected_dead_letters,
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
        mut tables: Tables,
    ) -> (Tables, Result<Topics, String>) {
        let read = self.log.read_on(&sources.kafka).await.cloned();
        if let Ok(read) = &read {
            second_look(sources, since, &mut tables, &read.records).await;
        }
        (tables, read)
    }
}

type Apart = (
    Result<Vec<LogRecord>, String>,
    Result<Vec<Unreadable>, String>,
    Result<Vec<DeadRecord>, String>,
);

fn apart(read: Result<Topics, String>) -> Apart {
    match read {
        Ok(read) => (Ok(read.records), Ok(read.unreadable), Ok(read.dead)),
        Err(why) => (Err(why.clone()), Err(why.clone()), Err(why)),
    }
}

type Tables = BTreeMap<&'static str, Result<Messaging, String>>;

/// The services that keep message tables. Of an older stack some are not there yet, and one folds the
/// log without any; a database that does not answer counts as one that keeps them.
async fn keepers(sources: &Sources) -> Vec<&'static str> {
    let mut keepers = Vec::new();
    for service in sources.databases.keys().copied() {
        if has(sources, service, "consumer_position").await != Ok(false) {
            keepers.push(service);
        }
    }
    keepers
}

/// Where the relays of these services stand.
async fn slots(
    sources: &Sources,
    keepers: Vec<&'static str>,
) -> BTreeMap<&'static str, Result<Vec<messaging::Slot>, String>> {
    let mut all = BTreeMap::new();
    for service in keepers {
        all.insert(service, read(sources, service, messaging::slots).await);
    }
    all
}

/// Whether a service's database has this table.
async fn has(sources: &Sources, service: &str, table: &str) -> Result<bool, String> {
    read(sources, service, async |db| {
        let sql = "select to_regclass($1::text) is not null";
        Ok(db.query_one(sql, &[&table]).await?.get(0))
    })
    .await
}

async fn tables(sources: &Sources, keepers: &[&'static str], changed_since: Timestamp) -> Tables {
    let mut tables = Tables::new();
    for service in keepers {
        let found = read(sources, service, async |db| {
            Messaging::read(db, changed_since).await
        })
        .await;
        tables.insert(service, found);
    }
    tables
}

async fn tickets(
    sources: &Sources,
    keepers: &[&'static str],
    since: Timestamp,
) -> Option<Result<barista::Tickets, String>> {
    if !keepers.contains(&"barista") {
        return None;
    }
    Some(
        read(sources, "barista", async |db| {
            barista::tickets(db, since).await
        })
        .await,
    )
}

type Read<T> = Option<Result<T, String>>;

/// The mailbox is read after the table, so that it holds whatever the table calls sent; deliveries
/// that came into being between are looked up once more.
async fn told(
    sources: &Sources,
    keepers: &[&'static str],
    since: Timestamp,
) -> (
    Read<Notified>,
    Read<Vec<super::Mail>>,
    Read<Vec<super::HookCall>>,
) {
    if !keepers.contains(&"notification") {
        return (None, None, None);
    }
    let mut notified = read(sources, "notification", async |db| {
        Notified::read(db, since).await
    })
    .await;
    let mailbox = kept(sources, "/mailbox")
        .await
        .and_then(|text| outside::mails(&text));
    if let (Ok(known), Ok(mailbox)) = (&mut notified, &mailbox) {
        let orders = known.untold(mailbox);
        let late = read(sources, "notification", async |db| {
            notified::deliveries_of(db, &orders).await
        })
        .await;
        match late {
            Ok(late) => known.add(late),
            Err(why) => notified = Err(why),
        }
    }
    let hooks = hooks(sources, notified.as_ref().ok()).await;
    (Some(notified), Some(mailbox), Some(hooks))
}

/// The calls of every receiver that an endpoint names.
async fn hooks(
    sources: &Sources,
    notified: Option<&Notified>,
) -> Result<Vec<super::HookCall>, String> {
    let urls = notified
        .iter()
        .flat_map(|notified| notified.endpoints.values());
    let names: BTreeSet<&str> = urls
        .filter_map(|url| url.rsplit_once("/hook/"))
        .map(|(_, name)| name)
        .collect();
    let mut calls = Vec::new();
    for name in names {
        let text = kept(sources, &format!("/hook/{name}")).await?;
        calls.extend(outside::calls(name, &text)?);
    }
    Ok(calls)
}

async fn erasures(sources: &Sources) -> Read<erasure::Erasures> {
    match has(sources, "order", "erasure").await {
        Ok(false) => None,
        Ok(true) => Some(read(sources, "order", async |db| erasure::read(db).await).await),
        Err(why) => Some(Err(why)),
    }
}

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
    if let Some(why) = sources.away.get(service) {
        return Err(why.clone());
    }
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

async fn ledger(sources: &Sources) -> Result<Vec<super::LedgerEntry>, String> {
    processor::parse(&kept(sources, "/ledger").await?)
}

/// What the outside world wrote down.
async fn kept(sources: &Sources, path: &str) -> Result<String, String> {
    let timeout = Duration::from_secs(60);
    let mut client = crate::workload::Client::new(&sources.processor, timeout);
    let answer = client.send(hyper::Method::GET, path, None, String::new());
    let answer = answer
        .await
        .map_err(|error| format!("sandbox{path}: {error}"))?;
    if !answer.status.is_success() {
        return Err(format!("sandbox{path}: {}", answer.status));
    }
    String::from_utf8(answer.body.into()).map_err(|error| format!("sandbox{path}: {error}"))
}
