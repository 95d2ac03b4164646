//! The calls that sagas want made, batched by arrival.
//!
//! What is recorded waits in a bounded queue by kind. A batch takes all that has waited while the last
//! ones were away, so an idle system calls at once and a busy one makes few, large calls. Nothing here
//! is durable: a call is on record in its saga's row before it comes here, and that row falls due when
//! no answer is written in time. A full queue or a crash costs time, never a call.

use std::collections::{BTreeMap, VecDeque};

/// The executor's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Calls that may wait, of all kinds together.
    pub queue_calls_max: usize,
    /// Calls in one batch.
    pub batch_calls_max: usize,
    /// Batches of one kind that may be away at once.
    pub batches_in_flight_max: usize,
}

/// Calls of one kind, in the order they were recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch<K, C> {
    /// Their kind.
    pub kind: K,
    /// The calls; at least one.
    pub calls: Vec<C>,
}

/// The state machine.
#[derive(Clone, Debug)]
pub struct Executor<K, C> {
    limits: Limits,
    lanes: BTreeMap<K, Lane<C>>,
    waiting: usize,
}

#[derive(Clone, Debug)]
struct Lane<C> {
    waiting: VecDeque<C>,
    in_flight: usize,
}

// === impl Executor ===

impl<K: Ord + Copy, C> Executor<K, C> {
    /// An executor with nothing to do.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            lanes: BTreeMap::new(),
            waiting: 0,
        }
    }

    /// Takes a call that was recorded and committed. False when the queue is full: then its row will
    /// fall due.
    pub fn record(&mut self, kind: K, call: C) -> bool {
        if self.waiting >= self.limits.queue_calls_max {
            return false;
        }
        self.waiting += 1;
        self.lanes.entry(kind).or_default().waiting.push_back(call);
        true
    }

    /// The next batch to be sent, if a kind has calls waiting and may send. Among several the one
    /// whose queue is longest goes first, so that none is starved.
    pub fn next_batch(&mut self) -> Option<Batch<K, C>> {
        let limits = self.limits;
        let (kind, lane) = self
            .lanes
            .iter_mut()
            .filter(|(_, lane)| !lane.waiting.is_empty())
            .filter(|(_, lane)| lane.in_flight < limits.batches_in_flight_max)
            .max_by_key(|(_, lane)| lane.waiting.len())?;
        let count = lane.waiting.len().min(limits.batch_calls_max);
        let calls: Vec<C> = lane.waiting.drain(..count).collect();
        lane.in_flight += 1;
        self.waiting -= count;
        Some(Batch { kind: *kind, calls })
    }

    /// A batch of `kind` has come back, whatever came of it.
    pub fn ended(&mut self, kind: K) {
        if let Some(lane) = self.lanes.get_mut(&kind) {
            lane.in_flight = lane.in_flight.saturating_sub(1);
        }
    }

    /// Calls that wait.
    #[must_use]
    pub const fn waiting(&self) -> usize {
        self.waiting
    }

    /// Forgets everything, as a crash does.
    pub fn crash(&mut self) {
        self.lanes.clear();
        self.waiting = 0;
    }
}

// === impl Lane ===

impl<C> Default for Lane<C> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            in_flight: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        queue_calls_max: 5,
        batch_calls_max: 2,
        batches_in_flight_max: 1,
    };

    fn filled(calls: &[(char, u32)]) -> Executor<char, u32> {
        let mut executor = Executor::new(LIMITS);
        for (kind, call) in calls {
            assert!(executor.record(*kind, *call));
        }
        executor
    }

    #[test]
    fn a_batch_takes_what_has_queued_up_to_its_limit() {
        let mut executor = filled(&[('a', 1), ('a', 2), ('a', 3)]);
        assert_eq!(executor.next_batch().unwrap().calls, [1, 2]);
        assert_eq!(executor.next_batch(), None, "one batch of a kind at a time");
        executor.ended('a');
        assert_eq!(executor.next_batch().unwrap().calls, [3]);
    }

    #[test]
    fn a_slow_kind_does_not_hold_up_another() {
        let mut executor = filled(&[('a', 1), ('a', 2), ('a', 3), ('b', 4)]);
        assert_eq!(executor.next_batch().unwrap().kind, 'a');
        assert_eq!(executor.next_batch().unwrap().kind, 'b');
    }

    #[test]
    fn a_full_queue_refuses() {
        let mut executor = filled(&[('a', 1), ('a', 2), ('a', 3), ('b', 4), ('b', 5)]);
        assert!(!executor.record('a', 6));
        executor.next_batch();
        assert!(executor.record('a', 6));
    }

    #[test]
    fn a_crash_forgets_everything() {
        let mut executor = filled(&[('a', 1)]);
        executor.next_batch();
        executor.crash();
        assert_eq!(executor.waiting(), 0);
        assert!(executor.record('a', 1));
        assert!(executor.next_batch().is_some());
    }
}
