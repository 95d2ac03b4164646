//! The one loop that changes the boards: records in, batch by batch, from all partitions of three topics.
//!
//! It belongs to no group: each replica reads everything and answers alone. Where it stands is in memory
//! beside the boards, and in the snapshot that was taken of both at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use brewline_kafka::{self as kafka, Reader, Received, TopicPartition, Until};
use brewline_leaderboard_domain::{Applied, Calendar, Topic};
use brewline_server::{Gate, Heartbeat};
use futures_util::FutureExt as _;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::live::{Hold, Live, State};
use super::spans;
use crate::inbound::records::{self, Topics, Unreadable};
use crate::signals;

/// The most records applied at once: readers wait for no longer than some milliseconds.
const BATCH_RECORDS_MAX: usize = 512;
/// Sales that wait for their stores; with more, orders are not read until the catalogue has come.
const WAITING_SALES_MAX: usize = 10_000;
/// How often a quiet loop shows that it lives.
const BEAT: Duration = Duration::from_secs(1);
/// How long to wait for a broker that is away before it is tried again.
const AGAIN: Duration = Duration::from_millis(500);
/// The longest somebody may have the boards stand still.
const STILL_MAX: Duration = Duration::from_secs(10);

/// What the loop works with.
pub struct Applier {
    /// The boards.
    pub live: Arc<Live>,
    /// The broker.
    pub kafka: kafka::Config,
    /// What is read.
    pub topics: Topics,
    /// Which date it is where.
    pub calendar: Arc<dyn Calendar + Send + Sync>,
    /// Requests to stand still.
    pub requests: mpsc::Receiver<Hold>,
    /// Shows that it lives.
    pub heartbeat: Heartbeat,
    /// Closed with the reason when the boards cannot go on.
    pub gate: Gate,
    /// Ends it.
    pub shutdown: CancellationToken,
}

/// Readers of what is read. Orders apart, so that they can be left waiting.
struct Readers {
    orders: Reader,
    facts: Reader,
}

/// Why a round of reading ended.
enum Ended {
    Shutdown,
    /// The broker's client gave up: begin anew where the boards stand.
    Reader,
    /// Too much cannot be read.
    Unreadable,
}

/// What a turn of the loop found.
enum Turn {
    Records(Vec<Received>),
    Hold(Hold),
    Nothing,
    End(Ended),
}

// === impl Applier ===

impl Applier {
    /// Reads and applies until shutdown.
    pub async fn run(mut self) {
        while !self.shutdown.is_cancelled() {
            match self.open().await {
                Ok(readers) => match self.follow(readers).await {
                    Ended::Shutdown => return,
                    Ended::Reader => {
                        tracing::warn!("reading broke off; beginning again where the boards stand")
                    }
                    Ended::Unreadable => return self.stand_still_for_good().await,
                },
                Err(error) => tracing::warn!(%error, "the broker does not answer; trying again"),
            }
            self.heartbeat.beat();
            tokio::select! {
                () = self.shutdown.cancelled() => {}
                () = tokio::time::sleep(AGAIN) => {}
            }
        }
    }

    /// The catalogue first, to its end: so that orders find their stores.
    async fn open(&mut self) -> Result<Readers, kafka::Error> {
        let offsets = self.live.read().offsets.clone();
        let catalogue = [self.topics.catalogue.as_str()];
        let mut reader = Reader::open(&self.kafka, &catalogue, offsets, Until::End).await?;
        while let Some(record) = reader.next().await {
            self.apply(&[record?]);
        }
        let offsets = self.live.read().offsets.clone();
        let (orders, facts) = (
            [self.topics.orders.as_str()],
            [catalogue[0], self.topics.customers.as_str()],
        );
        Ok(Readers {
            orders: Reader::open(&self.kafka, &orders, offsets.clone(), Until::Stopped).await?,
            facts: Reader::open(&self.kafka, &facts, offsets, Until::Stopped).await?,
        })
    }

    async fn follow(&mut self, mut readers: Readers) -> Ended {
        loop {
            let crowded = self.live.read().fold.waiting() >= WAITING_SALES_MAX;
            self.heartbeat.beat();
            match self.turn(&mut readers, crowded).await {
                Turn::Records(records) if self.apply(&records) => {}
                Turn::Records(_) => return Ended::Unreadable,
                Turn::Hold(hold) => self.hold(hold).await,
                Turn::Nothing => {}
                Turn::End(ended) => return ended,
            }
        }
    }

    async fn turn(&mut self, readers: &mut Readers, crowded: bool) -> Turn {
        let first = tokio::select! {
            biased;
            () = self.shutdown.cancelled() => return Turn::End(Ended::Shutdown),
            Some(hold) = self.requests.recv() => return Turn::Hold(hold),
            record = readers.facts.next() => record,
            record = readers.orders.next(), if !crowded => record,
            () = tokio::time::sleep(BEAT) => return Turn::Nothing,
        };
        let mut records = Vec::new();
        let mut next = first;
        loop {
            match next {
                Some(Ok(record)) => records.push(record),
                Some(Err(error)) => {
                    tracing::warn!(%error, "the log cannot be read");
                    return Turn::End(Ended::Reader);
                }
                None => return Turn::End(Ended::Reader),
            }
            if records.len() >= BATCH_RECORDS_MAX {
                return Turn::Records(records);
            }
            // Whatever is there already travels along.
            let facts = readers.facts.next().now_or_never();
            let orders = || {
                (!crowded)
                    .then(|| readers.orders.next().now_or_never())
                    .flatten()
            };
            match facts.or_else(orders) {
                Some(more) => next = more,
                None => return Turn::Records(records),
            }
        }
    }

    /// Applies a batch. False when too much of it cannot be read.
    fn apply(&self, records: &[Received]) -> bool {
        let _spans = spans::begin(records);
        let read = |record| (record, records::read(&self.topics, record));
        let read: Vec<_> = records.iter().map(read).collect();
        let mut outcomes: BTreeMap<u8, (Applied, u64)> = BTreeMap::new();
        let mut state = self.live.write();
        let mut readable = true;
        for (record, content) in read {
            if !is_next(&state, record) {
                continue;
            }
            match content {
                Ok(None) => {}
                Ok(Some(incoming)) => {
                    let applied = state.fold.apply(incoming, self.calendar.as_ref());
                    state.names_gone += u64::from(applied == Applied::NameGone);
                    let count = outcomes
                        .entry(outcome_number(applied))
                        .or_insert((applied, 0));
                    count.1 += 1;
                }
                Err(unreadable) => readable &= skip(&mut state, *unreadable),
            }
            if !readable {
                break;
            }
            state
                .offsets
                .insert(record.topic_partition(), record.offset.saturating_add(1));
            state.records += 1;
        }
        drop(state);
        for (applied, times) in outcomes.into_values() {
            signals::applied(applied, times);
        }
        self.live.changed();
        readable
    }

    /// Stands still, bounded, for somebody who compares or switches.
    async fn hold(&self, hold: Hold) {
        if hold.stands.send(()).is_err() {
            return;
        }
        // An error: whoever asked has gone, and nothing is to be switched.
        if let Ok(Ok(Some(fold))) = tokio::time::timeout(STILL_MAX, hold.go_on).await {
            let mut state = self.live.write();
            state.fold = *fold;
            // The snapshot that there is holds the boards from before: another one is due, or a
            // restart on a quiet log would bring those back.
            state.records += 1;
            drop(state);
            self.live.changed();
        }
    }

    /// Boards that left out more and more would be wrong and quiet about it.
    async fn stand_still_for_good(&mut self) {
        let reason = "too many records cannot be read; see the dead letters";
        tracing::error!("boards stand still: {reason}");
        self.gate.close(reason);
        while !self.shutdown.is_cancelled() {
            self.heartbeat.beat();
            tokio::select! {
                () = self.shutdown.cancelled() => {}
                // Boards that stand still can be compared and made anew as well as others. Whoever switched
                // them has made them whole: a restart reads on from there.
                Some(hold) = self.requests.recv() => self.hold(hold).await,
                () = tokio::time::sleep(BEAT) => {}
            }
        }
    }
}

impl std::fmt::Debug for Applier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Applier").finish_non_exhaustive()
    }
}

/// A reader that begins anew may hand over what was read before.
fn is_next(state: &State, record: &Received) -> bool {
    let place: TopicPartition = record.topic_partition();
    state
        .offsets
        .get(&place)
        .is_none_or(|next| record.offset >= *next)
}

/// Leaves a record out, loudly. False when there are too many.
pub(super) fn skip(state: &mut State, unreadable: Unreadable) -> bool {
    let Unreadable {
        topic,
        subject,
        skipped,
    } = unreadable;
    tracing::error!(
        topic = topic_name(topic),
        partition = skipped.partition,
        offset = skipped.offset,
        event.kind = skipped.event_type,
        reason = skipped.reason,
        "a record cannot be read; its subject is left out of the boards"
    );
    state.fold.skip(topic, subject, skipped)
}

const fn topic_name(topic: Topic) -> &'static str {
    match topic {
        Topic::Orders => "orders",
        Topic::Catalogue => "catalogue",
        Topic::Customers => "customers",
    }
}

const fn outcome_number(applied: Applied) -> u8 {
    match applied {
        Applied::Counted => 0,
        Applied::TakenBack => 1,
        Applied::Noted => 2,
        Applied::NameGone => 3,
        Applied::Duplicate => 4,
        Applied::TooOld => 5,
        Applied::Skipped => 6,
    }
}
