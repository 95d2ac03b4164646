use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use brewline_kernel::{Clock, IdGenerator, Timestamp};
use uuid::Uuid;

/// A clock that stands still until it is turned.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

/// Ids 1, 2, 3…, written as UUIDs of version 7, so that they sort as real ones do.
#[derive(Debug, Default)]
pub struct SequentialIds(AtomicU64);

// === impl ManualClock ===

impl ManualClock {
    /// A clock that shows this instant.
    #[must_use]
    pub const fn at(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.as_micros()))
    }

    /// Turns it forward.
    pub fn advance(&self, by: Duration) {
        let then = self.now().plus(by);
        self.0.store(then.as_micros(), Ordering::SeqCst);
    }

    /// Sets it, backwards too: clocks do that.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.as_micros(), Ordering::SeqCst);
    }
}

impl Default for ManualClock {
    /// The second of January 2026, midnight: an instant that is neither zero nor now.
    fn default() -> Self {
        Self::at(Timestamp::from_millis(1_767_312_000_000))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

// === impl SequentialIds ===

impl IdGenerator for SequentialIds {
    fn next(&self) -> Uuid {
        let number = self.0.fetch_add(1, Ordering::SeqCst).saturating_add(1);
        uuid::Builder::from_unix_timestamp_millis(number, &[0; 10]).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequential_ids_sort_as_they_were_made() {
        let ids = SequentialIds::default();
        let made: Vec<_> = (0..300).map(|_| ids.next()).collect();
        assert!(made.is_sorted() && made.iter().all(|id| id.get_version_num() == 7));
    }

    #[test]
    fn a_clock_moves_only_by_hand() {
        let clock = ManualClock::default();
        let before = clock.now();
        clock.advance(Duration::from_secs(5));
        assert_eq!(clock.now().since(before), Duration::from_secs(5));
    }
}
