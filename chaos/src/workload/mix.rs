use uuid::Uuid;

/// Random numbers that a seed repeats: `SplitMix64` (Steele, Lea, Flood 2014). For load, not secrets.
#[derive(Clone, Copy, Debug)]
pub struct Seeded(u64);

/// What customers do, in shares of a hundred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mix {
    /// Orders that hold the product everybody wants.
    pub hot_percent: u64,
    /// Orders paid with a card that is declined.
    pub declined_percent: u64,
    /// Orders that are cancelled as soon as they are accepted.
    pub cancelled_percent: u64,
    /// Reads of an earlier order, in addition to the orders.
    pub reads_percent: u64,
    /// The most lines of an order; each number from 1 on is as likely as the next.
    pub lines_max: u64,
}

/// Whom the orders are for and what they are of.
#[derive(Clone, Debug)]
pub struct Shop {
    /// Stores to order from.
    pub stores: Vec<String>,
    /// Customers that order.
    pub customers: Vec<String>,
    /// Products; the first is the one everybody wants.
    pub products: Vec<String>,
}

/// An order as a customer plans it.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The idempotency key.
    pub key: String,
    /// The store.
    pub store: String,
    /// The request's body.
    pub body: String,
    /// Names the body.
    pub digest: u64,
    /// Whether it is cancelled once it is accepted.
    pub cancel: bool,
    /// Whether the card is one that is declined.
    pub declined: bool,
    /// Whether an earlier order is looked at, too.
    pub read: bool,
}

// === impl Seeded ===

impl Seeded {
    /// The numbers of `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 when the bound is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or(0)
    }

    fn percent(&mut self, share: u64) -> bool {
        self.below(100) < share
    }

    fn pick<'a>(&mut self, from: &'a [String]) -> &'a str {
        let index = usize::try_from(self.below(from.len().try_into().unwrap_or(0))).unwrap_or(0);
        from.get(index).map_or("", String::as_str)
    }
}

// === impl Planned ===

impl Planned {
    /// An order of which nothing but an answer is wanted.
    #[must_use]
    pub fn new(key: String, store: String, body: String) -> Self {
        Self {
            key,
            store,
            digest: crate::evidence::digest(body.as_bytes()),
            body,
            cancel: false,
            declined: false,
            read: false,
        }
    }
}

// === impl Mix ===

impl Default for Mix {
    fn default() -> Self {
        Self {
            hot_percent: 60,
            declined_percent: 3,
            cancelled_percent: 2,
            reads_percent: 10,
            lines_max: 3,
        }
    }
}

impl Mix {
    /// The next order of a shop.
    pub fn plan(&self, shop: &Shop, random: &mut Seeded) -> Planned {
        let store = random.pick(&shop.stores).to_owned();
        let customer = random.pick(&shop.customers).to_owned();
        let declined = random.percent(self.declined_percent);
        let cancel = random.percent(self.cancelled_percent);
        let kind = if declined { "tok_declined" } else { "tok_ok" };
        // Each order has a card of its own: a shared one would look like card testing.
        let token = format!("{kind}_{:x}", random.next());
        let lines = self.lines(shop, random);
        let body = format!(
            r#"{{"storeId":"{store}","customerId":"{customer}","lines":[{lines}],"payment":{{"token":"{token}"}}}}"#
        );
        // A seed repeats its numbers, and a key must not be repeated by another run: the store is
        // this run's own.
        let number = Uuid::from_u64_pair(random.next(), random.next());
        Planned {
            cancel,
            declined,
            read: random.percent(self.reads_percent),
            ..Planned::new(format!("{store}-{number}"), store, body)
        }
    }

    fn lines(&self, shop: &Shop, random: &mut Seeded) -> String {
        let (hot, others) = match shop.products.split_first() {
            Some((hot, others)) => (hot.as_str(), others),
            None => ("", &[][..]),
        };
        let count = 1 + random.below(self.lines_max);
        let has_hot = random.percent(self.hot_percent);
        let mut products: Vec<&str> = Vec::new();
        while products.len() < usize::try_from(count).unwrap_or(1) {
            let first = products.is_empty() && has_hot;
            products.push(if first { hot } else { random.pick(others) });
        }
        products.sort_unstable();
        products.dedup();
        let line = |product: &&str| format!(r#"{{"productId":"{product}","quantity":1}}"#);
        products.iter().map(line).collect::<Vec<_>>().join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shop() -> Shop {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        Shop {
            stores: names(&["s"]),
            customers: names(&["c"]),
            products: names(&["hot", "a", "b"]),
        }
    }

    #[test]
    fn a_seed_repeats_its_orders() {
        let plan = |seed| Mix::default().plan(&shop(), &mut Seeded::new(seed)).body;
        assert_eq!(plan(7), plan(7));
        assert_ne!(plan(7), plan(8));
    }

    #[test]
    fn shares_are_what_the_mix_says() {
        let (mut random, mix) = (Seeded::new(1), Mix::default());
        let orders: Vec<_> = (0..10_000)
            .map(|_| mix.plan(&shop(), &mut random))
            .collect();
        let count = |wanted: fn(&Planned) -> bool| orders.iter().filter(|o| wanted(o)).count();
        assert!((5_700..6_300).contains(&count(|order| order.body.contains("\"hot\""))));
        assert!((200..400).contains(&count(|order| order.declined)));
        assert!((100..300).contains(&count(|order| order.cancel)));
        assert!((800..1_200).contains(&count(|order| order.read)));
    }
}
