//! What becomes of a subject's records when an operator has them handled again. No I/O.

use brewline_failpoint::planted;
use brewline_kafka::Received;
use uuid::Uuid;

use crate::Delivery;
use crate::inbox::{Judge, Key, Known, Verdict};

/// A record that is held back: a dead letter, or parked behind one.
#[derive(Clone, Debug)]
pub(super) struct Held {
    /// The dead letter's id; none for a parked record.
    pub(super) letter: Option<Uuid>,
    /// The record.
    pub(super) record: Received,
    /// The record as an event, or why it is none.
    pub(super) delivery: Result<Delivery, String>,
}

/// What goes to the handler next, and what stands in the way behind that.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Stage {
    /// For the handler, by place among those held: fresh, in the order of versions.
    pub(super) fresh: Vec<usize>,
    /// So many of those held, from the first, are done with once the handler has had the fresh ones.
    pub(super) passed: usize,
    /// So many of these turned out to be applied already.
    pub(super) duplicates: i64,
    /// Why the one behind them cannot be handled; none where there is none, or it comes next.
    pub(super) stuck: Option<String>,
}

// === impl Held ===

impl Held {
    /// The event's version; 0 where the record does not say.
    pub(super) fn version(&self) -> i64 {
        self.delivery
            .as_ref()
            .map_or(0, |delivery| delivery.envelope.version)
    }
}

/// Sorts what is held of one subject as it has to be handled: by version, and of one version the dead
/// letter first.
pub(super) fn sort(held: &mut [Held]) {
    held.sort_by_key(|held| (held.version(), held.letter.is_none(), held.record.offset));
    if planted("redrive-out-of-order") {
        held.reverse();
    }
}

/// The next stage, given the last version applied: at most `most` fresh records.
pub(super) fn stage(held: &[Held], mut applied: Option<i64>, judge: Judge, most: usize) -> Stage {
    let mut stage = Stage::default();
    for (place, held) in held.iter().enumerate() {
        let delivery = match &held.delivery {
            Ok(delivery) => delivery,
            Err(malformed) => {
                stage.stuck = Some(malformed.clone());
                break;
            }
        };
        match verdict(delivery, applied, judge) {
            Verdict::First if stage.fresh.len() >= most => break,
            Verdict::First => {
                applied = Some(delivery.envelope.version);
                stage.fresh.push(place);
            }
            Verdict::Duplicate => stage.duplicates = stage.duplicates.saturating_add(1),
            Verdict::Gap { expected } => {
                stage.stuck = Some(format!("version {expected} is missing"));
                break;
            }
            Verdict::Parked => break,
        }
        stage.passed = stage.passed.saturating_add(1);
    }
    stage
}

/// Which of those held would be without its predecessor if `dropped` were given up: its version and the
/// one it misses, in words. None: it can be given up.
pub(super) fn needs(
    held: &[Held],
    dropped: Uuid,
    applied: Option<i64>,
    judge: Judge,
) -> Option<(i64, String)> {
    let rest: Vec<Held> = held
        .iter()
        .filter(|held| held.letter != Some(dropped))
        .cloned()
        .collect();
    let stage = stage(&rest, applied, judge, usize::MAX);
    let stuck = rest.get(stage.passed)?;
    // One that is no event needs nothing: it is stuck by itself, before and after.
    stuck.delivery.as_ref().ok()?;
    Some((stuck.version(), stage.stuck?))
}

fn verdict(delivery: &Delivery, applied: Option<i64>, judge: Judge) -> Verdict {
    if planted("redrive-out-of-order") || planted("redrive-ignores-inbox") {
        return Verdict::First;
    }
    let known = Known {
        version: applied,
        key: Key::Flowing,
    };
    let envelope = &delivery.envelope;
    judge.classify(&envelope.subject, envelope.version, known)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use brewline_kernel::{Envelope, Timestamp};
    use bytes::Bytes;

    use super::*;
    use crate::TopicKind;

    fn held(version: i64, letter: bool) -> Held {
        let envelope = Envelope {
            id: Uuid::nil(),
            event_type: "x".to_owned(),
            source: "x".to_owned(),
            subject: "a".to_owned(),
            version,
            time: Timestamp::EPOCH,
            correlation_id: Uuid::nil(),
            causation_id: None,
            traceparent: None,
        };
        let delivery = Delivery {
            topic: Arc::from("t"),
            partition: 0,
            offset: version,
            envelope,
            payload: Bytes::new(),
        };
        Held {
            letter: letter.then(|| letter_id(version)),
            record: record(version),
            delivery: Ok(delivery),
        }
    }

    fn record(offset: i64) -> Received {
        Received {
            topic: Arc::from("t"),
            partition: 0,
            offset,
            timestamp: Timestamp::EPOCH,
            key: Bytes::new(),
            payload: None,
            headers: Vec::new(),
        }
    }

    fn letter_id(version: i64) -> Uuid {
        Uuid::from_u128(u128::try_from(version).unwrap())
    }

    fn judge(kind: TopicKind) -> Judge {
        Judge::new(kind, Timestamp::EPOCH, Duration::ZERO)
    }

    fn subject(list: &[(i64, bool)]) -> Vec<Held> {
        let mut all: Vec<Held> = list.iter().map(|(v, letter)| held(*v, *letter)).collect();
        sort(&mut all);
        all
    }

    #[test]
    fn a_dead_letter_and_what_is_parked_follow_in_the_order_of_versions() {
        let held = subject(&[(4, false), (2, true), (3, false)]);
        let stage = stage(&held, Some(1), judge(TopicKind::Events), 2);
        assert_eq!((stage.fresh, stage.passed), (vec![0, 1], 2));
        assert_eq!(held[2].version(), 4);
        assert_eq!(stage.stuck, None);
    }

    #[test]
    fn what_is_applied_already_is_passed_by() {
        let held = subject(&[(2, true), (2, false), (3, false)]);
        let stage = stage(&held, Some(2), judge(TopicKind::Events), 9);
        assert_eq!(
            (stage.fresh, stage.passed, stage.duplicates),
            (vec![2], 3, 2)
        );
    }

    #[test]
    fn a_missing_version_stands_in_the_way() {
        let held = subject(&[(2, true), (4, false)]);
        let stage = stage(&held, Some(1), judge(TopicKind::Events), 9);
        assert_eq!(stage.passed, 1);
        assert_eq!(stage.stuck.as_deref(), Some("version 3 is missing"));
    }

    #[test]
    fn a_record_that_is_no_event_stands_in_the_way_of_all() {
        let mut no_event = held(1, true);
        no_event.delivery = Err("header ce_type is missing".to_owned());
        let mut held = vec![held(1, false), no_event];
        sort(&mut held);
        let stage = stage(&held, None, judge(TopicKind::Events), 9);
        assert_eq!(stage.passed, 0);
        assert_eq!(stage.stuck.as_deref(), Some("header ce_type is missing"));
    }

    #[test]
    fn a_letter_that_a_parked_event_follows_is_needed() {
        for (kind, list, applied, needed) in [
            (TopicKind::Events, vec![(2, true), (3, false)], 1, Some(3)),
            (TopicKind::Events, vec![(2, true)], 1, None),
            (TopicKind::Events, vec![(2, true), (3, false)], 2, None),
            (TopicKind::Events, vec![(2, true), (4, true)], 1, Some(4)),
            (TopicKind::Compacted, vec![(2, true), (3, false)], 1, None),
        ] {
            let found = needs(&subject(&list), letter_id(2), Some(applied), judge(kind));
            assert_eq!(
                found.map(|(version, _)| version),
                needed,
                "{kind:?} {list:?}"
            );
        }
    }
}
