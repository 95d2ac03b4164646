//! What becomes of each record of a batch, given what is stored about its subject. No I/O.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::Delivery;
use crate::inbox::{Judge, Key, Known, Verdict};

/// A topic and a subject.
pub type Subject = (String, String);

/// What is stored about the subjects of a batch.
#[derive(Debug, Default)]
pub struct Stored {
    /// By subject; none means never seen.
    pub known: BTreeMap<Subject, Known>,
    /// The records held for subjects that wait for a missing version, in the order of versions.
    pub held: BTreeMap<Subject, Vec<Delivery>>,
}

/// What the inbox is to say about a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The last version applied.
    pub version: i64,
    /// Its event.
    pub event_id: Uuid,
    /// Whether the inbox had a row of the subject before the batch.
    pub known: bool,
}

/// What one transaction does.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// For the handler: fresh, and in order per subject.
    pub fresh: Vec<Delivery>,
    /// For table `parked`, each with its place in the batch.
    pub parked: Vec<(usize, Delivery)>,
    /// Subjects that begin to wait for a missing version.
    pub waiting: BTreeSet<Subject>,
    /// Subjects that wait no more.
    pub flowing: BTreeSet<Subject>,
    /// Held records that are applied now, or turned out to be duplicates.
    pub released: Vec<(Subject, i64)>,
    /// The last version applied of each subject.
    pub applied: BTreeMap<Subject, Applied>,
    /// Records refused by the inbox.
    pub duplicates: usize,
}

/// Decides over `batch`, in its order.
pub fn plan(batch: Vec<Delivery>, mut stored: Stored, judge: impl Fn(&str) -> Judge) -> Plan {
    let mut plan = Plan::default();
    for (place, delivery) in batch.into_iter().enumerate() {
        let subject = subject_of(&delivery);
        let known = stored.known.entry(subject.clone()).or_default();
        let judge = judge(&delivery.topic);
        match judge.classify(
            &delivery.envelope.subject,
            delivery.envelope.version,
            *known,
        ) {
            Verdict::First => {
                plan.apply(&subject, delivery, known);
                let held = stored.held.remove(&subject).unwrap_or_default();
                plan.release(&subject, held, known, judge);
            }
            Verdict::Duplicate => plan.duplicates = plan.duplicates.saturating_add(1),
            Verdict::Parked => plan.parked.push((place, delivery)),
            Verdict::Gap { .. } => plan.hold(&subject, place, delivery, known, &mut stored.held),
        }
    }
    plan
}

/// Where the inbox files a record.
pub fn subject_of(delivery: &Delivery) -> Subject {
    (
        delivery.topic.to_string(),
        delivery.envelope.subject.clone(),
    )
}

// === impl Plan ===

impl Plan {
    fn apply(&mut self, subject: &Subject, delivery: Delivery, known: &mut Known) {
        let (version, event_id) = (delivery.envelope.version, delivery.envelope.id);
        let before = self.applied.get(subject);
        let applied = Applied {
            version,
            event_id,
            known: before.map_or(known.version.is_some(), |before| before.known),
        };
        self.applied.insert(subject.clone(), applied);
        known.version = Some(version);
        self.fresh.push(delivery);
    }

    /// The version that was missing has come: what was held behind it follows, as far as it is
    /// without a gap.
    fn release(&mut self, subject: &Subject, held: Vec<Delivery>, known: &mut Known, judge: Judge) {
        if known.key != Key::Waiting {
            return;
        }
        let mut left = false;
        for delivery in held {
            let version = delivery.envelope.version;
            match judge.classify(&subject.1, version, *known) {
                Verdict::First => self.apply(subject, delivery, known),
                Verdict::Duplicate => {}
                Verdict::Gap { .. } | Verdict::Parked => {
                    left = true;
                    continue;
                }
            }
            self.released.push((subject.clone(), version));
        }
        if !left {
            known.key = Key::Flowing;
            self.waiting.remove(subject);
            self.flowing.insert(subject.clone());
        }
    }

    /// Holds a record back and lets everything else flow.
    fn hold(
        &mut self,
        subject: &Subject,
        place: usize,
        delivery: Delivery,
        known: &mut Known,
        held: &mut BTreeMap<Subject, Vec<Delivery>>,
    ) {
        if known.key == Key::Flowing {
            known.key = Key::Waiting;
            self.waiting.insert(subject.clone());
        }
        // The missing version may come later in the same batch.
        let held = held.entry(subject.clone()).or_default();
        held.push(delivery.clone());
        held.sort_by_key(|delivery| delivery.envelope.version);
        self.parked.push((place, delivery));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use brewline_kernel::{Envelope, Timestamp};
    use bytes::Bytes;

    use super::*;
    use crate::TopicKind;

    fn event(subject: &str, version: i64) -> Delivery {
        Delivery {
            topic: Arc::from("t"),
            partition: 0,
            offset: 0,
            envelope: Envelope {
                id: Uuid::from_u128(u128::try_from(version).unwrap()),
                event_type: "x".to_owned(),
                source: "x".to_owned(),
                subject: subject.to_owned(),
                version,
                time: Timestamp::EPOCH,
                correlation_id: Uuid::nil(),
                causation_id: None,
                traceparent: None,
            },
            payload: Bytes::new(),
        }
    }

    fn events(list: &[(&str, i64)]) -> Vec<Delivery> {
        list.iter()
            .map(|(subject, version)| event(subject, *version))
            .collect()
    }

    fn decide(batch: &[(&str, i64)], stored: Stored) -> Plan {
        plan(events(batch), stored, |_| {
            Judge::new(TopicKind::Events, Timestamp::EPOCH, Duration::ZERO)
        })
    }

    fn fresh(plan: &Plan) -> Vec<(&str, i64)> {
        let pair = |delivery: &'_ Delivery| delivery.envelope.version;
        plan.fresh
            .iter()
            .map(|d| (d.envelope.subject.as_str(), pair(d)))
            .collect()
    }

    fn parked(plan: &Plan) -> Vec<usize> {
        plan.parked.iter().map(|(place, _)| *place).collect()
    }

    fn known(subject: &str, version: i64, key: Key) -> Stored {
        let state = Known {
            version: Some(version),
            key,
        };
        let known = BTreeMap::from([(("t".to_owned(), subject.to_owned()), state)]);
        Stored {
            known,
            held: BTreeMap::new(),
        }
    }

    fn subject(name: &str) -> Subject {
        ("t".to_owned(), name.to_owned())
    }

    #[test]
    fn a_duplicate_inside_a_batch_is_refused_too() {
        let plan = decide(
            &[("a", 1), ("b", 1), ("a", 1), ("a", 2), ("a", 2)],
            Stored::default(),
        );
        assert_eq!(fresh(&plan), [("a", 1), ("b", 1), ("a", 2)]);
        assert_eq!(plan.duplicates, 2);
        let applied = plan.applied[&subject("a")];
        assert_eq!((applied.version, applied.known), (2, false));
    }

    #[test]
    fn records_behind_a_dead_letter_park_and_others_flow() {
        let plan = decide(&[("a", 3), ("b", 1), ("a", 4)], known("a", 1, Key::Parked));
        assert_eq!(fresh(&plan), [("b", 1)]);
        assert_eq!(parked(&plan), [0, 2]);
        assert!(plan.waiting.is_empty());
    }

    #[test]
    fn a_gap_makes_its_subject_wait_and_others_flow() {
        let plan = decide(&[("a", 1), ("a", 3), ("b", 1), ("a", 4)], Stored::default());
        assert_eq!(fresh(&plan), [("a", 1), ("b", 1)]);
        assert_eq!(parked(&plan), [1, 3]);
        assert_eq!(plan.waiting, BTreeSet::from([subject("a")]));
    }

    #[test]
    fn the_missing_version_lets_the_held_ones_follow_it() {
        let mut stored = known("a", 1, Key::Waiting);
        stored
            .held
            .insert(subject("a"), events(&[("a", 3), ("a", 4), ("a", 6)]));
        let plan = decide(&[("a", 2)], stored);
        assert_eq!(fresh(&plan), [("a", 2), ("a", 3), ("a", 4)]);
        assert_eq!(plan.released, [(subject("a"), 3), (subject("a"), 4)]);
        assert!(plan.flowing.is_empty(), "6 is still held");
        let applied = plan.applied[&subject("a")];
        assert_eq!((applied.version, applied.known), (4, true));
    }

    #[test]
    fn a_subject_whose_gap_is_closed_flows_again() {
        let mut stored = known("a", 1, Key::Waiting);
        stored.held.insert(subject("a"), events(&[("a", 3)]));
        let plan = decide(&[("a", 2), ("a", 4)], stored);
        assert_eq!(fresh(&plan), [("a", 2), ("a", 3), ("a", 4)]);
        assert_eq!(plan.flowing, BTreeSet::from([subject("a")]));
    }
}
