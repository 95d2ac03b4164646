//! The state as bytes and back. The same state has the same bytes, whatever the order in which its partitions
//! were read.

use std::collections::BTreeMap;
use std::sync::Arc;

use brewline_kernel::Timestamp;

use crate::bytes::sorted;
use crate::fold::{Skipped, Waiting};
use crate::{
    Catalogue, Fold, Kind, Malformed, People, Reader, Sale, SoldLine, Tables, Tastes, Topic,
    Trending, Versions, Writer,
};

// === impl Fold ===

impl Fold {
    /// Everything, for a snapshot.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        let shown = self.shown_texts();
        let rest = self.versions.texts().chain(self.waiting.keys());
        out.dictionary(&sorted(shown.chain(rest)));
        self.write_shown(&mut out);
        self.versions.write(&mut out);
        self.write_waiting(&mut out);
        self.write_skipped(&mut out);
        out.unsigned(u64::from(self.zone_moved));
        out.into_bytes()
    }

    /// What boards show and nothing that only guards them: for digests. Two replicas at the same positions
    /// have the same bytes, and so have a live fold and one made anew.
    #[must_use]
    pub fn encode_shown(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.dictionary(&sorted(self.shown_texts()));
        self.write_shown(&mut out);
        out.into_bytes()
    }

    /// From what [`Fold::encode`] wrote.
    ///
    /// # Errors
    /// When the bytes are something else.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut from = Reader::new(bytes);
        from.dictionary()?;
        let mut fold = Self {
            tables: Tables::read(&mut from)?,
            trending: Trending::read(&mut from)?,
            products: Tastes::read(&mut from)?,
            methods: Tastes::read(&mut from)?,
            revenue: read_revenue(&mut from)?,
            catalogue: Catalogue::read(&mut from)?,
            people: People::read(&mut from)?,
            versions: Versions::read(&mut from)?,
            waiting: read_waiting(&mut from)?,
            skipped: read_skipped(&mut from)?,
            zone_moved: from.unsigned()? == 1,
            ..Self::default()
        };
        if !from.is_empty() {
            return Err(Malformed("the end"));
        }
        fold.share(from.into_texts());
        Ok(fold)
    }

    fn shown_texts(&self) -> impl Iterator<Item = &Arc<str>> {
        let revenue = self
            .revenue
            .keys()
            .flat_map(|(store, currency)| [store, currency]);
        let tastes = self.products.texts().chain(self.methods.texts());
        let counted = self.tables.texts().chain(self.trending.texts());
        counted
            .chain(tastes)
            .chain(revenue)
            .chain(self.people.texts())
    }

    fn write_shown(&self, out: &mut Writer) {
        self.tables.write(out);
        self.trending.write(out);
        self.products.write(out);
        self.methods.write(out);
        out.count(self.revenue.len());
        for ((store, currency), (minor, orders)) in &self.revenue {
            out.known(store);
            out.known(currency);
            out.signed(*minor);
            out.signed(*orders);
        }
        self.catalogue.write(out);
        self.people.write(out);
    }

    fn write_waiting(&self, out: &mut Writer) {
        out.count(self.waiting.len());
        for (store, waiting) in &self.waiting {
            out.known(store);
            out.count(waiting.len());
            for waiting in waiting {
                out.signed(waiting.sign);
                out.signed(waiting.at.as_micros());
                write_sale(&waiting.sale, out);
            }
        }
    }

    fn write_skipped(&self, out: &mut Writer) {
        out.count(self.skipped.len());
        for ((topic, subject), skipped) in &self.skipped {
            out.unsigned(topic_number(*topic));
            out.text(subject);
            out.signed(i64::from(skipped.partition));
            out.signed(skipped.offset);
            out.text(&skipped.reason);
            out.text(&skipped.event_type);
            out.signed(skipped.at.as_micros());
            out.signed(skipped.followers);
        }
    }
}

type Revenue = BTreeMap<(Arc<str>, Arc<str>), (i64, i64)>;

fn read_revenue(from: &mut Reader<'_>) -> Result<Revenue, Malformed> {
    let mut revenue = BTreeMap::new();
    for _ in 0..from.count()? {
        let key = (from.known()?, from.known()?);
        revenue.insert(key, (from.signed()?, from.signed()?));
    }
    Ok(revenue)
}

fn read_waiting(from: &mut Reader<'_>) -> Result<BTreeMap<Arc<str>, Vec<Waiting>>, Malformed> {
    let mut all = BTreeMap::new();
    for _ in 0..from.count()? {
        let store = from.known()?;
        let mut waiting = Vec::new();
        for _ in 0..from.count()? {
            let sign = from.signed()?;
            let at = Timestamp::from_micros(from.signed()?);
            let sale = read_sale(from)?;
            waiting.push(Waiting { sale, sign, at });
        }
        all.insert(store, waiting);
    }
    Ok(all)
}

fn read_skipped(from: &mut Reader<'_>) -> Result<BTreeMap<(Topic, Arc<str>), Skipped>, Malformed> {
    let mut all = BTreeMap::new();
    for _ in 0..from.count()? {
        let key = (topic_of(from.unsigned()?)?, from.text()?.into());
        let skipped = Skipped {
            partition: i32::try_from(from.signed()?).map_err(|_| Malformed("a partition"))?,
            offset: from.signed()?,
            reason: from.text()?,
            event_type: from.text()?,
            at: Timestamp::from_micros(from.signed()?),
            followers: from.signed()?,
        };
        all.insert(key, skipped);
    }
    Ok(all)
}

fn write_sale(sale: &Sale, out: &mut Writer) {
    out.text(&sale.store);
    out.text(&sale.customer);
    out.signed(sale.total_minor);
    out.text(&sale.currency);
    out.signed(sale.confirmed_at.as_micros());
    out.count(sale.lines.len());
    for line in &sale.lines {
        out.text(&line.product);
        out.unsigned(u64::from(line.kind == Kind::Food));
        out.text(&line.method);
        out.text(&line.origin);
        out.signed(line.quantity);
    }
}

fn read_sale(from: &mut Reader<'_>) -> Result<Sale, Malformed> {
    let mut sale = Sale {
        store: from.text()?,
        customer: from.text()?,
        total_minor: from.signed()?,
        currency: from.text()?,
        confirmed_at: Timestamp::from_micros(from.signed()?),
        lines: Vec::new(),
    };
    for _ in 0..from.count()? {
        sale.lines.push(SoldLine {
            product: from.text()?,
            kind: if from.unsigned()? == 1 {
                Kind::Food
            } else {
                Kind::Drink
            },
            method: from.text()?,
            origin: from.text()?,
            quantity: from.signed()?,
        });
    }
    Ok(sale)
}

const fn topic_number(topic: Topic) -> u64 {
    match topic {
        Topic::Orders => 0,
        Topic::Catalogue => 1,
        Topic::Customers => 2,
    }
}

const fn topic_of(number: u64) -> Result<Topic, Malformed> {
    match number {
        0 => Ok(Topic::Orders),
        1 => Ok(Topic::Catalogue),
        2 => Ok(Topic::Customers),
        _ => Err(Malformed("a topic")),
    }
}
