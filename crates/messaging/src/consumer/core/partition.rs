use std::collections::VecDeque;
use std::time::Duration;

use brewline_kafka::TopicPartition;

use super::batch::{Item, Move};

/// A partition that is ours, and what was fetched of it.
#[derive(Debug)]
pub(super) struct Partition<R> {
    pub(super) epoch: i64,
    pub(super) position: i64,
    pub(super) fetched: i64,
    pub(super) queue: VecDeque<Item<R>>,
    pub(super) state: State,
}

/// Whether batches may take from a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Flowing,
    Refused { until: Duration },
    Paused { until: Duration },
}

// === impl Partition ===

impl<R> Partition<R> {
    pub(super) fn skip_to(&mut self, position: i64) {
        self.position = self.position.max(position);
        self.fetched = self.fetched.max(position);
        while self
            .queue
            .front()
            .is_some_and(|item| item.offset < self.position)
        {
            self.queue.pop_front();
        }
    }

    pub(super) fn moved(&self, place: TopicPartition, taken: Option<&[Item<R>]>) -> Option<Move> {
        let taken = taken?;
        let last = taken.last()?;
        Some(Move {
            place,
            epoch: self.epoch,
            first: self.position,
            next: last.offset.saturating_add(1),
            items: taken.len(),
        })
    }
}
