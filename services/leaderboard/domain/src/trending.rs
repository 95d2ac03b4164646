use std::collections::BTreeMap;
use std::sync::Arc;

use brewline_kernel::Timestamp;

use crate::bytes::{Malformed, Reader, Writer};

/// The length of a bucket: 5 minutes.
const BUCKET_MICROS: i64 = 5 * 60 * 1_000_000;
/// Buckets in a half-life of 2 hours.
const HALF_LIFE_BUCKETS: i64 = 24;
/// Buckets that weigh anything: ten half-lives, after which a sale weighs a thousandth.
const BUCKETS_KEPT: i64 = 10 * HALF_LIFE_BUCKETS;

/// What a sale weighs 0 to 23 buckets after it: 1024 · 2^(-n/24), rounded.
const WEIGHTS: [i64; 24] = [
    1024, 995, 967, 939, 912, 886, 861, 837, 813, 790, 767, 745, 724, 703, 683, 664, 645, 627, 609,
    592, 575, 558, 542, 527,
];

/// A stretch of 5 minutes, counted since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bucket(pub i64);

/// Units sold lately, by store ("" is the chain) and product.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trending {
    newest: Option<Bucket>,
    counts: BTreeMap<Bucket, Counts>,
}

/// By store and product.
type Counts = BTreeMap<(Arc<str>, Arc<str>), Count>;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    units: i64,
    reached: Timestamp,
}

/// A product on the board of what trends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trend {
    pub(crate) product: Arc<str>,
    pub(crate) score: i64,
    pub(crate) reached: Timestamp,
}

// === impl Bucket ===

impl Bucket {
    /// The bucket of an instant.
    #[must_use]
    pub const fn of(at: Timestamp) -> Self {
        Self(at.as_micros().div_euclid(BUCKET_MICROS))
    }
}

// === impl Trending ===

impl Trending {
    /// Counts units in the bucket of their sale. Old ones are dropped by the newest bucket alone, so that
    /// the end does not depend on what was read first.
    pub(crate) fn count(
        &mut self,
        bucket: Bucket,
        store: &Arc<str>,
        sold: (&Arc<str>, i64),
        at: Timestamp,
    ) {
        let newest = self.newest.map_or(bucket, |newest| newest.max(bucket));
        if self.newest != Some(newest) {
            self.newest = Some(newest);
            self.counts = self.counts.split_off(&Bucket(newest.0 - BUCKETS_KEPT + 1));
        }
        if newest.0 - bucket.0 >= BUCKETS_KEPT {
            return;
        }
        let key = (Arc::clone(store), Arc::clone(sold.0));
        let count = self
            .counts
            .entry(bucket)
            .or_default()
            .entry(key)
            .or_default();
        count.units = count.units.saturating_add(sold.1);
        count.reached = count.reached.max(at);
    }

    /// What trends at a store, seen from `now`: score descending, then who reached it first, then id.
    #[must_use]
    pub(crate) fn at(&self, store: &str, now: Bucket) -> Vec<Trend> {
        let mut products: BTreeMap<&Arc<str>, (i64, Timestamp)> = BTreeMap::new();
        let from = Bucket(now.0 - BUCKETS_KEPT + 1);
        for (bucket, counts) in self.counts.range(from..=now) {
            let weight = weight(now.0 - bucket.0);
            for ((_, product), count) in counts.iter().filter(|((at, _), _)| at.as_ref() == store) {
                let (score, reached) = products.entry(product).or_default();
                *score = score.saturating_add(count.units.saturating_mul(weight));
                *reached = (*reached).max(count.reached);
            }
        }
        let trend = |(product, (score, reached)): (&Arc<str>, (i64, Timestamp))| Trend {
            product: Arc::clone(product),
            score,
            reached,
        };
        let mut trends: Vec<Trend> = products
            .into_iter()
            .map(trend)
            .filter(|trend| trend.score > 0)
            .collect();
        trends.sort_by(|a, b| {
            let by_score = b.score.cmp(&a.score).then(a.reached.cmp(&b.reached));
            by_score.then_with(|| a.product.cmp(&b.product))
        });
        trends
    }

    /// Every count: bucket, store, product, units.
    pub(crate) fn counts(
        &self,
    ) -> impl Iterator<Item = (Bucket, &Arc<str>, &Arc<str>, i64, Timestamp)> {
        self.counts.iter().flat_map(|(bucket, counts)| {
            counts.iter().map(move |((store, product), count)| {
                (*bucket, store, product, count.units, count.reached)
            })
        })
    }

    pub(crate) fn texts(&self) -> impl Iterator<Item = &Arc<str>> {
        self.counts()
            .flat_map(|(_, store, product, ..)| [store, product])
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        out.signed(self.newest.map_or(i64::MIN, |bucket| bucket.0));
        out.count(self.counts().count());
        for (bucket, store, product, units, reached) in self.counts() {
            out.signed(bucket.0);
            out.known(store);
            out.known(product);
            out.signed(units);
            out.signed(reached.as_micros());
        }
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let newest = Some(from.signed()?)
            .filter(|bucket| *bucket != i64::MIN)
            .map(Bucket);
        let mut counts: BTreeMap<Bucket, Counts> = BTreeMap::new();
        for _ in 0..from.count()? {
            let bucket = Bucket(from.signed()?);
            let key = (from.known()?, from.known()?);
            let units = from.signed()?;
            let reached = Timestamp::from_micros(from.signed()?);
            counts
                .entry(bucket)
                .or_default()
                .insert(key, Count { units, reached });
        }
        Ok(Self { newest, counts })
    }
}

/// What a unit sold `age` buckets ago weighs.
fn weight(age: i64) -> i64 {
    let within = usize::try_from(age.rem_euclid(HALF_LIFE_BUCKETS)).unwrap_or(0);
    let halvings = age.div_euclid(HALF_LIFE_BUCKETS);
    WEIGHTS.get(within).copied().unwrap_or(0) >> halvings.clamp(0, 62)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sale_weighs_half_after_two_hours() {
        assert_eq!(
            [weight(0), weight(24), weight(48), weight(239)],
            [1024, 512, 256, 1]
        );
        let weights: Vec<i64> = (0..BUCKETS_KEPT).map(weight).collect();
        assert!(weights.is_sorted_by(|a, b| a >= b) && weights.iter().all(|weight| *weight > 0));
    }

    #[test]
    fn what_sold_last_trends() {
        let mut trending = Trending::default();
        let (old, new, store): (Arc<str>, Arc<str>, Arc<str>) =
            ("old".into(), "new".into(), "".into());
        trending.count(Bucket(0), &store, (&old, 3), Timestamp::from_micros(1));
        trending.count(Bucket(48), &store, (&new, 1), Timestamp::from_micros(2));
        let names = |now: i64| -> Vec<String> {
            let trends = trending.at("", Bucket(now)).into_iter();
            trends.map(|trend| trend.product.to_string()).collect()
        };
        assert_eq!(names(48), ["new", "old"]);
        assert_eq!(names(10), ["old"], "what is yet to come does not count");
        assert!(names(48 + 240).is_empty());
    }

    #[test]
    fn too_late_is_the_same_as_dropped() {
        let product: Arc<str> = "p".into();
        let count = |order: [i64; 2]| {
            let mut trending = Trending::default();
            for bucket in order {
                trending.count(
                    Bucket(bucket),
                    &product,
                    (&product, 1),
                    Timestamp::from_micros(bucket),
                );
            }
            trending
        };
        assert_eq!(count([0, 240]), count([240, 0]));
    }
}
