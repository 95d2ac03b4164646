//! What a relay decides for one slot: which rows to read, which to send, how far the watermark may
//! go. No I/O, no clock; the driver does what it is told, and so can a simulator.
//!
//! Positions are drawn inside transactions that commit later, in any order, or never. So a read may
//! show position 7 while 5 is missing, and nobody can tell by looking whether 5 will still appear.
//!
//! * **Nothing waits for a gap.** Row 7 is sent at once and 5 is remembered. That keeps the order of
//!   each key: a later version is written only after its predecessor has committed, so it has the
//!   higher position, and whoever sees it sees the predecessor in the same read or an earlier one.
//! * **A gap is dead by proof, not by patience.** A writer takes its transaction id before it draws a
//!   position. So when a gap has been noticed, any id given out afterwards (the *bound*: the mark's own
//!   transaction has one) is higher than that writer's. Once a snapshot's `xmin` is above the bound,
//!   that writer is over; if the row is invisible in the same snapshot, it was rolled back.
//! * **The watermark** is the highest position at or below which every row is acknowledged or dead.
//!   A restart begins there: it may repeat rows, it never skips one.
//! * **A key has one record in flight.** The next one is handed out when it is acknowledged. Would
//!   both be with the producer, the first could time out and the second get through, and the log
//!   would hold the versions inverted.

use std::collections::{BTreeMap, VecDeque};

use brewline_failpoint::planted;

/// How much a slot may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Rows read at once.
    pub batch_rows: usize,
    /// Rows read and not yet acknowledged.
    pub unacked_rows_max: usize,
    /// Gaps remembered; beyond, only gaps are read until some are filled or dead.
    pub gaps_max: usize,
}

/// A row of the outbox as the core sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row<R> {
    /// Its position in the slot.
    pub position: i64,
    /// Names its topic and subject; two keys may collide, which only makes them wait for each other.
    pub key: u64,
    /// What is to be sent.
    pub record: R,
}

/// What to read, in one snapshot, ordered by position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// Rows above this position …
    pub after: i64,
    /// … and those inside these ranges, both ends included …
    pub gaps: Vec<(i64, i64)>,
    /// … together at most so many.
    pub limit: usize,
}

/// A row to hand to the producer now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Send<R> {
    /// Comes back with the acknowledgement.
    pub ticket: Ticket,
    /// What is to be sent.
    pub record: R,
}

/// Names a send. One from before a reset means nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    generation: u64,
    position: i64,
}

/// A watermark to be written; the transaction that writes it yields the bound for the gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The watermark.
    pub watermark: i64,
    reads: u64,
}

/// The state of one slot under one lease.
#[derive(Clone, Debug)]
pub struct Core<R> {
    limits: Limits,
    generation: u64,
    reads: u64,
    marked: i64,
    max_read: i64,
    // By first position; ranges, because a sequence may jump far.
    gaps: BTreeMap<i64, Gap>,
    // Read and not acknowledged: in flight, or held behind the same key's earlier row.
    unacked: BTreeMap<i64, u64>,
    // Keys with a row in flight, and what is held behind it.
    busy: BTreeMap<u64, VecDeque<Row<R>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Gap {
    last: i64,
    noticed_in_read: u64,
    bound: Option<i64>,
}

// === impl Core ===

impl<R> Core<R> {
    /// A slot whose lease was just claimed, with the watermark found there.
    #[must_use]
    pub const fn new(limits: Limits, watermark: i64) -> Self {
        Self {
            limits,
            generation: 0,
            reads: 0,
            marked: watermark,
            max_read: watermark,
            gaps: BTreeMap::new(),
            unacked: BTreeMap::new(),
            busy: BTreeMap::new(),
        }
    }

    /// What to read next; nothing while too many rows are unacknowledged.
    #[must_use]
    pub fn next_read(&self) -> Option<Read> {
        let room = self
            .limits
            .unacked_rows_max
            .saturating_sub(self.unacked.len());
        let limit = room.min(self.limits.batch_rows);
        let after = if self.gaps.len() < self.limits.gaps_max {
            self.max_read
        } else {
            i64::MAX
        };
        let gaps = self
            .gaps
            .iter()
            .map(|(first, gap)| (*first, gap.last))
            .collect();
        (limit > 0).then_some(Read { after, gaps, limit })
    }

    /// Takes what `read` showed, in a snapshot below whose `xmin` every transaction is over.
    pub fn rows(&mut self, read: &Read, rows: Vec<Row<R>>, xmin: i64) -> Vec<Send<R>> {
        self.reads = self.reads.saturating_add(1);
        // A full read says nothing about what lies above its last row.
        let seen_up_to = match rows.last() {
            Some(last) if rows.len() >= read.limit => last.position,
            _ => i64::MAX,
        };
        let mut sends = Vec::with_capacity(rows.len());
        for row in rows {
            self.fill(row.position);
            self.unacked.insert(row.position, row.key);
            sends.extend(self.send_or_hold(row));
        }
        self.bury(xmin, seen_up_to);
        sends
    }

    /// Takes an acknowledgement; hands out the key's next row.
    pub fn acked(&mut self, ticket: Ticket) -> Option<Send<R>> {
        if ticket.generation != self.generation {
            return None;
        }
        let key = self.unacked.remove(&ticket.position)?;
        let held = self.busy.get_mut(&key)?;
        let Some(next) = held.pop_front() else {
            self.busy.remove(&key);
            return None;
        };
        Some(self.send(next))
    }

    /// Takes a failed delivery. True when the producer's queue is to be purged: everything above the
    /// last mark will be read and sent again, and no earlier ticket counts any more.
    pub fn failed(&mut self, ticket: Ticket) -> bool {
        if ticket.generation != self.generation {
            return false;
        }
        self.reset();
        true
    }

    /// Forgets everything above the last mark.
    pub fn reset(&mut self) {
        self.generation = self.generation.saturating_add(1);
        self.max_read = self.marked;
        self.gaps.clear();
        self.unacked.clear();
        self.busy.clear();
    }

    /// What to write down, when there is anything new: a higher watermark, or gaps without a bound.
    #[must_use]
    pub fn next_mark(&self) -> Option<Mark> {
        let mark = self.mark();
        let unbounded = self.gaps.values().any(|gap| gap.bound.is_none());
        (mark.watermark > self.marked || unbounded).then_some(mark)
    }

    /// What to write down even if nothing is new: it renews the lease.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark {
            watermark: self.watermark(),
            reads: self.reads,
        }
    }

    /// Takes the answer to a mark: `xid` is the id of the transaction that wrote it.
    pub fn marked(&mut self, mark: Mark, xid: i64) {
        self.marked = self.marked.max(mark.watermark);
        for gap in self.gaps.values_mut() {
            // A gap noticed after the mark was taken may belong to a writer with a higher id.
            if gap.noticed_in_read <= mark.reads && gap.bound.is_none() {
                gap.bound = Some(xid);
            }
        }
    }

    /// Whether every row read is acknowledged.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.unacked.is_empty()
    }

    /// Rows read and not acknowledged.
    #[must_use]
    pub fn unacked_rows(&self) -> usize {
        self.unacked.len()
    }

    /// Ranges of positions that may still appear.
    #[must_use]
    pub fn open_gaps(&self) -> usize {
        self.gaps.len()
    }

    fn watermark(&self) -> i64 {
        let below = |position: &i64| position.saturating_sub(1);
        let gap = self.gaps.keys().next().map(below);
        let mut unacked = self.unacked.keys().next().map(below);
        if planted("relay-marks-before-ack") {
            unacked = None;
        }
        let lowest = gap.into_iter().chain(unacked).min();
        lowest.unwrap_or(self.max_read)
    }

    /// A row has appeared at `position`: in a gap, or above everything read so far.
    fn fill(&mut self, position: i64) {
        if position > self.max_read {
            self.notice_gap(self.max_read.saturating_add(1), position.saturating_sub(1));
            self.max_read = position;
            return;
        }
        let around = self.gaps.range(..=position).next_back();
        let Some((&first, &gap)) = around.filter(|(_, gap)| gap.last >= position) else {
            return;
        };
        self.gaps.remove(&first);
        let left = Gap {
            last: position.saturating_sub(1),
            ..gap
        };
        for (first, part) in [(first, left), (position.saturating_add(1), gap)] {
            if first <= part.last {
                self.gaps.insert(first, part);
            }
        }
    }

    fn notice_gap(&mut self, first: i64, last: i64) {
        if first > last || planted("relay-skips-gaps") {
            return;
        }
        let gap = Gap {
            last,
            noticed_in_read: self.reads,
            bound: None,
        };
        self.gaps.insert(first, gap);
    }

    /// Drops the gaps whose writers are proved to be over. What is left of a gap after this read's
    /// rows were filled in was invisible in the snapshot, as far as the read reached.
    fn bury(&mut self, xmin: i64, seen_up_to: i64) {
        self.gaps.retain(|_, gap| {
            let over = gap.bound.is_some_and(|bound| bound < xmin);
            !(over && gap.last <= seen_up_to)
        });
    }

    fn send_or_hold(&mut self, row: Row<R>) -> Option<Send<R>> {
        if let Some(held) = self.busy.get_mut(&row.key) {
            held.push_back(row);
            return None;
        }
        self.busy.insert(row.key, VecDeque::new());
        Some(self.send(row))
    }

    fn send(&self, row: Row<R>) -> Send<R> {
        let ticket = Ticket {
            generation: self.generation,
            position: row.position,
        };
        Send {
            ticket,
            record: row.record,
        }
    }
}

#[cfg(test)]
mod tests;
