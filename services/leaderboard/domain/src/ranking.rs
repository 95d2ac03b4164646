use std::cmp::Reverse;
use std::sync::Arc;

use brewline_kernel::Timestamp;
use indexset::BTreeSet;

use crate::Map;

/// How a member stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Units sold.
    pub score: i64,
    /// The greatest event time of any change to the score: at a tie, who got there earlier stands before.
    pub reached: Timestamp,
}

/// Members by score. Members whose score is not above 0 are remembered, since a later change needs the
/// greatest time of all, but they have no rank.
#[derive(Clone, Debug, Default)]
pub struct Ranking {
    standings: Map<Arc<str>, Standing>,
    order: BTreeSet<Place>,
}

/// Sorted as boards are: score descending, then who reached it first, then id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    score: Reverse<i64>,
    reached: Timestamp,
    member: Arc<str>,
}

// === impl Ranking ===

impl Ranking {
    /// Changes a member's score.
    pub fn add(&mut self, member: &Arc<str>, delta: i64, at: Timestamp) {
        let old = self.standings.get(member.as_ref()).copied();
        if let Some(old) = old.filter(|old| old.score > 0) {
            self.order.remove(&Place::new(member, old));
        }
        let old = old.unwrap_or_default();
        let new = Standing {
            score: old.score.saturating_add(delta),
            reached: old.reached.max(at),
        };
        self.put(Arc::clone(member), new);
    }

    /// How a member stands; none who was never counted.
    #[must_use]
    pub fn standing(&self, member: &str) -> Option<Standing> {
        self.standings.get(member).copied()
    }

    /// A member's place, from 0; none without a score.
    #[must_use]
    pub fn rank(&self, member: &str) -> Option<usize> {
        let (member, standing) = self.standings.get_key_value(member)?;
        (standing.score > 0).then(|| self.order.rank(&Place::new(member, *standing)))
    }

    /// Up to `limit` members from a place on, with their places.
    pub fn page(
        &self,
        from: usize,
        limit: usize,
    ) -> impl Iterator<Item = (usize, &Arc<str>, Standing)> {
        let end = from.saturating_add(limit).min(self.order.len());
        (from..end).filter_map(|index| {
            let (member, standing) = self.order.get_index(index)?.shown();
            Some((index, member, standing))
        })
    }

    /// All who have a rank, by rank.
    pub fn ranked(&self) -> impl Iterator<Item = (&Arc<str>, Standing)> {
        self.order.iter().map(Place::shown)
    }

    /// Those who were counted and have no rank, by id.
    pub fn unranked(&self) -> Vec<(&Arc<str>, Standing)> {
        let without = self
            .standings
            .iter()
            .filter(|(_, standing)| standing.score <= 0);
        let mut without: Vec<_> = without
            .map(|(member, standing)| (member, *standing))
            .collect();
        without.sort_unstable_by_key(|(member, _)| *member);
        without
    }

    /// How many have a rank.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether nobody has a rank.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// All who were ever counted, in no order.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Arc<str>> {
        self.standings.keys()
    }

    pub(crate) fn put(&mut self, member: Arc<str>, standing: Standing) {
        if standing.score > 0 {
            self.order.insert(Place::new(&member, standing));
        }
        self.standings.insert(member, standing);
    }

    pub(crate) fn reserve(&mut self, members: usize) {
        self.standings.reserve(members);
    }
}

// === impl Place ===

impl Place {
    fn new(member: &Arc<str>, standing: Standing) -> Self {
        Self {
            score: Reverse(standing.score),
            reached: standing.reached,
            member: Arc::clone(member),
        }
    }

    const fn shown(&self) -> (&Arc<str>, Standing) {
        let standing = Standing {
            score: self.score.0,
            reached: self.reached,
        };
        (&self.member, standing)
    }
}
