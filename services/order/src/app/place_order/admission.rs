//! Whether new orders are let in: as many as are settled while somebody waits at the counter.
//!
//! Without this an overload feeds itself. Each order let in makes all the others wait longer; calls
//! time out and are made again, deadlines turn back orders that were nearly through, and a machine
//! that could sell nine hundred orders a second sells a hundred and fifty. So what is pending is
//! looked at several times a second, by its age and not by its number: a larger installation settles
//! more in the same time.
//!
//! Orders are settled in about the order in which they came, so the one that is settled next has
//! waited twice as long as all pending ones on average. Up to the time an order may take all are let
//! in; beyond it fewer, in proportion; at twice that time none. Between the two lies a share at which
//! as many come in as go out, and no clock or counter has to be agreed on to find it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use brewline_kernel::system::random;
use brewline_postgres::Pool;
use tokio_util::sync::CancellationToken;

use crate::outbound::saga_store::{self, Pending};
use crate::signals;

/// How often what is pending is looked at: some times within the time an order may take, while a look
/// costs one or two milliseconds at full load.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// A share is told in thousandths.
const ALL: u64 = 1_000;

/// When fewer orders are let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdmissionLimits {
    /// How long an order may take to settle before fewer are let in.
    pub settle_target: Duration,
    /// Pending orders up to which all are let in, however old they are.
    pub pending_free: i64,
}

/// The share of new orders that is let in. Every replica looks for itself, at the same table.
#[derive(Debug)]
pub(super) struct Admission {
    limits: AdmissionLimits,
    share: AtomicU64,
}

// === impl Admission ===

impl Admission {
    pub(super) fn new(limits: AdmissionLimits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            share: AtomicU64::new(ALL),
        })
    }

    /// Whether the next one is let in.
    pub(super) fn admits(&self) -> bool {
        let share = self.share.load(Ordering::Relaxed);
        share == ALL || random() % ALL < share
    }

    /// Looks at what is pending until `shutdown`. While the database is away the share stays as it
    /// was: nothing can be placed then.
    pub(super) async fn watch(&self, pool: &Pool, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            let looked = async { saga_store::pending(&pool.get().await?).await };
            match looked.await {
                Ok(pending) => self.adjust(pending),
                Err(error) => tracing::debug!(%error, "pending orders were not counted"),
            }
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    fn adjust(&self, pending: Pending) {
        let share = share(&self.limits, pending);
        let before = self.share.swap(share, Ordering::Relaxed);
        signals::admitted(share, ALL);
        if (before == ALL) != (share == ALL) {
            let waited_ms = pending.mean_age.saturating_mul(2).as_millis();
            let all_let_in = share == ALL;
            tracing::info!(pending.orders, waited_ms, all_let_in, "admission changed");
        }
    }
}

/// The share of new orders to let in while this much is pending.
fn share(limits: &AdmissionLimits, pending: Pending) -> u64 {
    if pending.orders <= limits.pending_free {
        return ALL;
    }
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let target = millis(limits.settle_target).max(1);
    let waited = millis(pending.mean_age).saturating_mul(2);
    let over = waited.saturating_sub(target).min(target);
    ALL - over.saturating_mul(ALL) / target
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: AdmissionLimits = AdmissionLimits {
        settle_target: Duration::from_secs(2),
        pending_free: 1_000,
    };

    fn pending(orders: i64, mean_age_ms: u64) -> Pending {
        Pending {
            orders,
            mean_age: Duration::from_millis(mean_age_ms),
        }
    }

    #[test]
    fn the_longer_orders_wait_the_fewer_are_let_in() {
        for (mean_age_ms, expected) in [
            (0, 1_000),
            (1_000, 1_000),
            (1_250, 750),
            (1_500, 500),
            (1_999, 1),
            (2_000, 0),
            (60_000, 0),
        ] {
            let found = share(&LIMITS, pending(1_001, mean_age_ms));
            assert_eq!(found, expected, "at a mean age of {mean_age_ms} ms");
        }
    }

    #[test]
    fn few_pending_orders_turn_nobody_away_however_old_they_are() {
        assert_eq!(share(&LIMITS, pending(1_000, 25_000)), ALL);
        assert_eq!(share(&LIMITS, pending(1_001, 25_000)), 0);
    }

    #[test]
    fn a_share_of_the_requests_is_let_in() {
        let admission = Admission::new(LIMITS);
        admission.adjust(pending(5_000, 1_500));
        let admitted = (0..10_000).filter(|_| admission.admits()).count();
        // Six standard deviations of a fair coin.
        assert!((4_700..=5_300).contains(&admitted), "{admitted} of 10000");
        admission.adjust(pending(5_000, 2_000));
        assert!((0..1_000).all(|_| !admission.admits()));
        admission.adjust(pending(10, 9_000));
        assert!((0..1_000).all(|_| admission.admits()));
    }
}
