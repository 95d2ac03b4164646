use brewline_kafka::TopicPartition;
use std::time::Duration;

/// A record as the core sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item<R> {
    /// Its place in the partition.
    pub offset: i64,
    /// Its size.
    pub bytes: usize,
    /// The record.
    pub record: R,
}

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
pub enum Task<R> {
    /// Claim these partitions again: raise their epochs and read their positions.
    Claim(Vec<TopicPartition>),
    /// Apply this in one transaction.
    Apply(Batch<R>),
    /// Nothing until something comes, or until then.
    Wait(Option<Duration>),
}

/// What goes into one transaction.
#[derive(Debug, PartialEq, Eq)]
pub struct Batch<R> {
    /// The positions to move, all or none.
    pub moves: Vec<Move>,
    /// The records, in the order of `moves`, each partition's in the order of the log.
    pub items: Vec<Item<R>>,
    /// Whether this is one record under doubt.
    pub doubt: Doubt,
}

/// Moves a position from `first` to `next` if the partition still has this epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// The partition.
    pub place: TopicPartition,
    /// The epoch it was claimed with.
    pub epoch: i64,
    /// Where the position is.
    pub first: i64,
    /// Where it goes.
    pub next: i64,
    /// How many of the batch's items are this partition's.
    pub items: usize,
}

/// Whether a batch is one record under doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// It is not.
    None,
    /// It is: count it before it is handled.
    Count,
    /// It is, and it was counted before an outage came in between.
    Counted,
}

/// Whether a counted record is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chance {
    /// It is.
    Try,
    /// It was tried often enough.
    Exhausted,
    /// It has ended the process often enough.
    Deadly,
}

// === impl Batch ===

impl<R> Batch<R> {
    /// The place of the one record, when it is alone.
    #[must_use]
    pub fn lone(&self) -> Option<(TopicPartition, i64)> {
        match (self.moves.as_slice(), self.items.as_slice()) {
            ([step], [item]) => Some((step.place.clone(), item.offset)),
            _ => None,
        }
    }

    /// That place in words: topic/partition/offset.
    #[must_use]
    pub fn lone_name(&self) -> Option<String> {
        let (place, offset) = self.lone()?;
        Some(format!("{place}/{offset}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_record_is_named_by_its_place() {
        let place = TopicPartition {
            topic: "orders".into(),
            partition: 3,
        };
        let step = Move {
            place,
            epoch: 1,
            first: 41,
            next: 42,
            items: 1,
        };
        let item = Item {
            offset: 41,
            bytes: 0,
            record: (),
        };
        let mut batch = Batch {
            moves: vec![step],
            items: vec![item.clone()],
            doubt: Doubt::Counted,
        };
        assert_eq!(batch.lone_name().as_deref(), Some("orders/3/41"));
        batch.items.push(item);
        assert_eq!(batch.lone_name(), None, "it is not alone");
    }
}
