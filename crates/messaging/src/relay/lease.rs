use std::time::{Duration, Instant};

use brewline_failpoint::planted;

/// A lease as its holder sees it, on the monotonic clock: it ends here no later than in the
/// database, because it is counted from before the statement that took it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lease {
    epoch: i64,
    length: Duration,
    since: Instant,
}

// === impl Lease ===

impl Lease {
    /// A lease taken by a statement that was sent at `asked_at`.
    pub(super) const fn new(epoch: i64, length: Duration, asked_at: Instant) -> Self {
        Self {
            epoch,
            length,
            since: asked_at,
        }
    }

    pub(super) const fn epoch(&self) -> i64 {
        self.epoch
    }

    pub(super) const fn renew(&mut self, asked_at: Instant) {
        self.since = asked_at;
    }

    pub(super) fn is_valid(&self, now: Instant) -> bool {
        planted("relay-ignores-lease") || now.duration_since(self.since) < self.length
    }

    /// A third of the lease has passed: two more tries fit into the rest.
    pub(super) fn is_renewal_due(&self, now: Instant) -> bool {
        now.duration_since(self.since) >= self.length / 3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_renewed_early_and_ends_on_time() {
        let start = Instant::now();
        let mut lease = Lease::new(1, Duration::from_secs(6), start);
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(!lease.is_renewal_due(at(1)));
        assert!(lease.is_renewal_due(at(2)) && lease.is_valid(at(5)));
        assert!(!lease.is_valid(at(6)));
        lease.renew(at(5));
        assert!(lease.is_valid(at(10)) && !lease.is_valid(at(11)));
    }
}
