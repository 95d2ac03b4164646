//! One batch, one transaction.

use brewline_failpoint as failpoint;
use brewline_kafka::{Received, TopicPartition};
use brewline_kernel::{Clock as _, system::SystemClock};
use brewline_postgres as postgres;
use brewline_postgres::Transaction;

use super::core::{Batch, Doubt};
use super::dead_letter::{DeadLetters, Verdict};
use super::parking::Overdue;
use super::plan::{Plan, plan};
use super::store::Store;
use crate::inbox::Judge;
use crate::signals::ConsumerSignals;
use crate::{ConsumerSettings, ConsumerSpec, Delivery, Failure, Handler, TopicKind};

/// Applies batches.
#[derive(Debug)]
pub(super) struct Applier<H> {
    pub(super) store: Store,
    pub(super) dead_letters: DeadLetters,
    pub(super) spec: ConsumerSpec,
    pub(super) settings: ConsumerSettings,
    pub(super) handler: H,
}

/// How a transaction ended.
#[derive(Debug)]
pub(super) enum Outcome<E> {
    /// Committed. `waiting`: some subject waits for a missing version now.
    Committed { effect: E, waiting: bool },
    /// A position was not where it should be, or not ours.
    Refused,
    /// Nothing done: too much is parked already behind records of these partitions.
    Full(Vec<TopicPartition>),
}

// === impl Outcome ===

impl<E> Outcome<E> {
    /// As a span tells it.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Committed { .. } => "done",
            Self::Refused => "fenced",
            Self::Full(_) => "parked-full",
        }
    }
}

// === impl Applier ===

impl<H: Handler> Applier<H> {
    /// Applies a batch; `deliveries` are its records, decoded.
    pub(super) async fn apply(
        &self,
        batch: &Batch<Received>,
        deliveries: Vec<Delivery>,
    ) -> Result<Outcome<H::Effect>, Failure> {
        let mut connection = self.store.pool.get().await?;
        let tx = connection.transaction().await?;
        // Sent together: the first takes the positions' locks, the second sees what that waited for.
        let (moved, stored) = futures_util::try_join!(
            self.store.advance(&tx, &batch.moves),
            self.store.stored(&tx, &deliveries),
        )?;
        if !moved {
            tx.rollback().await?;
            return Ok(Outcome::Refused);
        }
        let now = SystemClock.now();
        let memory = self.settings.inbox_memory;
        let judge = |topic: &str| {
            let kind = self.spec.kind(topic).unwrap_or(TopicKind::Events);
            Judge::new(kind, now, memory)
        };
        let plan = plan(deliveries, stored, judge);
        let effect = self.handle(&tx, &plan).await?;
        self.store
            .write(&tx, &plan, &batch.items, self.settings.gap_wait)
            .await?;
        if let Some(full) = self.full(&tx, &plan).await? {
            tx.rollback().await?;
            return Ok(Outcome::Full(full));
        }
        if let (Doubt::Count | Doubt::Counted, [lone]) = (batch.doubt, batch.items.as_slice()) {
            self.store.forget_count(&tx, &lone.record).await?;
        }
        failpoint::hit("consumer.fetched-before-commit");
        tx.commit().await?;
        failpoint::hit("consumer.committed");
        self.tell(&plan);
        let waiting = !plan.waiting.is_empty();
        Ok(Outcome::Committed { effect, waiting })
    }

    /// Makes the batch's one record a dead letter.
    pub(super) async fn give_up(
        &self,
        batch: &Batch<Received>,
        verdict: &Verdict,
    ) -> Result<Outcome<H::Effect>, Failure> {
        let mut connection = self.store.pool.get().await?;
        let tx = connection.transaction().await?;
        if !self.store.advance(&tx, &batch.moves).await? {
            tx.rollback().await?;
            return Ok(Outcome::Refused);
        }
        for item in &batch.items {
            self.dead_letters.bury(&tx, &item.record, verdict).await?;
            self.store.forget_count(&tx, &item.record).await?;
        }
        tx.commit().await?;
        self.signals().dead_letter();
        Ok(Outcome::Committed {
            effect: H::Effect::default(),
            waiting: false,
        })
    }

    /// Parks a subject whose missing version did not come in time, if its partition still has
    /// `epoch`: the first record held becomes a dead letter, the rest stays behind it.
    pub(super) async fn stop_waiting(
        &self,
        overdue: &Overdue,
        still: &super::core::Move,
    ) -> Result<(), postgres::Error> {
        let mut connection = self.store.pool.get().await?;
        let tx = connection.transaction().await?;
        let ours = self.store.advance(&tx, std::slice::from_ref(still)).await?;
        let first = self.store.take_first_held(&tx, overdue).await?;
        let (true, Some(record)) = (ours, first) else {
            return tx.rollback().await;
        };
        let waited_seconds = self.settings.gap_wait.as_secs();
        let verdict = Verdict {
            reason: format!(
                "an earlier version is missing and did not come within {waited_seconds} s"
            ),
            attempts: 0,
        };
        self.dead_letters.bury(&tx, &record, &verdict).await?;
        tx.commit().await?;
        self.signals().dead_letter();
        Ok(())
    }

    async fn handle(&self, tx: &Transaction<'_>, plan: &Plan) -> Result<H::Effect, Failure> {
        if plan.fresh.is_empty() {
            return Ok(H::Effect::default());
        }
        self.handler.handle(tx, &plan.fresh).await
    }

    /// The partitions of what was parked, when that went over a limit.
    async fn full(
        &self,
        tx: &Transaction<'_>,
        plan: &Plan,
    ) -> Result<Option<Vec<TopicPartition>>, postgres::Error> {
        if plan.parked.is_empty() {
            return Ok(None);
        }
        let (all, most) = self.store.parked_counts(tx).await?;
        let full = all > self.settings.parked_max || most > self.settings.parked_per_key_max;
        let place = |(_, delivery): &(usize, Delivery)| {
            TopicPartition::new(std::sync::Arc::clone(&delivery.topic), delivery.partition)
        };
        Ok(full.then(|| plan.parked.iter().map(place).collect()))
    }

    fn tell(&self, plan: &Plan) {
        let signals = self.signals();
        signals.duplicates(plan.duplicates);
        signals.parked(plan.parked.len());
    }

    const fn signals(&self) -> ConsumerSignals {
        ConsumerSignals(self.spec.name)
    }
}
