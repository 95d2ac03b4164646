use std::collections::BTreeSet;

use brewline_kernel::{Currency, Money};

/// The longest name of a store or product, in characters.
const NAME_CHARS_MAX: usize = 200;
/// The longest method or origin, in characters.
const LABEL_CHARS_MAX: usize = 100;
/// The longest name of a time zone, in characters; the longest in use has 30.
const TIME_ZONE_CHARS_MAX: usize = 64;
/// How many currencies one product may be sold in.
const PRICES_MAX: usize = 50;
/// The highest price of one product, in minor units.
const PRICE_MINOR_MAX: i64 = 100_000_000;

/// A store or a product: its details, how often they changed, and whether it is still in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item<D> {
    /// What is said about it.
    pub details: D,
    /// Counts its changes, from 1.
    pub version: i64,
    /// True once it is out of use. Its id is never used again.
    pub retired: bool,
}

/// What a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreDetails {
    name: String,
    currency: Currency,
    time_zone: String,
}

/// What a product is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProductDetails {
    name: String,
    kind: ProductKind,
    method: String,
    origin: String,
    prices: Vec<Money>,
}

/// Who makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProductKind {
    /// Brewed at the bar.
    Drink,
    /// Plated.
    Food,
}

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldFault {
    /// The field.
    pub field: &'static str,
    /// What is wrong with it, for people.
    pub detail: String,
}

/// An expected "no" to a change of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogueRejection {
    /// It is out of use for good.
    #[error("it is retired, and its id is never used again")]
    Retired,
    /// It never was.
    #[error("it does not exist")]
    Unknown,
    /// Prices, sums and books of a store are in one currency for ever.
    #[error("the currency of a store cannot change once it is set")]
    CurrencyFixed,
}

/// What may be said about an item, and which changes of it are allowed.
pub trait Details: Clone + PartialEq {
    /// Whether `next` may follow.
    ///
    /// # Errors
    /// When something would change that is fixed for good.
    fn may_become(&self, next: &Self) -> Result<(), CatalogueRejection>;
}

// === impl Item ===

impl<D: Details> Item<D> {
    /// Decides what a PUT of `details` makes of `current`; nothing when it changes nothing.
    ///
    /// # Errors
    /// When the item is retired, or something fixed would change.
    pub fn put(current: Option<&Self>, details: D) -> Result<Option<Self>, CatalogueRejection> {
        let Some(current) = current else {
            return Ok(Some(Self::changed(details, 1)));
        };
        if current.retired {
            return Err(CatalogueRejection::Retired);
        }
        current.details.may_become(&details)?;
        let changes = current.details != details;
        Ok(changes.then(|| Self::changed(details, current.version + 1)))
    }

    /// Decides what retiring makes of `current`; nothing when it is retired already.
    ///
    /// # Errors
    /// When there is no such item.
    pub fn retire(current: Option<&Self>) -> Result<Option<Self>, CatalogueRejection> {
        let current = current.ok_or(CatalogueRejection::Unknown)?;
        Ok((!current.retired).then(|| Self {
            details: current.details.clone(),
            version: current.version + 1,
            retired: true,
        }))
    }

    /// Decides whether it may be used.
    ///
    /// # Errors
    /// When there is no such item, or it is retired.
    pub fn in_use(current: Option<&Self>) -> Result<&Self, CatalogueRejection> {
        match current {
            Some(item) if !item.retired => Ok(item),
            Some(_) => Err(CatalogueRejection::Retired),
            None => Err(CatalogueRejection::Unknown),
        }
    }

    const fn changed(details: D, version: i64) -> Self {
        Self {
            details,
            version,
            retired: false,
        }
    }
}

// === impl StoreDetails ===

impl StoreDetails {
    /// Checks every field. Whether the time zone exists is for the shell to say: only it can look.
    ///
    /// # Errors
    /// All faults together.
    pub fn new(name: &str, currency: &str, time_zone: &str) -> Result<Self, Vec<FieldFault>> {
        let mut faults = Vec::new();
        check(&mut faults, "name", text(name, 1, NAME_CHARS_MAX));
        check(
            &mut faults,
            "timeZone",
            text(time_zone, 1, TIME_ZONE_CHARS_MAX),
        );
        let currency = in_use(currency);
        check(
            &mut faults,
            "currency",
            currency.as_ref().map_err(Clone::clone).map(drop),
        );
        match currency {
            Ok(currency) if faults.is_empty() => Ok(Self {
                name: name.to_owned(),
                currency,
                time_zone: time_zone.to_owned(),
            }),
            _ => Err(faults),
        }
    }

    /// The name people see.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The currency of every price taken here.
    #[must_use]
    pub const fn currency(&self) -> Currency {
        self.currency
    }

    /// The IANA time zone, which decides the local date of a sale.
    #[must_use]
    pub fn time_zone(&self) -> &str {
        &self.time_zone
    }
}

impl Details for StoreDetails {
    fn may_become(&self, next: &Self) -> Result<(), CatalogueRejection> {
        if self.currency == next.currency {
            Ok(())
        } else {
            Err(CatalogueRejection::CurrencyFixed)
        }
    }
}

// === impl ProductDetails ===

impl ProductDetails {
    /// Checks every field.
    ///
    /// # Errors
    /// All faults together.
    pub fn new(
        name: &str,
        kind: ProductKind,
        method: &str,
        origin: &str,
        prices: Vec<Money>,
    ) -> Result<Self, Vec<FieldFault>> {
        let mut faults = Vec::new();
        check(&mut faults, "name", text(name, 1, NAME_CHARS_MAX));
        check(&mut faults, "method", method_of(kind, method));
        check(&mut faults, "origin", text(origin, 0, LABEL_CHARS_MAX));
        check(&mut faults, "prices", sellable(&prices));
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Self {
            name: name.to_owned(),
            kind,
            method: method.to_owned(),
            origin: origin.to_owned(),
            prices: by_currency(prices),
        })
    }

    /// The name people see.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Drink or food.
    #[must_use]
    pub const fn kind(&self) -> ProductKind {
        self.kind
    }

    /// How it is brewed; empty for food.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// Where its beans come from; may be empty.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// One price a currency, by currency.
    #[must_use]
    pub fn prices(&self) -> &[Money] {
        &self.prices
    }
}

impl Details for ProductDetails {
    fn may_become(&self, _next: &Self) -> Result<(), CatalogueRejection> {
        Ok(())
    }
}

fn check(faults: &mut Vec<FieldFault>, field: &'static str, result: Result<(), String>) {
    if let Err(detail) = result {
        faults.push(FieldFault { field, detail });
    }
}

fn text(value: &str, chars_min: usize, chars_max: usize) -> Result<(), String> {
    let chars = value.chars().count();
    if chars < chars_min || chars > chars_max {
        return Err(format!(
            "has {chars} characters, {chars_min} to {chars_max} are allowed"
        ));
    }
    if value.chars().any(char::is_control) {
        return Err("holds a control character".to_owned());
    }
    if value.trim() != value {
        return Err("begins or ends with white space".to_owned());
    }
    Ok(())
}

fn method_of(kind: ProductKind, method: &str) -> Result<(), String> {
    match kind {
        ProductKind::Drink => text(method, 1, LABEL_CHARS_MAX),
        ProductKind::Food if method.is_empty() => Ok(()),
        ProductKind::Food => Err("food is not brewed: leave the method empty".to_owned()),
    }
}

/// A currency that people pay with. One that does not exist would have no minor units.
fn in_use(text: &str) -> Result<Currency, String> {
    let currency: Currency = text
        .parse()
        .map_err(|error: brewline_kernel::InvalidCurrency| error.to_string())?;
    if currency.is_in_use() {
        Ok(currency)
    } else {
        Err(not_in_use(currency))
    }
}

fn not_in_use(currency: Currency) -> String {
    format!("{currency} is no currency that ISO 4217 lists as in use")
}

fn sellable(prices: &[Money]) -> Result<(), String> {
    if !(1..=PRICES_MAX).contains(&prices.len()) {
        return Err(format!(
            "has {} entries, 1 to {PRICES_MAX} are allowed",
            prices.len()
        ));
    }
    let mut seen = BTreeSet::new();
    for price in prices {
        if !(1..=PRICE_MINOR_MAX).contains(&price.minor) {
            return Err(format!(
                "{} is no price: 1 to {PRICE_MINOR_MAX} minor units are allowed",
                price.minor
            ));
        }
        if !price.currency.is_in_use() {
            return Err(not_in_use(price.currency));
        }
        if !seen.insert(price.currency) {
            return Err(format!("has two prices in {}", price.currency));
        }
    }
    Ok(())
}

/// The order in which prices are sent says nothing: sorted, an unchanged PUT compares equal.
fn by_currency(mut prices: Vec<Money>) -> Vec<Money> {
    prices.sort_by_key(|price| price.currency);
    prices
}
