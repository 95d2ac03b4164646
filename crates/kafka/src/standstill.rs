//! Finds partitions that are no longer fetched although their log goes on.
//!
//! A client can lose a partition for good. When a broker is fenced while a fetch or a produce request
//! is away, its answer names no leader; the client may then wait for one for ever, although the broker
//! is well again and every later answer names it (librdkafka issue 5430, in 2.12 to 2.14). Nothing is
//! reported: the partition is silent, like one that nobody writes to. So a partition that has stood
//! still for a while has its end looked up, and when it still stands there a while later, below that
//! end, the client is to be replaced.
//!
//! And a client can lose its brokers. One that is told of a cluster without brokers, as a cluster of one is
//! while that one is fenced, gives up all it knows, those it began with included (2.12: it decommissions
//! what metadata do not name), and connects to nobody ever after. Its group puts it out, and again nothing
//! is reported. So a member without partitions whose client finds no broker for a while gets a new one.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::TopicPartition;

/// The longest the question for an end may take. A client that has just been refused waits a moment before
/// it asks again, and holds this question back as well.
pub(crate) const ANSWER_WAIT: Duration = Duration::from_secs(1);

/// What is known of the partitions that somebody reads.
#[derive(Debug)]
pub(crate) struct Standstill {
    /// How long a partition stands still before its end is asked for, and from one time to the next.
    patience: Duration,
    stands: BTreeMap<TopicPartition, Stand>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stand {
    next: i64,
    /// Since when, or when its end was asked for last.
    since: Instant,
    found: Found,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// It moved, or has nothing to read.
    Nothing,
    /// Something lies there to be read; it may be on its way.
    Records,
    /// So it was a while later too. A client made anew did not change it, or soon will: where the log
    /// ends without a record (compaction may leave that), no client ever gets further.
    Reported,
}

/// Whether a client has nobody to talk to, and nothing to lose by being replaced.
#[derive(Debug, Default)]
pub(crate) struct CutOff {
    since: Option<Instant>,
}

/// A client that complains knows of brokers and goes on trying: it is given so much more patience.
const PATIENCE_IN_TROUBLE: u32 = 6;

// === impl CutOff ===

impl CutOff {
    /// A broker answered, or there was no need to ask.
    pub(crate) const fn reached(&mut self) {
        self.since = None;
    }

    /// No broker answered a member without partitions. True when it has been so for long enough: counting
    /// begins anew then.
    pub(crate) fn unreached(&mut self, complains: bool, patience: Duration, now: Instant) -> bool {
        let since = *self.since.get_or_insert(now);
        let factor = if complains { PATIENCE_IN_TROUBLE } else { 1 };
        let is_over = now.saturating_duration_since(since) >= patience.saturating_mul(factor);
        if is_over {
            self.since = None;
        }
        is_over
    }
}

// === impl Standstill ===

impl Standstill {
    pub(crate) const fn new(patience: Duration) -> Self {
        Self {
            patience,
            stands: BTreeMap::new(),
        }
    }

    /// Notes the next offsets of all partitions that are read. Answers the one whose end is to be looked
    /// up now, if any: the one that has waited longest, so that each has its turn. A client in trouble
    /// may not find out; then it is asked again.
    pub(crate) fn question(
        &mut self,
        reading: &BTreeMap<TopicPartition, i64>,
        now: Instant,
    ) -> Option<TopicPartition> {
        for (partition, stand) in &mut self.stands {
            // Paused or not ours at the moment: its silence means nothing.
            if !reading.contains_key(partition) && stand.found != Found::Reported {
                stand.since = now;
                stand.found = Found::Nothing;
            }
        }
        for (partition, next) in reading {
            let fresh = Stand {
                next: *next,
                since: now,
                found: Found::Nothing,
            };
            let stand = self.stands.entry(partition.clone()).or_insert(fresh);
            if stand.next != *next {
                *stand = fresh;
            }
        }
        let (partition, _) = self
            .stands
            .iter()
            .filter(|(partition, _)| reading.contains_key(*partition))
            .filter(|(_, stand)| now.saturating_duration_since(stand.since) >= self.patience)
            .min_by_key(|(_, stand)| stand.since)?;
        Some(partition.clone())
    }

    /// The end of a partition was looked up. True, once, when the client has lost it.
    pub(crate) fn answered(&mut self, partition: &TopicPartition, end: i64, now: Instant) -> bool {
        let Some(stand) = self.stands.get_mut(partition) else {
            return false;
        };
        stand.since = now;
        let before = stand.found;
        stand.found = match before {
            _ if end <= stand.next => Found::Nothing,
            Found::Nothing => Found::Records,
            Found::Records | Found::Reported => Found::Reported,
        };
        (before, stand.found) == (Found::Records, Found::Reported)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    /// A partition read up to `next`, looked at every `PATIENCE`.
    struct World {
        standstill: Standstill,
        now: Instant,
        partition: TopicPartition,
    }

    impl World {
        fn new() -> Self {
            Self {
                standstill: Standstill::new(PATIENCE),
                now: Instant::now(),
                partition: TopicPartition::new("orders", 0),
            }
        }

        fn question(&mut self, next: Option<i64>) -> Option<TopicPartition> {
            let reading = next.map(|next| (self.partition.clone(), next));
            let reading = reading.into_iter().collect();
            self.standstill.question(&reading, self.now)
        }

        /// A while later, whether it is found lost with this end.
        fn later(&mut self, next: Option<i64>, end: i64) -> bool {
            self.now += PATIENCE;
            let asked = self.question(next);
            asked.is_some_and(|asked| self.standstill.answered(&asked, end, self.now))
        }
    }

    #[test]
    fn a_client_that_reaches_nobody_is_cut_off_after_a_while_and_a_complaining_one_later() {
        let (mut cut_off, mut now) = (CutOff::default(), Instant::now());
        assert!(!cut_off.unreached(false, PATIENCE, now));
        now += PATIENCE;
        assert!(!cut_off.unreached(true, PATIENCE, now));
        assert!(cut_off.unreached(false, PATIENCE, now));
        assert!(!cut_off.unreached(false, PATIENCE, now), "it counts anew");
        now += PATIENCE * 5;
        assert!(!cut_off.unreached(true, PATIENCE, now));
        cut_off.reached();
        now += PATIENCE;
        assert!(
            !cut_off.unreached(true, PATIENCE, now),
            "one answered meanwhile"
        );
        now += PATIENCE * 6;
        assert!(cut_off.unreached(true, PATIENCE, now));
    }

    #[test]
    fn a_partition_that_stands_below_its_end_is_lost() {
        let mut world = World::new();
        world.question(Some(5));
        assert!(!world.later(Some(5), 7), "records may be on their way");
        assert!(world.later(Some(5), 7));
    }

    #[test]
    fn one_that_moves_or_has_nothing_to_read_is_not() {
        let mut world = World::new();
        world.question(Some(5));
        for next in 6..20 {
            assert!(!world.later(Some(next), 100));
        }
        assert!(!world.later(Some(19), 19));
        assert!(!world.later(Some(19), 19));
    }

    #[test]
    fn nothing_is_asked_before_it_has_stood_still_for_a_while() {
        let mut world = World::new();
        assert_eq!(world.question(Some(5)), None);
        world.now += PATIENCE / 2;
        assert_eq!(world.question(Some(5)), None);
        world.now += PATIENCE / 2;
        assert!(world.question(Some(5)).is_some());
        let again = world.question(Some(5)).expect("there was no answer");
        assert!(!world.standstill.answered(&again, 5, world.now));
        assert_eq!(world.question(Some(5)), None, "answered a moment ago");
    }

    #[test]
    fn a_pause_is_no_standstill() {
        let mut world = World::new();
        world.question(Some(5));
        assert!(!world.later(Some(5), 7));
        assert!(!world.later(None, 7));
        assert!(!world.later(Some(5), 7), "it has only just gone on");
    }

    #[test]
    fn what_a_new_client_cannot_change_is_told_once() {
        let mut world = World::new();
        world.question(Some(5));
        let told = (0..10).filter(|_| world.later(Some(5), 7)).count();
        assert_eq!(told, 1);
        // Gone for a moment while the client is replaced, and back at the same place.
        assert!(!world.later(None, 7));
        assert!(!(0..10).any(|_| world.later(Some(5), 7)));
        assert!(!world.later(Some(6), 7));
        assert!(!world.later(Some(6), 7));
        assert!(world.later(Some(6), 7), "it moved, and stands again");
    }
}
