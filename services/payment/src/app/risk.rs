//! What risk rules count, held for the length of a transaction.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use brewline_failpoint as failpoint;
use brewline_kernel::{Clock, Timestamp};
use brewline_payment_domain::{Hit, Rules, Seen, Subject, Tally};
use brewline_postgres::{Pool, Transaction};
use tokio_util::sync::CancellationToken;

use super::payer::{Payer, SubjectKey};
use crate::Error;
use crate::outbound::tally_store::{self, Kept};

/// How often tallies that count nothing any more are dropped. Twice a minute: at a full load some ten
/// thousand rows, which is little work.
const FORGET_EVERY: Duration = Duration::from_secs(30);

/// The tallies of all payers of a batch. Their rows are locked: two batches with the same card come one
/// after the other, so that the second counts what the first let through.
#[derive(Debug)]
pub(super) struct Tallies(BTreeMap<SubjectKey, Kept>);

// === impl Tallies ===

impl Tallies {
    /// Those of `payers`, as far as any rule is about them: one statement.
    pub(super) async fn load<'p>(
        tx: &Transaction<'_>,
        rules: &Rules,
        payers: impl Iterator<Item = &'p Payer>,
    ) -> Result<Self, Error> {
        let mut tallies: BTreeMap<SubjectKey, Kept> = payers
            .flat_map(Payer::subjects)
            .filter(|(subject, _)| rules.concern(*subject))
            .map(|(_, key)| (key, Kept::default()))
            .collect();
        let keys: Vec<SubjectKey> = tallies.keys().copied().collect();
        tallies.extend(tally_store::load(tx, &keys).await?);
        Ok(Self(tallies))
    }

    /// The rule that refuses this payer's authorisation; what none refuses is counted.
    pub(super) fn judge(&mut self, rules: &Rules, payer: &Payer, now: Timestamp) -> Option<Hit> {
        let tallies: Vec<(Subject, &Tally)> = payer
            .subjects()
            .filter_map(|(subject, key)| Some((subject, &self.0.get(&key)?.tally)))
            .collect();
        let hit = rules.judge(&tallies, now);
        if hit.is_none() {
            self.fold(rules, payer, Seen::Asked, now);
        }
        hit
    }

    /// Counts what was seen of a payer.
    pub(super) fn fold(&mut self, rules: &Rules, payer: &Payer, seen: Seen, now: Timestamp) {
        // A bug that someone could really make: declines are told to nobody.
        if seen != Seen::Asked && failpoint::planted("risk-forgets") {
            return;
        }
        for (subject, key) in payer.subjects() {
            if let Some(kept) = self.0.get_mut(&key) {
                kept.tally.fold(rules, subject, seen, now);
                kept.moved = true;
            }
        }
    }

    /// Writes those that moved: one statement.
    pub(super) async fn store(self, tx: &Transaction<'_>) -> Result<(), Error> {
        let moved: Vec<_> = self.0.into_iter().filter(|(_, it)| it.moved).collect();
        tally_store::store(tx, &moved).await
    }
}

/// Drops tallies that count nothing any more, until told to stop. A failure is told and tried again.
pub(super) async fn forget(
    pool: Pool,
    clock: Arc<dyn Clock>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    loop {
        if let Err(error) = forget_once(&pool, clock.now()).await {
            tracing::warn!(%error, "old risk tallies were not dropped");
        }
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(FORGET_EVERY) => {}
        }
    }
}

/// Drops what counts nothing any more at `now`; says how many tallies.
///
/// # Errors
/// When the database fails.
pub async fn forget_once(pool: &Pool, now: Timestamp) -> Result<u64, Error> {
    let mut dropped = 0;
    loop {
        let rows = tally_store::drop_expired(pool, now).await?;
        dropped += rows;
        if rows < tally_store::DROP_ROWS_MAX.unsigned_abs() {
            return Ok(dropped);
        }
    }
}
