use std::collections::BTreeMap;
use std::time::Duration;

use brewline_kernel::Timestamp;

use crate::risk::{Rule, Rules, Seen, Subject};

/// A window is counted in so many slices.
const SLICES: u32 = 10;

/// What the rules counted of one subject: a fold of its authorisations.
///
/// A rule's count is kept in slices of its window, so that a tally is small however busy its subject
/// is, and counting is a sum. A slice counts until its last instant has left the window: what is
/// counted is at least the window and at most a tenth more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    counts: BTreeMap<String, Vec<Slice>>,
}

/// How many were seen in one slice of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// When it begins.
    pub from: Timestamp,
    /// When what was seen in it stops to count.
    pub until: Timestamp,
    /// How many.
    pub count: u32,
}

// === impl Tally ===

impl Tally {
    /// As it was kept: the slices of each rule, by its name.
    #[must_use]
    pub const fn new(counts: BTreeMap<String, Vec<Slice>>) -> Self {
        Self { counts }
    }

    /// The slices of each rule, by its name.
    #[must_use]
    pub const fn counts(&self) -> &BTreeMap<String, Vec<Slice>> {
        &self.counts
    }

    /// How many a rule counts at `now`.
    #[must_use]
    pub fn count(&self, rule: &Rule, now: Timestamp) -> u32 {
        self.counts
            .get(&rule.name)
            .into_iter()
            .flatten()
            .filter(|slice| slice.until > now)
            .fold(0, |sum, slice| sum.saturating_add(slice.count))
    }

    /// Takes in what was seen of this `subject`, and drops what no rule counts any more.
    pub fn fold(&mut self, rules: &Rules, subject: Subject, seen: Seen, now: Timestamp) {
        self.prune(rules, subject, now);
        for rule in rules.of(subject).filter(|rule| rule.counted.counts(seen)) {
            let slices = self.counts.entry(rule.name.clone()).or_default();
            let fresh = Slice::at(rule.window, now);
            match slices.iter_mut().find(|slice| slice.from == fresh.from) {
                Some(slice) => slice.count = slice.count.saturating_add(1),
                None => slices.push(fresh),
            }
        }
    }

    /// When nothing in it counts any more; none when nothing does already.
    #[must_use]
    pub fn until(&self) -> Option<Timestamp> {
        let slices = self.counts.values().flatten();
        slices.map(|slice| slice.until).max()
    }

    fn prune(&mut self, rules: &Rules, subject: Subject, now: Timestamp) {
        self.counts.retain(|name, slices| {
            slices.retain(|slice| slice.until > now);
            !slices.is_empty() && rules.of(subject).any(|rule| rule.name == *name)
        });
    }
}

// === impl Slice ===

impl Slice {
    /// The slice of a window that `now` falls into, with one in it.
    fn at(window: Duration, now: Timestamp) -> Self {
        let width = window / SLICES;
        let micros = i64::try_from(width.as_micros()).unwrap_or(i64::MAX).max(1);
        let from = now
            .as_micros()
            .saturating_sub(now.as_micros().rem_euclid(micros));
        let from = Timestamp::from_micros(from);
        Self {
            from,
            until: from.plus(width).plus(window),
            count: 1,
        }
    }
}
