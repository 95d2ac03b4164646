//! Snapshots: so that a start reads a minute of the log instead of all of it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use brewline_kafka::Admin;
use brewline_leaderboard_domain::Fold;
use brewline_postgres::Pool;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::live::{Live, State};
use crate::inbound::records::Topics;
use crate::outbound::snapshot_store::{self, Positions};
use crate::signals;

/// How often it is looked whether a snapshot is due.
const CHECK: Duration = Duration::from_millis(500);
/// A name that must not be shown any more is out of the database after so long.
const NAME_GONE: Duration = Duration::from_secs(5);
/// Writing takes at most a thirtieth of the time.
const REST: u32 = 30;

/// Takes snapshots.
#[derive(Debug)]
pub struct Snapshots {
    /// The boards.
    pub live: Arc<Live>,
    /// Where to.
    pub pool: Pool,
    /// Tells topics' ids.
    pub admin: Admin,
    /// What boards are made of.
    pub topics: Topics,
    /// The name of this replica.
    pub instance: String,
    /// How long after one the next is taken.
    pub interval: Duration,
}

/// The state to begin with: the newest snapshot's, or an empty one.
///
/// # Errors
/// When the database or the broker do not answer.
pub async fn restore(pool: &Pool, admin: &Admin, topics: &Topics) -> anyhow::Result<State> {
    let began = Instant::now();
    let stored = snapshot_store::newest(pool)
        .await
        .context("read the snapshot")?;
    let Some(stored) = stored else {
        tracing::info!("there is no snapshot; boards are made from the log");
        return Ok(State::default());
    };
    let ids = admin
        .topic_ids(&topics.names())
        .await
        .context("ask for the topics' ids")?;
    let same = |(topic, id): (&String, &String)| ids.get(topic) == Some(id);
    // Without a topic it would say nothing about which log it is of.
    let known = &stored.positions.topic_ids;
    if known.is_empty() || !known.iter().all(same) {
        tracing::warn!("the snapshot is of another log; boards are made from this one");
        return Ok(State::default());
    }
    let bytes = stored.bytes.len();
    let decoded = tokio::task::spawn_blocking(move || Fold::decode(&stored.bytes)).await?;
    match decoded {
        Ok(fold) => {
            tracing::info!(
                bytes,
                elapsed_ms = millis(began.elapsed()),
                "boards are back from the snapshot"
            );
            Ok(State {
                fold,
                offsets: stored.positions.offsets,
                ..State::default()
            })
        }
        Err(error) => {
            tracing::warn!(%error, "the snapshot cannot be read; boards are made from the log");
            Ok(State::default())
        }
    }
}

// === impl Snapshots ===

impl Snapshots {
    /// Takes one whenever it is due, until shutdown.
    pub async fn run(self, shutdown: CancellationToken) {
        let (mut last, mut rest, mut seen) = (Instant::now(), self.interval, 0_u64);
        while !shutdown.is_cancelled() {
            let (records, name_gone) = {
                let state = self.live.read();
                (state.records, state.is_name_due())
            };
            let due = if name_gone { NAME_GONE.min(rest) } else { rest };
            if (records != seen || name_gone) && last.elapsed() >= due {
                let began = Instant::now();
                match self.take().await {
                    Ok(true) => {
                        seen = records;
                        let elapsed_ms = millis(began.elapsed());
                        tracing::debug!(elapsed_ms, "a snapshot was taken");
                    }
                    // Another replica does that. Should it die first, the name is still to be got rid of.
                    Ok(false) => {}
                    Err(error) => tracing::warn!(
                        error = format!("{error:#}"),
                        "no snapshot was taken; trying again"
                    ),
                }
                last = Instant::now();
                rest = self.interval.max(began.elapsed() * REST);
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(CHECK) => {}
            }
        }
    }

    /// Takes one now. False when another replica does that.
    ///
    /// # Errors
    /// When the database or the broker do not answer.
    pub async fn take(&self) -> anyhow::Result<bool> {
        let lease = snapshot_store::take_lease(&self.pool, &self.instance)
            .await
            .context("take the lease")?;
        let Some(lease) = lease else { return Ok(false) };
        let ids = self
            .admin
            .topic_ids(&self.topics.names())
            .await
            .context("ask for the topics' ids")?;
        let began = Instant::now();
        let live = Arc::clone(&self.live);
        // The applying loop waits for this; whoever reads does not.
        let encoded = tokio::task::spawn_blocking(move || {
            let state = live.read();
            (state.fold.encode(), state.offsets.clone(), state.names_gone)
        });
        let (bytes, offsets, names_gone) = encoded.await?;
        let positions = Positions {
            offsets,
            topic_ids: ids.into_iter().collect(),
        };
        snapshot_store::write(&self.pool, &lease, &bytes, &positions)
            .await
            .context("write the snapshot")?;
        // Those that went while it was being written are in it still.
        self.live.write().names_out = names_gone;
        signals::SNAPSHOT_SECONDS.observe(began.elapsed().as_secs_f64());
        signals::SNAPSHOT_BYTES.set(i64::try_from(bytes.len()).unwrap_or(i64::MAX));
        Ok(true)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
