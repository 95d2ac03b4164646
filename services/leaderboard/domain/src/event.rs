use std::sync::Arc;

use brewline_kernel::Timestamp;

use crate::Day;

/// Which local date an instant is. The shell's calendar knows time zones; the fold only asks.
pub trait Calendar {
    /// The local date of an instant in an IANA time zone.
    fn local_day(&self, time_zone: &str, at: Timestamp) -> Day;
}

/// A topic that boards are folded from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// Orders: each record a fact.
    Orders,
    /// Stores and products: each record the whole state of one.
    Catalogue,
    /// Customers: each record the whole state of one.
    Customers,
}

/// A record, decoded as far as boards need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// The topic.
    pub topic: Topic,
    /// The partition.
    pub partition: i32,
    /// What it is about.
    pub subject: Arc<str>,
    /// The subject's version after it.
    pub version: i64,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An order was sold.
    Confirmed(Box<Sale>),
    /// An order was cancelled: what is taken back; nothing when it had not been sold.
    Cancelled(Option<Box<Sale>>),
    /// An order's version moved, and boards did not.
    Moved,
    /// A store as it is.
    Store {
        /// Its IANA time zone.
        time_zone: String,
    },
    /// A product as it is.
    Product(crate::Product),
    /// A customer as it is: the name, where boards may show it.
    Customer {
        /// The name to show.
        shown: Option<String>,
    },
}

/// What was sold to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sale {
    /// The store.
    pub store: String,
    /// The customer.
    pub customer: String,
    /// What.
    pub lines: Vec<SoldLine>,
    /// The total in minor units.
    pub total_minor: i64,
    /// Its currency.
    pub currency: String,
    /// The instant that decides the windows.
    pub confirmed_at: Timestamp,
}

/// One line of a sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoldLine {
    /// The product.
    pub product: String,
    /// Drink or food.
    pub kind: Kind,
    /// How it is brewed; empty for food.
    pub method: String,
    /// Where its beans come from; may be empty.
    pub origin: String,
    /// How many.
    pub quantity: i64,
}

/// What a product is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Brewed.
    Drink,
    /// Plated.
    Food,
}
