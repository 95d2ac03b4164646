use std::collections::BTreeMap;
use std::sync::Arc;

use brewline_kernel::Timestamp;

use crate::tables::Change;
use crate::versions::Age;
use crate::{
    Board, Bucket, Calendar, Catalogue, Day, Event, Incoming, Kind, Map, People, Sale, SoldLine,
    Suggestion, Tables, Tastes, Topic, Trending, Versions, pseudonym,
};

/// The most records that are given up before the fold asks to be looked at.
const SKIPPED_MAX: usize = 1_000;

/// All boards, and what they are made of.
#[derive(Clone, Debug, Default)]
pub struct Fold {
    pub(crate) tables: Tables,
    pub(crate) trending: Trending,
    pub(crate) products: Tastes,
    pub(crate) methods: Tastes,
    /// Minor units and orders, by store and currency.
    pub(crate) revenue: BTreeMap<(Arc<str>, Arc<str>), (i64, i64)>,
    pub(crate) catalogue: Catalogue,
    pub(crate) people: People,
    pub(crate) versions: Versions,
    /// Sales of stores whose time zone is not known yet.
    pub(crate) waiting: BTreeMap<Arc<str>, Vec<Waiting>>,
    pub(crate) skipped: BTreeMap<(Topic, Arc<str>), Skipped>,
    /// A store's time zone changed after sales were counted by the old one.
    pub(crate) zone_moved: bool,
    pub(crate) texts: Map<Arc<str>, ()>,
}

/// A sale or its undoing that waits for its store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) sale: Sale,
    pub(crate) sign: i64,
    pub(crate) at: Timestamp,
}

/// A record that could not be read. If it was an order's, that order's later events are left out too, so that
/// nothing is taken back that was never counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Why it could not be read.
    pub reason: String,
    /// The event's type, as far as it can be told.
    pub event_type: String,
    /// When it was written.
    pub at: Timestamp,
    /// How many later events of the subject were left out.
    pub followers: i64,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// An order counts.
    Counted,
    /// An order was taken back.
    TakenBack,
    /// Noted; no board moved.
    Noted,
    /// A name that was shown is gone: snapshots that hold it must go too.
    NameGone,
    /// It was applied before.
    Duplicate,
    /// It cannot be told from a duplicate any more.
    TooOld,
    /// An earlier record of the subject could not be read.
    Skipped,
}

/// Whether the boards hold a version of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// They do.
    Yes,
    /// Not yet.
    Behind,
    /// A record of the subject could not be read: waiting does not help.
    Parked,
}

// === impl Fold ===

impl Fold {
    /// Applies a record.
    pub fn apply(&mut self, incoming: Incoming, calendar: &dyn Calendar) -> Applied {
        let Incoming {
            topic,
            partition,
            subject,
            version,
            at,
            event,
        } = incoming;
        if let Some(skipped) = self.skipped.get_mut(&(topic, Arc::clone(&subject)))
            && topic == Topic::Orders
        {
            skipped.followers += 1;
            return Applied::Skipped;
        }
        if topic == Topic::Orders {
            match self.versions.note(partition, &subject, version, at) {
                Age::Fresh => {}
                Age::Duplicate => return Applied::Duplicate,
                Age::TooOld => return Applied::TooOld,
            }
        }
        let applied = self.take(&subject, version, at, event, calendar);
        if topic != Topic::Orders && applied != Applied::Duplicate {
            // A newer whole state makes up for one that could not be read.
            self.skipped.remove(&(topic, subject));
        }
        applied
    }

    /// Leaves a record out that cannot be read. False when there are too many of them: something is wrong
    /// that nobody should look away from.
    pub fn skip(&mut self, topic: Topic, subject: Arc<str>, skipped: Skipped) -> bool {
        if self.skipped.len() >= SKIPPED_MAX {
            return false;
        }
        self.skipped.entry((topic, subject)).or_insert(skipped);
        true
    }

    /// The rankings.
    #[must_use]
    pub const fn tables(&self) -> &Tables {
        &self.tables
    }

    /// Stores and products.
    #[must_use]
    pub const fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// What was left out.
    pub fn skipped(&self) -> impl Iterator<Item = (Topic, &Arc<str>, &Skipped)> {
        self.skipped
            .iter()
            .map(|((topic, subject), skipped)| (*topic, subject, skipped))
    }

    /// Sales that wait for their store to become known.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.values().map(Vec::len).sum()
    }

    /// Whether sales were counted by a time zone that is no longer their store's: only a new fold helps.
    #[must_use]
    pub const fn zone_moved(&self) -> bool {
        self.zone_moved
    }

    /// Revenue: store, currency, minor units, orders.
    pub fn revenue(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>, i64, i64)> {
        self.revenue
            .iter()
            .map(|((store, currency), (minor, orders))| (store, currency, *minor, *orders))
    }

    /// What trends at a store ("" is the chain), seen from an instant: id, score.
    #[must_use]
    pub fn trending(&self, store: &str, now: Timestamp) -> Vec<(Arc<str>, i64)> {
        let trends = self.trending.at(store, Bucket::of(now)).into_iter();
        trends.map(|trend| (trend.product, trend.score)).collect()
    }

    /// What was sold lately, from which it follows what trends: bucket, store ("" is the chain), product,
    /// units, and when they were reached. None are 0.
    pub fn sold_lately(
        &self,
    ) -> impl Iterator<Item = (Bucket, &Arc<str>, &Arc<str>, i64, Timestamp)> {
        let counts = self.trending.counts();
        counts.filter(|(_, _, _, units, _)| *units != 0)
    }

    /// The name a member of a board shows under.
    #[must_use]
    pub fn name(&self, board: Board, member: &str) -> String {
        match board {
            Board::CoffeeLovers => {
                let shown = self.people.shown(member);
                shown.map_or_else(|| pseudonym(member), str::to_owned)
            }
            Board::Origins | Board::Methods => member.to_owned(),
            Board::Foods | Board::Products => self.product_name(member),
        }
    }

    /// A product's name; its id when it was never heard of.
    #[must_use]
    pub fn product_name(&self, product: &str) -> String {
        let known = self.catalogue.product(product);
        known.map_or_else(|| product.to_owned(), |product| product.name.clone())
    }

    /// Products a customer has not tried.
    #[must_use]
    pub fn suggest_products(&self, customer: &str, limit: usize) -> Vec<Suggestion> {
        self.products
            .suggest(customer, limit, |product| self.is_sold(product))
    }

    /// Methods a customer has not tried.
    #[must_use]
    pub fn suggest_methods(&self, customer: &str, limit: usize) -> Vec<Suggestion> {
        let offered = |method: &str| {
            let products = self.catalogue.products();
            products
                .into_iter()
                .any(|(_, product)| !product.retired && product.method == method)
        };
        self.methods.suggest(customer, limit, offered)
    }

    /// A product of a method that a customer has not tried: what to order to try the method.
    #[must_use]
    pub fn suggest_of_method(&self, customer: &str, method: &str) -> Option<Suggestion> {
        let of_method = |id: &str| {
            let product = self.catalogue.product(id);
            product.is_some_and(|product| !product.retired && product.method == method)
        };
        self.products.suggest(customer, 1, of_method).pop()
    }

    /// Whether a version of a subject is in the boards. What a day has passed over counts as held.
    #[must_use]
    pub fn holds(
        &self,
        topic: Topic,
        subject: &str,
        version: i64,
        began: Option<Timestamp>,
    ) -> Held {
        if self.skipped.contains_key(&(topic, Arc::from(subject))) {
            return Held::Parked;
        }
        let known = match topic {
            Topic::Orders => self.versions.of(subject),
            Topic::Catalogue => self.catalogue.version(subject),
            Topic::Customers => self.people.version(subject),
        };
        let forgotten = || {
            topic == Topic::Orders
                && began.is_some_and(|began| self.versions.may_be_forgotten(began))
        };
        match known {
            Some(known) if known >= version => Held::Yes,
            None if forgotten() => Held::Yes,
            Some(_) | None => Held::Behind,
        }
    }

    /// How many customers, and how many remembered orders, there are.
    #[must_use]
    pub fn sizes(&self) -> (usize, usize) {
        (self.people.len(), self.versions.len())
    }

    fn is_sold(&self, product: &str) -> bool {
        self.catalogue
            .product(product)
            .is_some_and(|product| !product.retired)
    }

    fn take(
        &mut self,
        subject: &Arc<str>,
        version: i64,
        at: Timestamp,
        event: Event,
        calendar: &dyn Calendar,
    ) -> Applied {
        match event {
            Event::Confirmed(sale) => {
                self.settle(
                    Waiting {
                        sale: *sale,
                        sign: 1,
                        at,
                    },
                    calendar,
                );
                Applied::Counted
            }
            Event::Cancelled(Some(sale)) => {
                self.settle(
                    Waiting {
                        sale: *sale,
                        sign: -1,
                        at,
                    },
                    calendar,
                );
                Applied::TakenBack
            }
            Event::Cancelled(None) | Event::Moved => Applied::Noted,
            Event::Store { time_zone } => self.take_store(subject, version, &time_zone, calendar),
            Event::Product(product) => {
                let id = subject.strip_prefix("product/").unwrap_or(subject);
                noted(self.catalogue.put_product(id, version, product))
            }
            Event::Customer { shown } => {
                let customer = self.text(subject);
                match self.people.put(customer, version, shown) {
                    (true, true) => Applied::NameGone,
                    (news, _) => noted(news),
                }
            }
        }
    }

    fn take_store(
        &mut self,
        subject: &str,
        version: i64,
        time_zone: &str,
        calendar: &dyn Calendar,
    ) -> Applied {
        let id = subject.strip_prefix("store/").unwrap_or(subject);
        let old = self
            .catalogue
            .store(id)
            .map(|store| Arc::clone(&store.time_zone));
        if !self.catalogue.put_store(id, version, time_zone) {
            return Applied::Duplicate;
        }
        let counted = self.revenue.keys().any(|(store, _)| store.as_ref() == id);
        self.zone_moved |= counted && old.is_some_and(|old| old.as_ref() != time_zone);
        for waiting in self.waiting.remove(id).unwrap_or_default() {
            self.settle(waiting, calendar);
        }
        Applied::Noted
    }

    /// Counts a sale, or takes it back; waits where its store's date is not known.
    fn settle(&mut self, waiting: Waiting, calendar: &dyn Calendar) {
        let Some(store) = self.catalogue.store(&waiting.sale.store) else {
            let store = self.text(&waiting.sale.store);
            self.waiting.entry(store).or_default().push(waiting);
            return;
        };
        let day = calendar.local_day(&store.time_zone, waiting.sale.confirmed_at);
        self.count(day, &waiting);
    }

    fn count(&mut self, day: Day, waiting: &Waiting) {
        let Waiting { sale, sign, at } = waiting;
        let (store, chain) = (self.text(&sale.store), self.text(""));
        let key = (Arc::clone(&store), self.text(&sale.currency));
        let stores = [store, chain];
        let changes = self.changes(sale, *sign);
        self.tables.count(day, &stores, &changes, *at);
        let bucket = Bucket::of(sale.confirmed_at);
        for change in changes
            .iter()
            .filter(|change| change.board == Board::Products)
        {
            for store in &stores {
                self.trending
                    .count(bucket, store, (&change.member, change.units), *at);
            }
        }
        self.count_tastes(sale, &changes);
        let (minor, orders) = self.revenue.entry(key).or_default();
        *minor = minor.saturating_add(sale.total_minor.saturating_mul(*sign));
        *orders = orders.saturating_add(*sign);
    }

    fn count_tastes(&mut self, sale: &Sale, changes: &[Change]) {
        let customer = self.text(&sale.customer);
        for change in changes {
            match change.board {
                Board::Products => self.products.count(&customer, &change.member, change.units),
                Board::Methods => self.methods.count(&customer, &change.member, change.units),
                Board::CoffeeLovers | Board::Origins | Board::Foods => {}
            }
        }
    }

    /// What a sale changes: one change a board and member, however many lines say so.
    fn changes(&mut self, sale: &Sale, sign: i64) -> Vec<Change> {
        let mut units: BTreeMap<(Board, &str), i64> = BTreeMap::new();
        for line in &sale.lines {
            for (board, member) in counted(line, &sale.customer) {
                let sum = units.entry((board, member)).or_default();
                *sum = sum.saturating_add(line.quantity.saturating_mul(sign));
            }
        }
        let change = |((board, member), units): ((Board, &str), i64)| Change {
            board,
            member: self.text(member),
            units,
        };
        units.into_iter().map(change).collect()
    }

    /// One copy of each text, shared by all who name it.
    fn text(&mut self, text: &str) -> Arc<str> {
        if let Some((known, ())) = self.texts.get_key_value(text) {
            return Arc::clone(known);
        }
        let new: Arc<str> = text.into();
        self.texts.insert(Arc::clone(&new), ());
        new
    }

    pub(crate) fn share(&mut self, texts: impl Iterator<Item = Arc<str>>) {
        self.texts.extend(texts.map(|text| (text, ())));
    }
}

/// The boards a line counts on, and for whom.
fn counted<'a>(line: &'a SoldLine, customer: &'a str) -> impl Iterator<Item = (Board, &'a str)> {
    let lover = (line.kind == Kind::Drink).then_some((Board::CoffeeLovers, customer));
    let food = (line.kind == Kind::Food).then_some((Board::Foods, line.product.as_str()));
    let named = [
        (Board::Origins, line.origin.as_str()),
        (Board::Methods, line.method.as_str()),
    ];
    let named = named.into_iter().filter(|(_, member)| !member.is_empty());
    let product = std::iter::once((Board::Products, line.product.as_str()));
    lover.into_iter().chain(food).chain(named).chain(product)
}

const fn noted(news: bool) -> Applied {
    if news {
        Applied::Noted
    } else {
        Applied::Duplicate
    }
}
