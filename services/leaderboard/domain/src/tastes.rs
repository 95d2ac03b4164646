use std::collections::BTreeMap;
use std::sync::Arc;

use crate::Map;
use crate::bytes::{Malformed, Reader, Writer};

/// How many of a customer's favourites speak for what comes next.
const FAVOURITES: usize = 5;
/// Shares are told in thousandths.
const WHOLE: u64 = 1_000;

/// Who tried what, and what is tried by the same people: for products, and again for methods. Its size is
/// bounded by customers times what each has tried, and by the square of the catalogue.
#[derive(Clone, Debug, Default)]
pub struct Tastes {
    things: Vec<Arc<str>>,
    numbers: Map<Arc<str>, u32>,
    /// Units by customer and thing; none is 0.
    tried: Map<Arc<str>, Vec<(u32, i64)>>,
    /// Customers who tried it.
    fans: Map<u32, u64>,
    /// Customers who tried both; the lower number first.
    together: Map<(u32, u32), u64>,
}

/// Something to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// A product or a method.
    pub thing: Arc<str>,
    /// Why; none when it is simply what most people like.
    pub because: Option<Because>,
    /// How many tried it.
    pub fans: u64,
    /// How strongly it is suggested.
    pub strength: u64,
}

/// Why something is suggested: of those who tried what this customer likes, so many tried this too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Because {
    /// What the customer likes.
    pub likes: Arc<str>,
    /// Customers who tried both.
    pub both: u64,
    /// Customers who tried what this one likes.
    pub of: u64,
}

// === impl Tastes ===

impl Tastes {
    /// Counts units of a thing for a customer, or takes them back.
    pub(crate) fn count(&mut self, customer: &Arc<str>, thing: &Arc<str>, units: i64) {
        let number = self.number(thing);
        let tried = self.tried.entry(Arc::clone(customer)).or_default();
        let place = tried.iter().position(|(other, _)| *other == number);
        let before = place
            .and_then(|place| tried.get(place))
            .map_or(0, |(_, units)| *units);
        let after = before.saturating_add(units);
        if let Some(place) = place {
            tried.swap_remove(place);
        }
        if (before > 0) != (after > 0) {
            let others: Vec<u32> = liked(tried).map(|(other, _)| other).collect();
            tried.extend((after != 0).then_some((number, after)));
            self.turn(number, &others, after > 0);
        } else {
            tried.extend((after != 0).then_some((number, after)));
        }
    }

    /// What a customer has not tried, the strongest suggestion first; only what `may` allows.
    #[must_use]
    pub fn suggest(
        &self,
        customer: &str,
        limit: usize,
        may: impl Fn(&str) -> bool,
    ) -> Vec<Suggestion> {
        let tried = self.tried.get(customer).map_or(&[][..], Vec::as_slice);
        let favourites = self.favourites(tried);
        let new = |number: &u32| !liked(tried).any(|(other, _)| other == *number);
        let mut all: Vec<Suggestion> = self
            .fans
            .iter()
            .filter(|(number, _)| new(number))
            .filter_map(|(number, fans)| self.suggestion(*number, *fans, &favourites))
            .filter(|suggestion| may(&suggestion.thing))
            .collect();
        all.sort_by(|a, b| {
            let by_strength = b.strength.cmp(&a.strength).then(b.fans.cmp(&a.fans));
            by_strength.then_with(|| a.thing.cmp(&b.thing))
        });
        all.truncate(limit);
        all
    }

    fn suggestion(&self, number: u32, fans: u64, favourites: &[u32]) -> Option<Suggestion> {
        let reason = |likes: &u32| {
            let both = self.together.get(&pair(*likes, number)).copied()?;
            let of = self.fans.get(likes).copied().filter(|of| *of > 0)?;
            let likes = self.thing(*likes)?;
            Some((both * WHOLE / of, Because { likes, both, of }))
        };
        let reasons: Vec<(u64, Because)> = favourites.iter().filter_map(reason).collect();
        let strength = reasons.iter().map(|(share, _)| share).sum();
        // The first of equals: favourites come in a fixed order.
        let best = reasons.into_iter().rev().max_by_key(|(share, _)| *share);
        Some(Suggestion {
            thing: self.thing(number)?,
            because: best.map(|(_, because)| because),
            fans,
            strength,
        })
    }

    /// What a customer ordered most.
    fn favourites(&self, tried: &[(u32, i64)]) -> Vec<u32> {
        let mut liked: Vec<(u32, i64)> = liked(tried).collect();
        liked.sort_by(|(a, a_units), (b, b_units)| {
            let by_units = b_units.cmp(a_units);
            by_units.then_with(|| self.thing(*a).cmp(&self.thing(*b)))
        });
        liked
            .into_iter()
            .take(FAVOURITES)
            .map(|(number, _)| number)
            .collect()
    }

    /// A customer has come to like a thing, or is back to never having had it.
    fn turn(&mut self, number: u32, others: &[u32], likes: bool) {
        shift(&mut self.fans, number, likes);
        for other in others {
            shift(&mut self.together, pair(number, *other), likes);
        }
    }

    fn number(&mut self, thing: &Arc<str>) -> u32 {
        if let Some(number) = self.numbers.get(thing) {
            return *number;
        }
        let number = u32::try_from(self.things.len()).unwrap_or(u32::MAX);
        self.things.push(Arc::clone(thing));
        self.numbers.insert(Arc::clone(thing), number);
        number
    }

    fn thing(&self, number: u32) -> Option<Arc<str>> {
        self.things.get(usize::try_from(number).ok()?).cloned()
    }

    pub(crate) fn texts(&self) -> impl Iterator<Item = &Arc<str>> {
        self.things.iter().chain(self.tried.keys())
    }

    /// What customers tried; the rest follows from it, but is written too, since it is small and takes long
    /// to make anew.
    pub(crate) fn write(&self, out: &mut Writer) {
        let mut customers: Vec<_> = self
            .tried
            .iter()
            .filter(|(_, tried)| !tried.is_empty())
            .collect();
        customers.sort_unstable_by_key(|(customer, _)| *customer);
        out.count(customers.len());
        for (customer, tried) in customers {
            out.known(customer);
            let tried = tried
                .iter()
                .filter_map(|(number, units)| Some((self.thing(*number)?, *units)));
            let tried: BTreeMap<Arc<str>, i64> = tried.collect();
            out.count(tried.len());
            for (thing, units) in tried {
                out.known(&thing);
                out.signed(units);
            }
        }
        self.write_sums(out);
    }

    fn write_sums(&self, out: &mut Writer) {
        let fans = self
            .fans
            .iter()
            .filter_map(|(number, fans)| Some((self.thing(*number)?, *fans)));
        let fans: BTreeMap<Arc<str>, u64> = fans.collect();
        out.count(fans.len());
        for (thing, fans) in fans {
            out.known(&thing);
            out.unsigned(fans);
        }
        let named = |((a, b), both): (&(u32, u32), &u64)| {
            let (a, b) = (self.thing(*a)?, self.thing(*b)?);
            Some((if a < b { (a, b) } else { (b, a) }, *both))
        };
        let together: BTreeMap<(Arc<str>, Arc<str>), u64> =
            self.together.iter().filter_map(named).collect();
        out.count(together.len());
        for ((a, b), both) in together {
            out.known(&a);
            out.known(&b);
            out.unsigned(both);
        }
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut tastes = Self::default();
        let customers = from.count()?;
        tastes.tried.reserve(customers);
        for _ in 0..customers {
            let customer = from.known()?;
            let things = from.count()?;
            let mut tried = Vec::with_capacity(things);
            for _ in 0..things {
                let number = tastes.number(&from.known()?);
                tried.push((number, from.signed()?));
            }
            tastes.tried.insert(customer, tried);
        }
        for _ in 0..from.count()? {
            let number = tastes.number(&from.known()?);
            tastes.fans.insert(number, from.unsigned()?);
        }
        for _ in 0..from.count()? {
            let (a, b) = (tastes.number(&from.known()?), tastes.number(&from.known()?));
            tastes.together.insert(pair(a, b), from.unsigned()?);
        }
        Ok(tastes)
    }
}

fn liked(tried: &[(u32, i64)]) -> impl Iterator<Item = (u32, i64)> {
    tried.iter().copied().filter(|(_, units)| *units > 0)
}

fn pair(a: u32, b: u32) -> (u32, u32) {
    (a.min(b), a.max(b))
}

/// One more or one fewer; what is 0 is not kept.
fn shift<K: Eq + std::hash::Hash>(counts: &mut Map<K, u64>, key: K, more: bool) {
    let count = counts.get(&key).copied().unwrap_or(0);
    let count = if more {
        count + 1
    } else {
        count.saturating_sub(1)
    };
    if count == 0 {
        counts.remove(&key);
    } else {
        counts.insert(key, count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tastes(orders: &[(&str, &str, i64)]) -> Tastes {
        let mut tastes = Tastes::default();
        for (customer, thing, units) in orders {
            tastes.count(&Arc::from(*customer), &Arc::from(*thing), *units);
        }
        tastes
    }

    const ORDERS: [(&str, &str, i64); 8] = [
        ("ann", "v60", 3),
        ("ann", "siphon", 1),
        ("bob", "v60", 1),
        ("bob", "siphon", 1),
        ("cat", "v60", 1),
        ("cat", "cortado", 1),
        ("dan", "v60", 2),
        ("eve", "croissant", 9),
    ];

    #[test]
    fn suggests_what_people_of_the_same_taste_tried_and_says_why() {
        let tastes = tastes(&ORDERS);
        let for_dan = tastes.suggest("dan", 2, |_| true);
        let things: Vec<&str> = for_dan.iter().map(|it| it.thing.as_ref()).collect();
        assert_eq!(things, ["siphon", "cortado"]);
        let because = Because {
            likes: "v60".into(),
            both: 2,
            of: 4,
        };
        assert_eq!(for_dan[0].because, Some(because));
        assert!(
            tastes
                .suggest("dan", 9, |it| it != "siphon")
                .iter()
                .all(|it| it.thing.as_ref() != "siphon")
        );
    }

    #[test]
    fn who_never_ordered_is_told_what_most_people_like() {
        let first = tastes(&ORDERS).suggest("new", 1, |_| true);
        assert_eq!((first[0].thing.as_ref(), &first[0].because), ("v60", &None));
    }

    #[test]
    fn taken_back_leaves_nothing() {
        let mut orders = ORDERS.to_vec();
        orders.extend([("dan", "siphon", 2), ("dan", "siphon", -2)]);
        let bytes = |tastes: &Tastes| {
            let mut out = Writer::default();
            out.dictionary(&crate::bytes::sorted(tastes.texts()));
            tastes.write(&mut out);
            out.into_bytes()
        };
        assert_eq!(bytes(&tastes(&orders)), bytes(&tastes(&ORDERS)));
        orders.reverse();
        assert_eq!(
            bytes(&tastes(&orders)),
            bytes(&tastes(&ORDERS)),
            "in any order"
        );
    }
}
