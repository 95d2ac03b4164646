use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use brewline_kernel::Timestamp;

use crate::Map;
use crate::bytes::{Malformed, Reader, Writer};

/// How long an order's version is remembered after its last change, by the time of its partition's events.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// Orders remembered a partition: 16 minutes at 250 a second, some 25 MiB. Duplicates come from a relay that
/// dies, and are seconds old.
const ORDERS_MAX: usize = 250_000;

/// Which version of each order was applied, by partition. Partitions are apart, so that what is forgotten
/// depends on the partition's own order alone.
#[derive(Clone, Debug, Default)]
pub struct Versions(BTreeMap<i32, Partition>);

#[derive(Clone, Debug, Default)]
struct Partition {
    known: Map<Arc<str>, i64>,
    /// In the order of the partition; only the last entry of an order counts.
    changes: VecDeque<(Arc<str>, i64, Timestamp)>,
    newest: Timestamp,
    /// Whatever is not known and not younger may have been forgotten.
    forgotten: Timestamp,
}

/// What an event is, by its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    Fresh,
    Duplicate,
    /// So old that it cannot be told from a duplicate.
    TooOld,
}

// === impl Versions ===

impl Versions {
    /// Notes an event, unless it is not fresh.
    pub(crate) fn note(
        &mut self,
        partition: i32,
        subject: &Arc<str>,
        version: i64,
        at: Timestamp,
    ) -> Age {
        let partition = self.0.entry(partition).or_default();
        let age = partition.age(subject, version, at);
        if age == Age::Fresh {
            partition.note(subject, version, at);
        }
        age
    }

    /// The version applied of an order, if it is remembered.
    pub(crate) fn of(&self, subject: &str) -> Option<i64> {
        self.0
            .values()
            .find_map(|partition| partition.known.get(subject).copied())
    }

    /// Whether an order that began then may have been applied and forgotten.
    pub(crate) fn may_be_forgotten(&self, began: Timestamp) -> bool {
        self.0
            .values()
            .any(|partition| began <= partition.forgotten)
    }

    /// How many orders are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.values().map(|partition| partition.known.len()).sum()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn texts(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.values().flat_map(|partition| partition.known.keys())
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        out.count(self.0.len());
        for (number, partition) in &self.0 {
            out.signed(i64::from(*number));
            partition.write(out);
        }
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut partitions = BTreeMap::new();
        for _ in 0..from.count()? {
            let number = i32::try_from(from.signed()?).map_err(|_| Malformed("a partition"))?;
            partitions.insert(number, Partition::read(from)?);
        }
        Ok(Self(partitions))
    }
}

// === impl Partition ===

impl Partition {
    fn age(&self, subject: &str, version: i64, at: Timestamp) -> Age {
        match self.known.get(subject) {
            Some(known) if version <= *known => Age::Duplicate,
            None if at <= self.forgotten => Age::TooOld,
            Some(_) | None => Age::Fresh,
        }
    }

    fn note(&mut self, subject: &Arc<str>, version: i64, at: Timestamp) {
        self.known.insert(Arc::clone(subject), version);
        self.changes.push_back((Arc::clone(subject), version, at));
        self.newest = self.newest.max(at);
        while self
            .changes
            .front()
            .is_some_and(|(.., at)| self.is_over(*at))
        {
            self.forget_one();
        }
    }

    fn is_over(&self, at: Timestamp) -> bool {
        self.newest.since(at) > KEPT || self.changes.len() > ORDERS_MAX
    }

    fn forget_one(&mut self) {
        let Some((subject, version, at)) = self.changes.pop_front() else {
            return;
        };
        if self.known.get(&subject) == Some(&version) {
            self.known.remove(&subject);
            self.forgotten = self.forgotten.max(at);
        }
    }

    fn write(&self, out: &mut Writer) {
        out.signed(self.newest.as_micros());
        out.signed(self.forgotten.as_micros());
        out.count(self.changes.len());
        for (subject, version, at) in &self.changes {
            out.known(subject);
            out.signed(*version);
            out.signed(at.as_micros());
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut partition = Self {
            newest: Timestamp::from_micros(from.signed()?),
            forgotten: Timestamp::from_micros(from.signed()?),
            ..Self::default()
        };
        for _ in 0..from.count()? {
            let (subject, version) = (from.known()?, from.signed()?);
            let at = Timestamp::from_micros(from.signed()?);
            partition.known.insert(Arc::clone(&subject), version);
            partition.changes.push_back((subject, version, at));
        }
        Ok(partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(hours: i64) -> Timestamp {
        Timestamp::from_millis(hours * 3_600_000)
    }

    #[test]
    fn duplicates_and_what_is_too_old_to_tell_are_refused() {
        let mut versions = Versions::default();
        let (one, two): (Arc<str>, Arc<str>) = ("one".into(), "two".into());
        assert_eq!(versions.note(0, &one, 2, hour(1)), Age::Fresh);
        assert_eq!(versions.note(0, &one, 2, hour(1)), Age::Duplicate);
        assert_eq!(versions.note(0, &one, 1, hour(0)), Age::Duplicate);
        assert_eq!(versions.note(0, &two, 1, hour(30)), Age::Fresh);
        assert_eq!(versions.of("one"), None, "a day has passed");
        assert_eq!(versions.note(0, &one, 2, hour(1)), Age::TooOld);
        assert_eq!(
            versions.note(0, &one, 3, hour(30)),
            Age::Fresh,
            "its cancellation is news"
        );
        assert!(versions.may_be_forgotten(hour(1)) && !versions.may_be_forgotten(hour(2)));
    }
}
