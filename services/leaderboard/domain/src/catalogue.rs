use std::collections::BTreeMap;
use std::sync::Arc;

use crate::Kind;
use crate::bytes::{Malformed, Reader, Writer};

/// Stores and products as the catalogue's events tell them; the newest version counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    stores: BTreeMap<Arc<str>, Store>,
    products: BTreeMap<Arc<str>, (i64, Product)>,
}

/// A store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// Its IANA time zone.
    pub time_zone: Arc<str>,
    /// Its version.
    pub version: i64,
}

/// A product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// The name people see.
    pub name: String,
    /// Drink or food.
    pub kind: Kind,
    /// How it is brewed; empty for food.
    pub method: String,
    /// Whether it is sold no more.
    pub retired: bool,
}

// === impl Catalogue ===

impl Catalogue {
    /// A store.
    #[must_use]
    pub fn store(&self, id: &str) -> Option<&Store> {
        self.stores.get(id)
    }

    /// A product.
    #[must_use]
    pub fn product(&self, id: &str) -> Option<&Product> {
        self.products.get(id).map(|(_, product)| product)
    }

    /// All products.
    pub fn products(&self) -> impl Iterator<Item = (&Arc<str>, &Product)> {
        self.products.iter().map(|(id, (_, product))| (id, product))
    }

    /// The version of a subject of the catalogue's topic.
    #[must_use]
    pub fn version(&self, subject: &str) -> Option<i64> {
        match subject.split_once('/')? {
            ("store", id) => self.stores.get(id).map(|store| store.version),
            ("product", id) => self.products.get(id).map(|(version, _)| *version),
            _ => None,
        }
    }

    /// Takes a store as it is; whether that is news.
    pub(crate) fn put_store(&mut self, id: &str, version: i64, time_zone: &str) -> bool {
        if self
            .stores
            .get(id)
            .is_some_and(|store| store.version >= version)
        {
            return false;
        }
        let time_zone = time_zone.into();
        self.stores.insert(id.into(), Store { time_zone, version });
        true
    }

    /// Takes a product as it is; whether that is news.
    pub(crate) fn put_product(&mut self, id: &str, version: i64, product: Product) -> bool {
        if self
            .products
            .get(id)
            .is_some_and(|(known, _)| *known >= version)
        {
            return false;
        }
        self.products.insert(id.into(), (version, product));
        true
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        out.count(self.stores.len());
        for (id, store) in &self.stores {
            out.text(id);
            out.signed(store.version);
            out.text(&store.time_zone);
        }
        out.count(self.products.len());
        for (id, (version, product)) in &self.products {
            out.text(id);
            out.signed(*version);
            out.text(&product.name);
            out.unsigned(u64::from(product.kind == Kind::Food));
            out.text(&product.method);
            out.unsigned(u64::from(product.retired));
        }
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut catalogue = Self::default();
        for _ in 0..from.count()? {
            let (id, version, time_zone) = (from.text()?, from.signed()?, from.text()?);
            catalogue.put_store(&id, version, &time_zone);
        }
        for _ in 0..from.count()? {
            let (id, version) = (from.text()?, from.signed()?);
            let product = Product {
                name: from.text()?,
                kind: if from.unsigned()? == 1 {
                    Kind::Food
                } else {
                    Kind::Drink
                },
                method: from.text()?,
                retired: from.unsigned()? == 1,
            };
            catalogue.put_product(&id, version, product);
        }
        Ok(catalogue)
    }
}
