//! The boards made anew from the log, beside the live ones, compared and switched.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use brewline_kafka::{self as kafka, Reader, Received, TopicPartition, Until};
use brewline_leaderboard_domain::{Calendar, Difference, Fold};
use futures_util::FutureExt as _;
use tokio::sync::watch;
use tokio::time::Instant;

use super::live::{Live, Offsets, State, Still};
use crate::inbound::records::{self, Topics};

/// Differences that are listed.
const LISTED_MAX: usize = 10;
/// So close to the live boards the new ones ask them to stand still.
const CLOSE_RECORDS: i64 = 2_000;
/// How long the last records may take while the live boards stand still.
const LAST_RECORDS: Duration = Duration::from_secs(1);
/// Attempts to come to the same offsets as boards that go on.
const ATTEMPTS_MAX: u32 = 10;
/// A rebuild in which nothing comes for so long is given up.
const SILENCE: Duration = Duration::from_secs(30);
/// Records looked at between two looks at the live boards.
const BATCH_RECORDS_MAX: usize = 1_000;
/// Records read ahead of the live boards.
const AHEAD_MAX: usize = 10_000;

/// Makes boards anew.
#[derive(Clone)]
pub struct Rebuilder {
    /// The live boards.
    pub live: Arc<Live>,
    /// The broker.
    pub kafka: kafka::Config,
    /// What boards are made of.
    pub topics: Topics,
    /// Which date it is where.
    pub calendar: Arc<dyn Calendar + Send + Sync>,
}

/// What to do with boards that differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// Only compare.
    Never,
    /// Switch if they are the same.
    IfSame,
    /// Switch in any case.
    Always,
}

/// How far a rebuild is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Records read.
    pub records: i64,
    /// Records there are.
    pub known: i64,
}

/// How a rebuild ended.
#[derive(Clone, Debug)]
pub struct Rebuilt {
    /// Whether the new boards serve now.
    pub switched: bool,
    /// Rows that differ.
    pub differences: usize,
    /// The first of them; the live boards are `first`.
    pub first: Vec<Difference>,
    /// Rows of the new boards.
    pub rows: usize,
    /// Records read.
    pub records: i64,
    /// From the first record to the comparison.
    pub elapsed: Duration,
    /// How long the live boards stood still.
    pub stopped: Duration,
}

/// Why there are no new boards.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The log cannot be read.
    #[error(transparent)]
    Kafka(#[from] kafka::Error),
    /// The log ended early or fell silent.
    #[error("the log fell silent")]
    Silent,
    /// The live boards are always ahead.
    #[error("the new boards did not catch up with the live ones")]
    Behind,
    /// The process ends.
    #[error("the boards are closing")]
    Closed,
}

/// Boards in the making.
struct Shadow<'a> {
    with: &'a Rebuilder,
    state: State,
    reader: Reader,
    /// Read, and not yet in the live boards.
    ahead: VecDeque<Received>,
}

// === impl Rebuilder ===

impl Rebuilder {
    /// Makes boards anew, compares and maybe switches. Blocks its thread now and then: give it one.
    ///
    /// # Errors
    /// When the log cannot be read or the live boards cannot be caught up with.
    pub async fn run(
        &self,
        switch: Switch,
        progress: &watch::Sender<Progress>,
    ) -> Result<Rebuilt, Error> {
        let began = Instant::now();
        let mut shadow = Shadow::open(self).await?;
        for _ in 0..ATTEMPTS_MAX {
            shadow.catch_up(CLOSE_RECORDS, progress).await?;
            let stopped = Instant::now();
            let still = self.live.stand_still().await.ok_or(Error::Closed)?;
            let last = tokio::time::timeout(LAST_RECORDS, shadow.catch_up(0, progress)).await;
            match last {
                Ok(Ok(())) => return Ok(self.end(shadow, switch, still, (began, stopped))),
                Ok(Err(error)) => return Err(error),
                // Too long to stand still: let them go on, and try from nearer.
                Err(_) => drop(still),
            }
        }
        Err(Error::Behind)
    }

    fn end(
        &self,
        shadow: Shadow<'_>,
        switch: Switch,
        still: Still,
        times: (Instant, Instant),
    ) -> Rebuilt {
        let elapsed = times.0.elapsed();
        let new = shadow.state.fold;
        let (differences, first) = self.compare(&new);
        let rows = new.rows_count();
        let records = i64::try_from(shadow.state.records).unwrap_or(i64::MAX);
        let switches = match switch {
            Switch::Never => false,
            Switch::IfSame => differences == 0,
            Switch::Always => true,
        };
        let switched = switches && still.switch(new);
        let stopped = times.1.elapsed();
        Rebuilt {
            switched,
            differences,
            first,
            rows,
            records,
            elapsed,
            stopped,
        }
    }

    /// Bytes first: they are quick where there is no difference.
    fn compare(&self, new: &Fold) -> (usize, Vec<Difference>) {
        let state = self.live.read();
        if state.fold.encode_shown() == new.encode_shown() {
            return (0, Vec::new());
        }
        let (count, first) = state.fold.differences(new, LISTED_MAX);
        // Something that has no rows, such as a name or a taste.
        (count.max(1), first)
    }
}

impl std::fmt::Debug for Rebuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rebuilder").finish_non_exhaustive()
    }
}

// === impl Shadow ===

impl<'a> Shadow<'a> {
    /// With the catalogue as it is now: sales are dated by the time zones of today.
    async fn open(with: &'a Rebuilder) -> Result<Self, Error> {
        let names = with.topics.names();
        let reader = Reader::open(&with.kafka, &names, Offsets::new(), Until::Stopped).await?;
        let mut shadow = Self {
            with,
            state: State::default(),
            reader,
            ahead: VecDeque::new(),
        };
        let catalogue = [with.topics.catalogue.as_str()];
        let live = with.live.read().offsets.clone();
        let mut first = Reader::open(&with.kafka, &catalogue, Offsets::new(), Until::End).await?;
        while let Some(record) = first.next().await {
            let record = record?;
            if is_before(&record, &live) {
                shadow.apply(&record);
            }
        }
        Ok(shadow)
    }

    /// Reads until at most `distance` records are between here and the live boards; never beyond them.
    async fn catch_up(
        &mut self,
        distance: i64,
        progress: &watch::Sender<Progress>,
    ) -> Result<(), Error> {
        let mut target = self.with.live.read().offsets.clone();
        loop {
            self.apply_ahead(&target);
            let left = self.left(&target);
            if left <= distance {
                target.clone_from(&self.with.live.read().offsets);
                self.apply_ahead(&target);
                if self.left(&target) <= distance {
                    return Ok(());
                }
            }
            for record in self.some().await? {
                if is_before(&record, &target) {
                    self.apply(&record);
                } else {
                    self.ahead.push_back(record);
                }
            }
            if self.ahead.len() > AHEAD_MAX {
                target.clone_from(&self.with.live.read().offsets);
                tokio::task::yield_now().await;
            }
            let records = i64::try_from(self.state.records).unwrap_or(i64::MAX);
            progress.send_replace(Progress {
                records,
                known: records.saturating_add(left),
            });
        }
    }

    /// What has come, at least one record.
    async fn some(&mut self) -> Result<Vec<Received>, Error> {
        if self.ahead.len() > AHEAD_MAX {
            return Ok(Vec::new());
        }
        let next = tokio::time::timeout(SILENCE, self.reader.next()).await;
        let mut some = vec![next.map_err(|_| Error::Silent)?.ok_or(Error::Silent)??];
        while some.len() < BATCH_RECORDS_MAX {
            let Some(more) = self.reader.next().now_or_never() else {
                break;
            };
            some.push(more.ok_or(Error::Silent)??);
        }
        Ok(some)
    }

    fn apply_ahead(&mut self, target: &Offsets) {
        let waiting = std::mem::take(&mut self.ahead);
        for record in waiting {
            if is_before(&record, target) {
                self.apply(&record);
            } else {
                self.ahead.push_back(record);
            }
        }
    }

    fn apply(&mut self, record: &Received) {
        let place = record.topic_partition();
        if self
            .state
            .offsets
            .get(&place)
            .is_some_and(|next| record.offset < *next)
        {
            return;
        }
        match records::read(&self.with.topics, record) {
            Ok(None) => {}
            Ok(Some(incoming)) => {
                self.state.fold.apply(incoming, self.with.calendar.as_ref());
            }
            Err(unreadable) => {
                let unreadable = *unreadable;
                self.state
                    .fold
                    .skip(unreadable.topic, unreadable.subject, unreadable.skipped);
            }
        }
        self.state
            .offsets
            .insert(place, record.offset.saturating_add(1));
        self.state.records += 1;
    }

    /// Offsets between here and there.
    fn left(&self, target: &Offsets) -> i64 {
        let of = |(place, next): (&TopicPartition, &i64)| {
            let here = self.state.offsets.get(place).copied().unwrap_or(0);
            next.saturating_sub(here).max(0)
        };
        target.iter().map(of).fold(0, i64::saturating_add)
    }
}

fn is_before(record: &Received, target: &Offsets) -> bool {
    target
        .get(&record.topic_partition())
        .is_some_and(|next| record.offset < *next)
}
