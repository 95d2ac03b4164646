//! Does what [`super::core`] decides: claims, applies, waits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use brewline_failpoint as failpoint;
use brewline_kafka as kafka;
use brewline_kafka::{Input, Received, Subscription, TopicPartition};
use brewline_kernel::system;
use brewline_postgres::Pace;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::attempts::Counted;
use super::core::{Batch, Chance, Core, Doubt, Item, Task};
use super::dead_letter::Verdict;
use super::spans::{self, Spans};
use super::store::Claimed;
use super::transaction::{Applier, Outcome};
use crate::signals::ConsumerSignals;
use crate::{Delivery, Error, Failure, Handler, Lag, Monitor, Place, Progress};

/// How often lag is told and overdue subjects are looked for; also the longest a loop sleeps.
const TICK: Duration = Duration::from_secs(1);
/// A polling thread silent for longer is stuck, whatever this loop thinks.
const POLL_SILENCE_MAX: Duration = Duration::from_secs(20);

/// A running consumer.
pub(super) struct Worker<H> {
    pub(super) applier: Arc<Applier<H>>,
    pub(super) core: Core<Received>,
    pub(super) subscription: Subscription,
    pub(super) inputs: mpsc::Receiver<Input>,
    pub(super) admin: kafka::Admin,
    pub(super) progress: Progress,
    pub(super) monitor: Monitor,
    pub(super) shutdown: CancellationToken,
    pub(super) started_at: Instant,
    pub(super) ticked_at: Instant,
    /// When it was last counted what stands in the tables.
    pub(super) counted_at: Option<Instant>,
    /// Partitions that were told where to begin.
    pub(super) speaking: BTreeSet<TopicPartition>,
    pub(super) silenced: BTreeSet<TopicPartition>,
    /// Some subject may be waiting for a missing version.
    pub(super) waiting: bool,
    pub(super) pace: Pace,
}

// === impl Worker ===

impl<H: Handler> Worker<H> {
    /// Consumes until shutdown. What is in hand is finished first, so leaving the group loses
    /// nothing and repeats nothing.
    pub(super) async fn run(mut self) -> Result<(), Error> {
        while !self.shutdown.is_cancelled() {
            self.turn().await?;
        }
        self.release(
            &self
                .core
                .owned()
                .map(|(place, _)| place.clone())
                .collect::<Vec<_>>(),
        );
        self.subscription.close().await;
        Ok(())
    }

    async fn turn(&mut self) -> Result<(), Error> {
        if self.subscription.polled_ago() < POLL_SILENCE_MAX {
            self.progress.beat();
        }
        while self.core.has_room() {
            let Ok(input) = self.inputs.try_recv() else {
                break;
            };
            self.take(input)?;
        }
        if self.ticked_at.elapsed() >= TICK {
            self.tick().await;
        }
        if !self.pace.is_ready() && self.core.has_room() {
            return self.gather().await;
        }
        match self.core.next(self.now()) {
            Task::Claim(places) => self.claim(places).await,
            Task::Apply(batch) => {
                self.pace.begin();
                self.apply(batch).await;
                self.pace.end();
                Ok(())
            }
            Task::Wait(until) => self.wait(until).await,
        }
    }

    /// Takes what comes until the next batch may begin.
    async fn gather(&mut self) -> Result<(), Error> {
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => Ok(()),
            () = self.pace.ready() => Ok(()),
            input = self.inputs.recv() => self.input(input),
        }
    }

    fn input(&mut self, input: Option<Input>) -> Result<(), Error> {
        match input {
            Some(input) => self.take(input),
            None => Err(kafka::Error::Closed.into()),
        }
    }

    async fn wait(&mut self, until: Option<Duration>) -> Result<(), Error> {
        let now = self.now();
        let nap = until.map_or(TICK, |until| until.saturating_sub(now).min(TICK));
        let has_room = self.core.has_room();
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => Ok(()),
            input = self.inputs.recv(), if has_room => self.input(input),
            () = tokio::time::sleep(nap) => Ok(()),
        }
    }

    fn take(&mut self, input: Input) -> Result<(), Error> {
        match input {
            Input::Assigned(places) => {
                self.release(&places);
                places
                    .into_iter()
                    .for_each(|place| self.core.assigned(place));
            }
            Input::Records(records) => records.into_iter().for_each(|record| self.fetched(record)),
            Input::Revoking {
                partitions,
                drained,
            } => {
                // Nothing is in hand between two turns, so the next owner may have them. The thread
                // that asks may have stopped waiting for the answer.
                self.release(&partitions);
                drained.send(()).unwrap_or(());
            }
            Input::Lost(partitions) => self.release(&partitions),
            Input::Failed(error) if error.is_fatal() => return Err(error.into()),
            Input::Failed(error) => {
                tracing::warn!(%error, consumer = self.name(), "the broker is away or refuses");
            }
        }
        Ok(())
    }

    fn fetched(&mut self, record: Received) {
        let (place, offset, bytes) = (record.topic_partition(), record.offset, record.bytes());
        self.core.fetched(
            &place,
            Item {
                offset,
                bytes,
                record,
            },
        );
    }

    fn release(&mut self, places: &[TopicPartition]) {
        self.core.released(places);
        for place in places {
            self.speaking.remove(place);
            self.silenced.remove(place);
            self.monitor.released(&self.place(place));
            self.signals().released(place);
        }
    }

    /// Raises the epochs and learns where to begin.
    async fn claim(&mut self, places: Vec<TopicPartition>) -> Result<(), Error> {
        let topics: BTreeSet<&str> = places.iter().map(|place| &*place.topic).collect();
        let topics: Vec<&str> = topics.into_iter().collect();
        let ids = match self.admin.topic_ids(&topics).await {
            Ok(ids) => ids.into_iter().collect::<BTreeMap<_, _>>(),
            Err(error) if error.is_fatal() => return Err(error.into()),
            Err(error) => {
                self.unreachable(None, &error);
                return Ok(());
            }
        };
        match self.applier.store.claim(&places, &ids).await {
            Ok(claims) => claims
                .into_iter()
                .try_for_each(|claim| self.claimed(claim, &ids)),
            Err(error) if error.is_unavailable() || error.is_retryable() => {
                self.unreachable(None, &error);
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    fn claimed(&mut self, claim: Claimed, ids: &BTreeMap<String, String>) -> Result<(), Error> {
        failpoint::hit("consumer.position-claimed");
        let found = ids.get(&*claim.place.topic).cloned().unwrap_or_default();
        if claim.topic_id != found {
            return Err(Error::TopicRecreated {
                consumer: self.name().to_owned(),
                topic: claim.place.topic.to_string(),
                stored: claim.topic_id,
                found,
            });
        }
        tracing::info!(
            consumer = self.name(),
            topic = &*claim.place.topic,
            partition = claim.place.partition,
            epoch = claim.epoch,
            offset = claim.next_offset,
            "claimed a partition"
        );
        if self.speaking.insert(claim.place.clone()) {
            self.subscription
                .start_from(&claim.place, claim.next_offset);
        }
        self.waiting = true;
        let lag = Lag {
            next_offset: claim.next_offset,
            end_offset: claim.next_offset,
            behind_ms: 0,
        };
        self.monitor.tell(self.place(&claim.place), lag);
        self.core
            .claimed(claim.place, claim.epoch, claim.next_offset);
        Ok(())
    }

    async fn apply(&mut self, batch: Batch<Received>) {
        let decoded: Result<Vec<Delivery>, _> = batch
            .items
            .iter()
            .map(|item| super::delivery(&item.record))
            .collect();
        let mut deliveries = match decoded {
            Ok(deliveries) => deliveries,
            // It will not read better the next time: no need to try it thrice.
            Err(malformed) if batch.lone().is_some() => {
                let verdict = Verdict {
                    reason: malformed.to_string(),
                    attempts: 1,
                };
                return self.give_up(batch, &verdict).await;
            }
            Err(_) => return self.core.poisoned(batch),
        };
        if batch.doubt == Doubt::Count && batch.lone().is_some() {
            match self.count(&batch).await {
                Ok(None) => {}
                Ok(Some(verdict)) => return self.give_up(batch, &verdict).await,
                Err(error) => return self.failed(batch, error.into()).await,
            }
        }
        let mut spans = Spans::begin(self.name(), &mut deliveries);
        let applied = self.applier.apply(&batch, deliveries).await;
        match &applied {
            Ok(outcome @ Outcome::Committed { .. }) => {
                spans.outcome(outcome.name());
                self.signals().batch(batch.items.len(), spans.took());
            }
            Ok(outcome) => spans.fail(outcome.name(), self.name(), batch.items.len()),
            Err(failure) => spans.fail(failure.class(), self.name(), batch.items.len()),
        }
        drop(spans);
        match applied {
            Ok(outcome) => self.ended(batch, outcome).await,
            Err(failure) => self.failed(batch, failure).await,
        }
    }

    /// Counts the lone record. The verdict, when it has had its chances.
    async fn count(
        &mut self,
        batch: &Batch<Received>,
    ) -> Result<Option<Verdict>, brewline_postgres::Error> {
        let Some(item) = batch.items.first() else {
            return Ok(None);
        };
        let counted = self.applier.store.count(&item.record).await?;
        self.core.counted(batch);
        let chance = self.core.chance(counted.attempts, counted.deaths);
        Ok(verdict(chance, counted))
    }

    async fn give_up(&mut self, batch: Batch<Received>, verdict: &Verdict) {
        let delivery = batch
            .items
            .first()
            .map(|item| super::delivery(&item.record));
        let delivery = delivery.and_then(Result::ok);
        tracing::error!(
            consumer = self.name(),
            reason = verdict.reason,
            record = batch.lone_name(),
            trace_id = delivery.as_ref().and_then(trace_id),
            "a record becomes a dead letter"
        );
        let _span = delivery.map(|delivery| spans::given_up(self.name(), &delivery));
        match self.applier.give_up(&batch, verdict).await {
            Ok(outcome) => self.ended(batch, outcome).await,
            // An outage; or not even that works, and waiting is all that is left: lag will alert.
            Err(failure) => self.unreachable(Some(batch), &failure),
        }
    }

    async fn ended(&mut self, batch: Batch<Received>, outcome: Outcome<H::Effect>) {
        match outcome {
            Outcome::Committed { effect, waiting } => {
                self.core.committed(&batch);
                self.waiting |= waiting;
                self.monitor.committed();
                self.applier.handler.committed(effect);
            }
            Outcome::Refused => {
                self.signals().fenced();
                match self.applier.store.positions(&batch.moves).await {
                    Ok(found) => self.core.refused(batch, &found, self.now()),
                    Err(error) => self.unreachable(Some(batch), &error),
                }
            }
            Outcome::Full(places) => {
                self.signals().paused();
                tracing::error!(
                    consumer = self.name(),
                    ?places,
                    "too many records are parked; partitions pause"
                );
                self.core.paused(batch, &places, self.now());
                places
                    .iter()
                    .for_each(|place| self.subscription.pause(place));
                self.silenced.extend(places);
            }
        }
    }

    async fn failed(&mut self, batch: Batch<Received>, failure: Failure) {
        if failure.is_passing() {
            self.unreachable(Some(batch), &failure);
            return;
        }
        let reason = failure.to_string();
        tracing::warn!(
            consumer = self.name(),
            records = batch.items.len(),
            reason,
            "a batch failed"
        );
        if let (Doubt::Count | Doubt::Counted, [lone]) = (batch.doubt, batch.items.as_slice())
            && let Err(error) = self.applier.store.failed(&lone.record, &reason).await
        {
            return self.unreachable(Some(batch), &error);
        }
        self.core.poisoned(batch);
    }

    fn unreachable(&mut self, batch: Option<Batch<Received>>, error: &dyn std::error::Error) {
        self.signals().outage();
        tracing::warn!(%error, consumer = self.name(), "waiting out an outage");
        self.core.unreachable(batch, self.now(), system::random());
    }

    pub(super) fn now(&self) -> Duration {
        self.started_at.elapsed()
    }

    pub(super) fn name(&self) -> &'static str {
        self.applier.spec.name
    }

    pub(super) fn signals(&self) -> ConsumerSignals {
        ConsumerSignals(self.name())
    }

    pub(super) fn place(&self, place: &TopicPartition) -> Place {
        Place {
            consumer: self.name().to_owned(),
            topic: place.topic.to_string(),
            partition: place.partition,
        }
    }
}

/// For people who look for the order's other lines.
fn trace_id(delivery: &Delivery) -> Option<String> {
    let trace = delivery.envelope.traceparent?;
    Some(format!("{:032x}", trace.trace_id))
}

fn verdict(chance: Chance, counted: Counted) -> Option<Verdict> {
    // This attempt is counted and not made.
    let attempts = counted.attempts.saturating_sub(1);
    let reason = match chance {
        Chance::Try => return None,
        Chance::Exhausted => counted
            .last_reason
            .unwrap_or_else(|| "it failed every time".to_owned()),
        Chance::Deadly => "the process died repeatedly with this record alone in hand".to_owned(),
    };
    Some(Verdict { reason, attempts })
}
