//! An operator's work on a dead letter: handle it again, with all that is parked behind it, or give it
//! up. One transaction each, by the consumer's own handler, on whatever replica is asked.
//!
//! It takes the lock of the partition's position first, as each batch does. So a batch of the partition
//! comes wholly before or wholly after: what arrives meanwhile waits for the lock, and then flows or
//! parks by what the operator's transaction has left behind. Two redrives take turns the same way.

mod stage;
mod store;

use std::collections::BTreeMap;

use brewline_failpoint as failpoint;
use brewline_failpoint::planted;
use brewline_kernel::{Clock as _, system::SystemClock};
use brewline_postgres as postgres;
use brewline_postgres::Transaction;
use uuid::Uuid;

use super::dead_letter::Verdict;
use super::desk::{Dropped, Redriven, Refusal, Request};
use super::plan::{Applied, Plan};
use super::spans::Spans;
use super::transaction::Applier;
use crate::inbox::Judge;
use crate::operator::action;
use crate::{Delivery, Failure, Handler, TopicKind};
use stage::Held;
use store::Letter;

/// Records handed to the handler at once, until one of them fails.
const STAGE_RECORDS_MAX: usize = 100;

/// What a transaction has done to a subject so far.
struct Progress {
    left: Vec<Held>,
    done: Vec<Held>,
    applied: Option<i64>,
    last: Option<Applied>,
    fresh: i64,
    duplicates: i64,
    // Why the first of those left cannot be handled.
    stuck: Option<String>,
}

/// What follows a stage.
enum Next<E> {
    /// Another one, unless something stands in the way.
    More(Option<E>),
    /// Nothing is left that could be handled.
    Done,
}

// === impl Applier ===

impl<H: Handler> Applier<H> {
    /// Handles a dead letter and what is parked behind it. The effects are for after the commit.
    pub(super) async fn redrive(
        &self,
        request: &Request,
    ) -> Result<(Redriven, Vec<H::Effect>), Refusal> {
        let found = self.store.find(request.letter).await?;
        let found = found.ok_or(Refusal::Unknown)?;
        let mut connection = self.store.pool.get().await?;
        let tx = connection.transaction().await?;
        let letter = self.store.lock(&tx, &found).await?;
        let letter = letter.ok_or(Refusal::Unknown)?;
        if letter.outcome == "redriven" && !planted("redrive-ignores-inbox") {
            tx.rollback().await?;
            return Ok((Redriven::before(), Vec::new()));
        }
        let (progress, effects) = self.handle_held(&tx, &letter, None).await?;
        let mut redriven = self.close(&tx, &letter, &progress).await?;
        redriven.action = self
            .end(tx, request, "redrive", redriven.detail(self.spec.name))
            .await?;
        Ok((redriven, effects))
    }

    /// Gives a dead letter up, and handles what is parked behind it.
    pub(super) async fn drop_letter(
        &self,
        request: &Request,
    ) -> Result<(Dropped, Vec<H::Effect>), Refusal> {
        let found = self.store.find(request.letter).await?;
        let found = found.ok_or(Refusal::Unknown)?;
        let mut connection = self.store.pool.get().await?;
        let tx = connection.transaction().await?;
        let letter = self.store.lock(&tx, &found).await?;
        let letter = letter.ok_or(Refusal::Unknown)?;
        match letter.outcome.as_str() {
            "dropped" => return Ok((Dropped::default(), Vec::new())),
            "redriven" => {
                let why = "it has been redriven: its effect is there and stays".to_owned();
                return Err(Refusal::Refused(why));
            }
            _ => {}
        }
        self.refuse_needed(&tx, &letter).await?;
        let (progress, effects) = self.handle_held(&tx, &letter, Some(letter.id)).await?;
        let left = self.close(&tx, &letter, &progress).await?;
        let mut dropped = Dropped {
            dropped: true,
            applied: left.applied,
            parked: left.parked,
            action: None,
        };
        dropped.action = self
            .end(tx, request, "drop", dropped.detail(self.spec.name))
            .await?;
        Ok((dropped, effects))
    }

    /// Commits with an audit row, or rolls a dry run back.
    async fn end(
        &self,
        tx: Transaction<'_>,
        request: &Request,
        name: &str,
        detail: action::Detail,
    ) -> Result<Option<Uuid>, postgres::Error> {
        if request.dry_run {
            tx.rollback().await?;
            return Ok(None);
        }
        let subject = request.letter.to_string();
        let id = action::record(&tx, &request.actor, name, &subject, &detail).await?;
        failpoint::hit("operator.redriven-before-commit");
        tx.commit().await?;
        tracing::info!(
            consumer = self.spec.name,
            action = name,
            dead_letter = subject,
            "an operator's action is done"
        );
        Ok(Some(id))
    }

    async fn refuse_needed(&self, tx: &Transaction<'_>, letter: &Letter) -> Result<(), Refusal> {
        let held = self.store.held_with(tx, letter).await?;
        let applied = self.store.last_applied(tx, letter).await?;
        match stage::needs(&held, letter.id, applied, self.judge(letter)) {
            None => Ok(()),
            Some((version, why)) => Err(Refusal::Refused(format!(
                "version {version} of {} is held behind it and needs it: {why}",
                letter.subject
            ))),
        }
    }

    /// Handles all that is held of the letter's subject, `dropped` excepted, up to the first record
    /// that cannot be handled.
    async fn handle_held(
        &self,
        tx: &Transaction<'_>,
        letter: &Letter,
        dropped: Option<Uuid>,
    ) -> Result<(Progress, Vec<H::Effect>), Failure> {
        let held = self.store.held_with(tx, letter).await?;
        let is_dropped = |held: &Held| dropped.is_some() && held.letter == dropped;
        let (given_up, left): (Vec<_>, Vec<_>) = held.into_iter().partition(is_dropped);
        self.store
            .done_with(tx, letter, &given_up, "dropped")
            .await?;
        let mut progress = Progress {
            left,
            done: Vec::new(),
            applied: self.store.last_applied(tx, letter).await?,
            last: None,
            fresh: 0,
            duplicates: 0,
            stuck: None,
        };
        let (mut most, mut effects) = (STAGE_RECORDS_MAX, Vec::new());
        let judge = self.judge(letter);
        while progress.stuck.is_none() {
            match self.next_stage(tx, &mut progress, judge, &mut most).await? {
                Next::Done => break,
                Next::More(effect) => effects.extend(effect),
            }
        }
        Ok((progress, effects))
    }

    /// One stage. A stage that fails is taken back, and from then
    /// on each record is handled alone.
    async fn next_stage(
        &self,
        tx: &Transaction<'_>,
        progress: &mut Progress,
        judge: Judge,
        most: &mut usize,
    ) -> Result<Next<H::Effect>, Failure> {
        let stage = stage::stage(&progress.left, progress.applied, judge, *most);
        let mut fresh = progress.deliveries(&stage.fresh);
        if fresh.is_empty() {
            progress.pass(&stage);
            progress.stuck = stage.stuck;
            return Ok(Next::Done);
        }
        tx.batch_execute("savepoint stage").await?;
        let mut spans = Spans::begin(self.spec.name, &mut fresh);
        let handled = self.handler.handle(tx, &fresh).await;
        match &handled {
            Ok(_) => spans.outcome("redriven"),
            Err(failure) => spans.fail(failure.class(), self.spec.name, fresh.len()),
        }
        drop(spans);
        match handled {
            Ok(effect) => {
                progress.pass(&stage);
                Ok(Next::More(Some(effect)))
            }
            Err(failure) if failure.is_passing() => Err(failure),
            Err(failure) => {
                tx.batch_execute("rollback to savepoint stage").await?;
                let alone = fresh.len() == 1;
                if alone {
                    progress.pass_until(stage.fresh.first().copied().unwrap_or(0));
                    progress.stuck = Some(failure.to_string());
                }
                *most = 1;
                Ok(Next::More(None))
            }
        }
    }

    /// Writes down what was done: inbox, rows released, letters closed; and whether the subject flows.
    async fn close(
        &self,
        tx: &Transaction<'_>,
        letter: &Letter,
        progress: &Progress,
    ) -> Result<Redriven, postgres::Error> {
        if let Some(last) = progress.last {
            let subject = (letter.topic.clone(), letter.subject.clone());
            let plan = Plan {
                applied: BTreeMap::from([(subject, last)]),
                ..Plan::default()
            };
            self.store.applied(tx, &plan).await?;
        }
        self.store
            .done_with(tx, letter, &progress.done, "redriven")
            .await?;
        let mut redriven = Redriven::flows(progress.fresh, progress.duplicates);
        let (Some(first), Some(reason)) = (progress.left.first(), &progress.stuck) else {
            self.store.let_flow(tx, letter).await?;
            return Ok(redriven);
        };
        let (open, attempts) = match first.letter {
            Some(id) => (id, self.store.failed_again(tx, id, reason).await?),
            None => self.bury_parked(tx, letter, first, reason).await?,
        };
        self.store.hold_behind(tx, letter, open).await?;
        let parked = progress.left.iter().filter(|held| held.letter.is_none());
        let buried = usize::from(first.letter.is_none());
        redriven.failed(open, reason, attempts);
        redriven.parked = i64::try_from(parked.count().saturating_sub(buried)).unwrap_or(i64::MAX);
        Ok(redriven)
    }

    /// A record that was parked only fails now for itself: it becomes a dead letter.
    async fn bury_parked(
        &self,
        tx: &Transaction<'_>,
        letter: &Letter,
        held: &Held,
        reason: &str,
    ) -> Result<(Uuid, i32), postgres::Error> {
        let verdict = Verdict {
            reason: reason.to_owned(),
            attempts: 1,
        };
        let parked = std::slice::from_ref(held);
        self.store.done_with(tx, letter, parked, "redriven").await?;
        let id = self.dead_letters.bury(tx, &held.record, &verdict).await?;
        Ok((id, verdict.attempts))
    }

    fn judge(&self, letter: &Letter) -> Judge {
        let kind = self.spec.kind(&letter.topic).unwrap_or(TopicKind::Events);
        Judge::new(kind, SystemClock.now(), self.settings.inbox_memory)
    }
}

// === impl Progress ===

impl Progress {
    fn deliveries(&self, places: &[usize]) -> Vec<Delivery> {
        let delivery = |place: &usize| self.left.get(*place)?.delivery.clone().ok();
        places.iter().filter_map(delivery).collect()
    }

    /// The stage's records are done with.
    fn pass(&mut self, stage: &stage::Stage) {
        let fresh = i64::try_from(stage.fresh.len()).unwrap_or(i64::MAX);
        self.fresh = self.fresh.saturating_add(fresh);
        self.duplicates = self.duplicates.saturating_add(stage.duplicates);
        if let Some(last) = stage.fresh.last().and_then(|place| self.left.get(*place))
            && let Ok(delivery) = &last.delivery
        {
            let version = delivery.envelope.version;
            let known = self.last.map_or(self.applied.is_some(), |last| last.known);
            self.applied = Some(version);
            self.last = Some(Applied {
                version,
                event_id: delivery.envelope.id,
                known,
            });
        }
        self.done.extend(self.left.drain(..stage.passed));
    }

    /// The records before `place` are duplicates: nothing has to be done about them.
    fn pass_until(&mut self, place: usize) {
        let duplicates = i64::try_from(place).unwrap_or(i64::MAX);
        self.duplicates = self.duplicates.saturating_add(duplicates);
        self.done.extend(self.left.drain(..place));
    }
}
