//! What a consumer already knows about a subject decides what an incoming event is to it.
//!
//! The inbox holds one row a subject, not one an event: versions of a subject come in order, so the
//! last one applied says everything. Nothing here does I/O.

use std::time::Duration;

use brewline_failpoint::planted;
use brewline_kernel::Timestamp;
use uuid::Uuid;

use crate::TopicKind;

/// What an event is to a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not applied yet, and its turn.
    First,
    /// Applied already, or on a compacted topic superseded: nothing to do.
    Duplicate,
    /// A version before it is missing.
    Gap {
        /// The version that should have come.
        expected: i64,
    },
    /// Its subject is parked: it waits behind a dead letter.
    Parked,
}

/// What is stored about a subject.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The last version applied; none where there is no row.
    pub version: Option<i64>,
    /// Whether the subject may move on.
    pub key: Key,
}

/// Whether a subject may move on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Key {
    /// It may.
    #[default]
    Flowing,
    /// Later versions are held until the missing one comes.
    Waiting,
    /// It stays behind a dead letter until an operator decides.
    Parked,
}

/// How events of one topic are judged at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Judge {
    /// What the topic's records are.
    pub kind: TopicKind,
    /// Rows of subjects born before this may have been pruned.
    pub remembers_since: Timestamp,
}

// === impl Judge ===

impl Judge {
    /// A judge of a topic at `now`, with an inbox that keeps the rows of ended subjects for `memory`.
    #[must_use]
    pub fn new(kind: TopicKind, now: Timestamp, memory: Duration) -> Self {
        let memory = i64::try_from(memory.as_micros()).unwrap_or(i64::MAX);
        Self {
            kind,
            remembers_since: Timestamp::from_micros(now.as_micros().saturating_sub(memory)),
        }
    }

    /// What version `version` of `subject` is to a consumer that knows `known`.
    #[must_use]
    pub fn classify(&self, subject: &str, version: i64, known: Known) -> Verdict {
        let applied = known.version.unwrap_or(0);
        if version <= applied && !takes_duplicates() {
            return Verdict::Duplicate;
        }
        if known.key == Key::Parked {
            return Verdict::Parked;
        }
        let expected = applied.saturating_add(1);
        let in_turn = version <= expected
            || self.kind == TopicKind::Compacted
            || (known.version.is_none() && self.may_be_forgotten(subject));
        if in_turn {
            Verdict::First
        } else {
            Verdict::Gap { expected }
        }
    }

    /// Only rows of subjects that end are pruned, and those are named by a UUID of version 7, which
    /// tells when it was made. Of one made before the inbox's memory begins, a missing row proves
    /// nothing; such an event is taken as it comes.
    fn may_be_forgotten(&self, subject: &str) -> bool {
        born(subject).is_some_and(|born| born < self.remembers_since)
    }
}

/// Planted: what was applied before is taken for new.
fn takes_duplicates() -> bool {
    planted("consumer-ignores-inbox") || planted("duplicate-takes-effect")
}

/// When a subject named by a UUID of version 7 was made.
fn born(subject: &str) -> Option<Timestamp> {
    let uuid = Uuid::try_parse(subject).ok()?;
    let (seconds, nanos) = uuid.get_timestamp()?.to_unix();
    let micros = i64::try_from(seconds).ok()?.checked_mul(1_000_000)?;
    (uuid.get_version_num() == 7)
        .then(|| Timestamp::from_micros(micros.saturating_add(i64::from(nanos / 1_000))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3_600);
    /// 2026-11-21T00:00:00Z.
    const NOW: Timestamp = Timestamp::from_millis(1_795_219_200_000);

    fn judge(kind: TopicKind) -> Judge {
        Judge::new(kind, NOW, DAY * 14)
    }

    fn known(version: i64, key: Key) -> Known {
        Known {
            version: (version > 0).then_some(version),
            key,
        }
    }

    #[test]
    fn events_are_applied_in_the_order_of_versions() {
        let judge = judge(TopicKind::Events);
        for (version, applied, verdict) in [
            (1, 0, Verdict::First),
            (2, 1, Verdict::First),
            (1, 1, Verdict::Duplicate),
            (1, 5, Verdict::Duplicate),
            (3, 1, Verdict::Gap { expected: 2 }),
            (2, 0, Verdict::Gap { expected: 1 }),
        ] {
            let got = judge.classify("a", version, known(applied, Key::Flowing));
            assert_eq!(got, verdict, "version {version} after {applied}");
        }
    }

    #[test]
    fn of_whole_states_only_the_newest_counts() {
        let judge = judge(TopicKind::Compacted);
        let classify = |version| judge.classify("a", version, known(4, Key::Flowing));
        assert_eq!(classify(9), Verdict::First);
        assert_eq!(classify(4), Verdict::Duplicate);
        assert_eq!(classify(3), Verdict::Duplicate);
    }

    #[test]
    fn a_parked_subject_takes_nothing_new_and_still_knows_duplicates() {
        let judge = judge(TopicKind::Events);
        assert_eq!(
            judge.classify("a", 2, known(1, Key::Parked)),
            Verdict::Parked
        );
        assert_eq!(
            judge.classify("a", 1, known(1, Key::Parked)),
            Verdict::Duplicate
        );
    }

    #[test]
    fn a_waiting_subject_takes_the_missing_version() {
        let judge = judge(TopicKind::Events);
        assert_eq!(
            judge.classify("a", 2, known(1, Key::Waiting)),
            Verdict::First
        );
        assert_eq!(
            judge.classify("a", 4, known(1, Key::Waiting)),
            Verdict::Gap { expected: 2 }
        );
    }

    #[test]
    fn a_subject_older_than_the_memory_is_taken_as_it_comes() {
        let judge = judge(TopicKind::Events);
        let made = |day: u64| {
            let seconds = 1_795_219_200 - day * 24 * 3_600;
            Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, 0)).to_string()
        };
        let fresh = Known::default();
        assert_eq!(judge.classify(&made(15), 5, fresh), Verdict::First);
        assert_eq!(
            judge.classify(&made(13), 5, fresh),
            Verdict::Gap { expected: 1 }
        );
        assert_eq!(
            judge.classify("store/product", 5, fresh),
            Verdict::Gap { expected: 1 }
        );
    }

    proptest! {
        #[test]
        fn any_arrival_of_ordered_events_with_repeats_applies_each_once(
            repeats in prop::collection::vec((1..=8_i64, 1..=8_i64), 0..30),
        ) {
            let judge = judge(TopicKind::Events);
            let mut arrivals: Vec<i64> = (1..=8).collect();
            for (version, after) in repeats {
                // A repeat comes anywhere after the first occurrence.
                let first = arrivals.iter().position(|v| *v == version).unwrap();
                let place = (first + 1 + usize::try_from(after).unwrap()).min(arrivals.len());
                arrivals.insert(place, version);
            }
            let mut state = Known::default();
            let mut applied = Vec::new();
            for version in arrivals {
                if judge.classify("a", version, state) == Verdict::First {
                    applied.push(version);
                    state.version = Some(version);
                }
            }
            prop_assert_eq!(applied, (1..=8).collect::<Vec<_>>());
        }
    }
}
