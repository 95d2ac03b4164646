//! The course of a rebuild: read, compare, switch.

use std::time::Duration;

use brewline_failpoint as failpoint;
use brewline_kafka as kafka;
use brewline_postgres as postgres;
use brewline_postgres::{Connection, Pool, Transaction};
use brewline_proto::operator::v1 as pb;
use tokio::sync::mpsc;
use tokio::time::Instant;
use uuid::Uuid;

use super::compare::{Differences, compare};
use super::shadow::{Applied, Shadow, Stop};
use super::source::{Offsets, Source};
use super::{Live, View};
use crate::operator::action::{self, Detail};
use crate::{Failure, OUTAGE_BACKOFF};

/// The live view stands still for so long at most, to be compared or switched.
const STOP_MAX: Duration = Duration::from_secs(1);
/// How often it is looked whether everything committed is in the log, while writers wait.
const PUBLISHED_CHECK: Duration = Duration::from_millis(5);
/// So often it is tried to catch up within that time.
const STOPS_MAX: u32 = 30;
/// The log is waited for so long: positions are behind its end, so records are there.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// So many outages in a row end a rebuild: it can be begun anew at any time.
const OUTAGES_MAX: u32 = 10;

/// What is asked.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub(super) actor: String,
    pub(super) accept_differences: bool,
    pub(super) dry_run: bool,
}

/// Why the view was not rebuilt.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("{0}")]
    Refused(String),
    #[error("the log could not be read: {0}")]
    Kafka(#[from] kafka::Error),
    #[error(transparent)]
    Postgres(#[from] postgres::Error),
    #[error(transparent)]
    Applying(#[from] Failure),
}

/// A rebuild at work.
pub(super) struct Rebuild {
    shadow: Shadow,
    source: Source,
    admin: kafka::Admin,
    told: mpsc::Sender<pb::RebuildViewResponse>,
    began: Option<Instant>,
    records: i64,
    events: i64,
    elapsed: Duration,
    stopped: Duration,
}

// === impl Rebuild ===

impl Rebuild {
    /// Makes an empty shadow and begins to read.
    pub(super) async fn begin(
        view: &View,
        pool: &Pool,
        config: &kafka::Config,
        told: mpsc::Sender<pb::RebuildViewResponse>,
    ) -> Result<Self, Error> {
        let shadow = Shadow::make(view, pool).await?;
        let topics: Vec<&str> = view
            .consumer
            .topics
            .iter()
            .map(|topic| topic.name)
            .collect();
        let source = Source::open(config, &topics).await?;
        Ok(Self {
            shadow,
            source,
            admin: kafka::Admin::new(config)?,
            told,
            began: None,
            records: 0,
            events: 0,
            elapsed: Duration::ZERO,
            stopped: Duration::ZERO,
        })
    }

    /// Reads, compares and, when nothing stands against it, switches.
    pub(super) async fn run(mut self, wish: &Wish) -> Result<pb::RebuildResult, Error> {
        let ended = self.whole_course(wish).await;
        if !matches!(&ended, Ok(result) if result.switched) {
            // Left behind it would only take room: the next rebuild drops it.
            self.shadow.drop().await.ok();
        }
        ended
    }

    async fn whole_course(&mut self, wish: &Wish) -> Result<pb::RebuildResult, Error> {
        let target = self.live_positions().await?;
        self.read_to(&target, None).await?;
        self.elapsed = self.began.map_or(Duration::ZERO, |began| began.elapsed());
        failpoint::hit("operator.rebuilt-before-compared");
        let differences = self.compared().await?;
        let may_switch = differences.count == 0 || wish.accept_differences;
        let action = if may_switch && !wish.dry_run {
            Some(self.switch(wish, &differences).await?)
        } else {
            None
        };
        Ok(self.result(differences, action))
    }

    /// Where the live view is about now.
    async fn live_positions(&self) -> Result<Offsets, Error> {
        if self.shadow.view.live == Live::Written {
            return Ok(self.admin.end_offsets(&self.shadow.topics()).await?);
        }
        let mut connection = self.shadow.pool.get().await?;
        let tx = connection.transaction().await?;
        let positions = self.shadow.stop_live(&tx).await?;
        tx.rollback().await?;
        Ok(positions)
    }

    /// Applies everything before `target`; false when that took longer than until `deadline`.
    async fn read_to(
        &mut self,
        target: &Offsets,
        deadline: Option<Instant>,
    ) -> Result<bool, Error> {
        while !self.source.has_reached(target) {
            let until = deadline.unwrap_or_else(|| Instant::now() + SILENCE_MAX);
            let records = self.source.next(target, until).await?;
            if records.is_empty() {
                return match deadline {
                    Some(_) => Ok(false),
                    None => Err(Error::Refused("the log ends before the view".to_owned())),
                };
            }
            self.began.get_or_insert_with(Instant::now);
            self.records = self.records.saturating_add(count(&records));
            self.apply(records).await?;
            self.tell();
        }
        Ok(true)
    }

    async fn apply(&mut self, records: Vec<kafka::Received>) -> Result<(), Error> {
        let mut outages = 0;
        loop {
            match self.shadow.apply(records.clone()).await {
                Ok(Applied::Events(events)) => {
                    self.events = self.events.saturating_add(events);
                    return Ok(());
                }
                Ok(Applied::TakenOver) => {
                    return Err(Error::Refused("another rebuild of it has begun".to_owned()));
                }
                Ok(Applied::Poison(why)) => return Err(Error::Refused(why)),
                Err(failure) if outages < OUTAGES_MAX && failure.is_passing() => {
                    let wait = OUTAGE_BACKOFF.delay(outages, brewline_kernel::system::random());
                    outages = outages.saturating_add(1);
                    tokio::time::sleep(wait).await;
                }
                Err(failure) => return Err(failure.into()),
            }
        }
    }

    /// Both stand at the same positions for a moment; what they hold then is compared.
    async fn compared(&mut self) -> Result<Differences, Error> {
        for _ in 0..STOPS_MAX {
            let mut locking = self.shadow.pool.get().await?;
            let Some((live, began)) = self.stop(&mut locking, Stop::ToCompare).await? else {
                continue;
            };
            let mut comparing = self.shadow.pool.get().await?;
            let tx = comparing.transaction().await?;
            tx.batch_execute("set transaction isolation level repeatable read")
                .await?;
            // The first query takes the snapshot.
            let held_back = self.shadow.held_back(&tx).await?;
            live.rollback().await?;
            self.stopped = self.stopped.max(began.elapsed());
            if held_back > 0 {
                return Err(Error::Refused(format!(
                    "{held_back} keys of {} are parked or wait for a missing version: redrive or drop their \
                     dead letters first, or what is parked would have its effect twice",
                    self.shadow.view.consumer.name
                )));
            }
            let differences = compare(&tx, &self.shadow).await?;
            tx.rollback().await?;
            return Ok(differences);
        }
        Err(too_busy())
    }

    /// Stops the live view and brings the shadow to where it stands; none when that took too long.
    async fn stop<'c>(
        &mut self,
        connection: &'c mut Connection,
        why: Stop,
    ) -> Result<Option<(Transaction<'c>, Instant)>, Error> {
        // Nearly there before anything is stopped.
        let near = self.live_positions().await?;
        self.read_to(&near, None).await?;
        let tx = connection.transaction().await?;
        // A lock that is not had in time is one more reason to let the live view go on.
        tx.batch_execute(&format!(
            "set local lock_timeout = {}",
            STOP_MAX.as_millis()
        ))
        .await?;
        let rest = match self.at_rest(&tx, why).await {
            Err(Error::Postgres(error)) if error.is_retryable() => None,
            rest => rest?,
        };
        if let Some((target, began)) = rest
            && self.read_to(&target, Some(began + STOP_MAX)).await?
        {
            return Ok(Some((tx, began)));
        }
        tx.rollback().await?;
        Ok(None)
    }

    /// Makes the live view stand still until `tx` ends: where it stands, and since when. None when what was
    /// committed did not get into the log in time.
    async fn at_rest(
        &self,
        tx: &Transaction<'_>,
        why: Stop,
    ) -> Result<Option<(Offsets, Instant)>, Error> {
        let began = Instant::now();
        if self.shadow.view.live == Live::Consumed {
            return Ok(Some((self.shadow.stop_live(tx).await?, began)));
        }
        self.shadow.lock_tables(tx, why).await?;
        while !self.shadow.is_published(tx).await? {
            if began.elapsed() >= STOP_MAX {
                return Ok(None);
            }
            tokio::time::sleep(PUBLISHED_CHECK).await;
        }
        let ends = self.admin.end_offsets(&self.shadow.topics()).await?;
        Ok(Some((ends, began)))
    }

    async fn switch(&mut self, wish: &Wish, differences: &Differences) -> Result<Uuid, Error> {
        for _ in 0..STOPS_MAX {
            let mut connection = self.shadow.pool.get().await?;
            let Some((tx, began)) = self.stop(&mut connection, Stop::ToSwitch).await? else {
                continue;
            };
            match self.try_switch(tx, wish, differences).await {
                // A reader kept the old table for too long: let the live view go on, and try again.
                Err(Error::Postgres(error)) if error.is_retryable() => {}
                Ok(action) => {
                    self.stopped = self.stopped.max(began.elapsed());
                    return Ok(action);
                }
                Err(error) => return Err(error),
            }
        }
        Err(too_busy())
    }

    async fn try_switch(
        &self,
        tx: Transaction<'_>,
        wish: &Wish,
        differences: &Differences,
    ) -> Result<Uuid, Error> {
        if !self.shadow.is_ours(&tx).await? {
            return Err(Error::Refused("another rebuild of it has begun".to_owned()));
        }
        // What the live view gave up since it was compared may be in the shadow: a redrive would apply
        // it once more.
        if self.shadow.held_back(&tx).await? > 0 {
            let why = "keys were parked meanwhile: redrive or drop them first";
            return Err(Error::Refused(why.to_owned()));
        }
        self.shadow.switch(&tx).await?;
        let name = self.shadow.view.name;
        let detail = self.detail(differences);
        let action = action::record(&tx, &wish.actor, "rebuild", name, &detail).await?;
        failpoint::hit("operator.switched-before-commit");
        tx.commit().await?;
        tracing::info!(view = name, events = self.events, "a view was made anew");
        Ok(action)
    }

    fn detail(&self, differences: &Differences) -> Detail {
        Detail::from([
            ("result", "switched".to_owned()),
            ("events", self.events.to_string()),
            ("rows", differences.rows.to_string()),
            ("differences", differences.count.to_string()),
        ])
    }

    fn result(&self, differences: Differences, action: Option<Uuid>) -> pb::RebuildResult {
        pb::RebuildResult {
            switched: action.is_some(),
            differences: differences.count,
            first_differences: differences.first,
            rows: differences.rows,
            events: self.events,
            elapsed_ms: millis(self.elapsed),
            stopped_ms: millis(self.stopped),
            action_id: action.map_or_else(String::new, |id| id.to_string()),
        }
    }

    /// Tells how far it is; whoever listens slowly misses some of it.
    fn tell(&self) {
        let known: i64 = self.source.ends().values().sum();
        let progress = pb::RebuildViewResponse {
            records: self.records,
            records_known: known.max(self.records),
            result: None,
        };
        self.told.try_send(progress).ok();
    }
}

fn too_busy() -> Error {
    Error::Refused("the log moved too fast to catch up with the live view: try again".to_owned())
}

fn count<T>(items: &[T]) -> i64 {
    i64::try_from(items.len()).unwrap_or(i64::MAX)
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
