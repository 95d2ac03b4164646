//! How far the boards are behind the log.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use brewline_kafka::{Admin, TopicPartition};
use brewline_kernel::{Clock, Timestamp};
use brewline_server::Gate;
use tokio_util::sync::CancellationToken;

use super::live::{Live, Offsets};
use crate::inbound::records::Topics;
use crate::signals;

/// How often the ends are looked up.
const EVERY: Duration = Duration::from_secs(1);
/// While the boards are not ready, their end is looked for more often.
const HURRIED: Duration = Duration::from_millis(50);

/// Where the log ends, as last seen, and since when the boards have not been there.
#[derive(Clone, Debug, Default)]
pub struct Heads(Arc<Mutex<BTreeMap<TopicPartition, Head>>>);

/// One partition's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The offset behind its last record.
    pub end: i64,
    /// The boards had everything until then; the beginning of the process at the earliest.
    pub held_until: Timestamp,
}

// === impl Heads ===

impl Heads {
    /// Each partition's end.
    #[must_use]
    pub fn all(&self) -> BTreeMap<TopicPartition, Head> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Looks after the ends until shutdown, and opens the gate once the boards have reached those that were
    /// there at the start.
    pub async fn follow(
        self,
        live: Arc<Live>,
        (admin, topics): (Admin, Topics),
        clock: Arc<dyn Clock>,
        gate: Gate,
        shutdown: CancellationToken,
    ) {
        let mut first: Option<Offsets> = None;
        let mut ready = false;
        while !shutdown.is_cancelled() {
            if first.is_none() || ready {
                match admin.end_offsets(&topics.names()).await {
                    Ok(ends) => {
                        first.get_or_insert_with(|| ends.clone());
                        self.note(ends, &live, clock.now());
                    }
                    Err(error) => tracing::warn!(%error, "the ends of the log are not known"),
                }
            }
            if !ready && first.as_ref().is_some_and(|ends| reached(&live, ends)) {
                ready = true;
                gate.open();
                tracing::info!("boards hold everything that was in the log at the start");
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(if ready { EVERY } else { HURRIED }) => {}
            }
        }
    }

    fn note(&self, ends: Offsets, live: &Live, now: Timestamp) {
        let offsets = live.read().offsets.clone();
        let mut heads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut records, mut since) = (0_i64, now);
        for (place, end) in ends {
            let next = offsets.get(&place).copied().unwrap_or(0);
            let head = heads.entry(place).or_insert(Head {
                end,
                held_until: now,
            });
            head.end = end;
            if next >= end {
                head.held_until = now;
            }
            records = records.saturating_add(end.saturating_sub(next).max(0));
            since = since.min(head.held_until);
        }
        drop(heads);
        signals::LAG.set(records);
        signals::BEHIND.set(now.since(since).as_secs_f64());
        let state = live.read();
        let (customers, _) = state.fold.sizes();
        signals::CUSTOMERS.set(i64::try_from(customers).unwrap_or(i64::MAX));
        signals::SKIPPED.set(i64::try_from(state.fold.skipped().count()).unwrap_or(i64::MAX));
    }
}

fn reached(live: &Live, ends: &Offsets) -> bool {
    let state = live.read();
    let holds = |(place, end): (&TopicPartition, &i64)| {
        *end == 0 || state.offsets.get(place).is_some_and(|next| next >= end)
    };
    ends.iter().all(holds)
}
