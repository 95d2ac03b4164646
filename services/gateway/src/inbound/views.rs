//! What goes out as JSON: the wire's messages in the shape that `openapi.json` describes.

use brewline_proto::catalogue::v1::{Product, ProductKind, Store};
use brewline_proto::customer::v1::Customer;
use brewline_proto::inventory::v1::StockItem;
use brewline_proto::money::v1::Money;
use serde::{Serialize, Serializer};

/// A list, or a page of one.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct List<T> {
    pub(super) items: Vec<T>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) next_page_token: String,
}

/// An amount in minor units.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MoneyView {
    amount_minor: i64,
    currency: String,
}

/// A store.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StoreView {
    store_id: String,
    name: String,
    currency: String,
    time_zone: String,
    version: i64,
}

/// A product.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProductView {
    product_id: String,
    name: String,
    kind: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    method: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    origin: String,
    prices: Vec<MoneyView>,
    version: i64,
}

/// The stock of one product.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StockView {
    product_id: String,
    on_hand: i64,
    reserved: i64,
    available: i64,
}

/// A customer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CustomerView {
    customer_id: String,
    name: String,
    email: String,
    locale: String,
    show_name: bool,
    version: i64,
}

/// What is left of a customer that was erased.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ErasedView {
    pub(super) customer_id: String,
    pub(super) erased: bool,
}

/// An instant, as RFC 3339 in UTC.
#[derive(Debug)]
pub(super) struct Instant(prost_types::Timestamp);

// === impl List ===

impl<T> List<T> {
    /// All there is.
    pub(super) fn whole<W: Into<T>>(items: Vec<W>) -> Self {
        Self {
            items: items.into_iter().map(Into::into).collect(),
            next_page_token: String::new(),
        }
    }
}

// === impl MoneyView ===

impl From<Money> for MoneyView {
    fn from(money: Money) -> Self {
        Self {
            amount_minor: money.amount_minor,
            currency: money.currency,
        }
    }
}

// === impl StoreView ===

impl From<Store> for StoreView {
    fn from(store: Store) -> Self {
        Self {
            store_id: store.store_id,
            name: store.name,
            currency: store.currency,
            time_zone: store.time_zone,
            version: store.version,
        }
    }
}

// === impl ProductView ===

impl From<Product> for ProductView {
    fn from(product: Product) -> Self {
        Self {
            kind: kind_name(product.kind),
            product_id: product.product_id,
            name: product.name,
            method: product.method,
            origin: product.origin,
            prices: product.prices.into_iter().map(Into::into).collect(),
            version: product.version,
        }
    }
}

// === impl StockView ===

impl From<StockItem> for StockView {
    fn from(item: StockItem) -> Self {
        Self {
            product_id: item.product_id,
            on_hand: item.on_hand,
            reserved: item.reserved,
            available: item.available,
        }
    }
}

// === impl CustomerView ===

impl From<Customer> for CustomerView {
    fn from(customer: Customer) -> Self {
        Self {
            customer_id: customer.customer_id,
            name: customer.name,
            email: customer.email,
            locale: customer.locale,
            show_name: customer.show_name,
            version: customer.version,
        }
    }
}

// === impl Instant ===

impl From<prost_types::Timestamp> for Instant {
    fn from(instant: prost_types::Timestamp) -> Self {
        Self(instant)
    }
}

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // An instant beyond the calendar cannot come from our services; 1970 shows that it did.
        let instant = jiff::Timestamp::new(self.0.seconds, self.0.nanos);
        serializer.collect_str(&instant.unwrap_or_default())
    }
}

/// The name of a product's kind; a kind newer than this edge has no name here.
pub(super) fn kind_name(kind: i32) -> &'static str {
    match ProductKind::try_from(kind) {
        Ok(ProductKind::Drink) => "drink",
        Ok(ProductKind::Food) => "food",
        Ok(ProductKind::Unspecified) | Err(_) => "unknown",
    }
}

/// The kind of a name.
pub(super) fn kind_of(name: &str) -> Option<ProductKind> {
    match name {
        "drink" => Some(ProductKind::Drink),
        "food" => Some(ProductKind::Food),
        _ => None,
    }
}
