use std::collections::BTreeSet;

use brewline_kernel::Timestamp;
use brewline_proto::{catalogue, customer, fulfilment, money, order};
use prost::Message;
use sha2::{Digest as _, Sha256};

/// What a record says, where a checker has to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// An order was sold.
    Confirmed(Sale),
    /// An order was rejected: its customer.
    Rejected(String),
    /// An order was cancelled.
    Cancelled {
        /// What was ordered, and when it had been sold; without that instant it never was.
        sale: Sale,
        /// Whether an operator gave it up since its money was lost.
        payment_lost: bool,
    },
    /// A confirmed order is on the wall.
    TicketsOpened(Vec<Opened>),
    /// Somebody began with the first of an order's tickets.
    PreparationStarted(String),
    /// Somebody began with another one.
    TicketStarted(String),
    /// A ticket is done.
    TicketDone(String),
    /// All tickets are done.
    PreparationCompleted,
    /// What was open is off the wall.
    TicketsWithdrawn {
        /// Whether it was since its money was lost.
        payment_lost: bool,
    },
    /// Somebody had begun.
    WithdrawalRefused,
    /// A store as it is.
    Store {
        /// Its id.
        id: String,
        /// Its IANA time zone.
        time_zone: String,
    },
    /// A customer as it is.
    Customer(Person),
}

/// What was sold, to whom, where, when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sale {
    /// The store.
    pub store: String,
    /// The customer.
    pub customer: String,
    /// What.
    pub lines: Vec<Sold>,
    /// The total in minor units.
    pub total_minor: i64,
    /// Its currency.
    pub currency: String,
    /// When it was confirmed; none when it never was.
    pub confirmed_at: Option<Timestamp>,
}

/// A line of a sale.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sold {
    /// The product.
    pub product: String,
    /// Whether it is a drink; food otherwise.
    pub drink: bool,
    /// How it is brewed.
    pub method: String,
    /// Where its beans come from.
    pub origin: String,
    /// How many.
    pub quantity: i64,
}

/// A ticket as it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// The ticket.
    pub ticket: String,
    /// The line, counted from 0.
    pub line: i32,
    /// The product.
    pub product: String,
    /// How many.
    pub quantity: i64,
}

/// What a customer's record holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    /// The customer's id.
    pub id: String,
    /// Whether it says that the customer is erased.
    pub erased: bool,
    /// The name and the address in it; empty when there is neither.
    pub personal: BTreeSet<String>,
    /// The SHA-256 of the body.
    pub sha256: Vec<u8>,
}

// === impl Fact ===

impl Fact {
    /// What a record of this type says; none where nobody asks, and none of a body that makes no sense:
    /// what depends on it is then missing, and that its consumers gave it up is judged elsewhere.
    pub(super) fn read(kind: &str, body: &[u8]) -> Option<Self> {
        Self::decoded(kind, body).ok().flatten()
    }

    fn decoded(kind: &str, body: &[u8]) -> Result<Option<Self>, prost::DecodeError> {
        let fact = match kind {
            "OrderConfirmed" => Self::Confirmed(confirmed(Message::decode(body)?)),
            "OrderRejected" => {
                let rejected: order::v1::OrderRejected = Message::decode(body)?;
                Self::Rejected(rejected.customer_id)
            }
            "OrderCancelled" => cancelled(Message::decode(body)?),
            "StoreChanged" => {
                let store: catalogue::v1::StoreChanged = Message::decode(body)?;
                let (id, time_zone) = (store.store_id, store.time_zone);
                Self::Store { id, time_zone }
            }
            "CustomerChanged" => Self::Customer(Person {
                sha256: Sha256::digest(body).to_vec(),
                ..person(Message::decode(body)?)
            }),
            _ => return fulfilled(kind, body),
        };
        Ok(Some(fact))
    }
}

fn fulfilled(kind: &str, body: &[u8]) -> Result<Option<Fact>, prost::DecodeError> {
    use fulfilment::v1 as wire;
    Ok(Some(match kind {
        "TicketsOpened" => {
            let message: wire::TicketsOpened = Message::decode(body)?;
            Fact::TicketsOpened(message.tickets.into_iter().map(opened).collect())
        }
        "PreparationStarted" => {
            let message: wire::PreparationStarted = Message::decode(body)?;
            Fact::PreparationStarted(message.ticket_id)
        }
        "TicketStarted" => {
            let message: wire::TicketStarted = Message::decode(body)?;
            Fact::TicketStarted(message.ticket_id)
        }
        "TicketDone" => {
            let message: wire::TicketDone = Message::decode(body)?;
            Fact::TicketDone(message.ticket_id)
        }
        "PreparationCompleted" => Fact::PreparationCompleted,
        "TicketsWithdrawn" => {
            let message: wire::TicketsWithdrawn = Message::decode(body)?;
            let payment_lost = message.reason() == wire::WithdrawalReason::PaymentLost;
            Fact::TicketsWithdrawn { payment_lost }
        }
        "WithdrawalRefused" => Fact::WithdrawalRefused,
        _ => return Ok(None),
    }))
}

fn confirmed(message: order::v1::OrderConfirmed) -> Sale {
    let (total_minor, currency) = amount(message.total);
    Sale {
        store: message.store_id,
        customer: message.customer_id,
        lines: message.lines.into_iter().map(sold).collect(),
        total_minor,
        currency,
        confirmed_at: message.confirmed_at.map(|at| instant(&at)),
    }
}

fn cancelled(message: order::v1::OrderCancelled) -> Fact {
    let payment_lost = message.reason() == order::v1::CancellationReason::PaymentLost;
    let (total_minor, currency) = amount(message.total);
    let sale = Sale {
        store: message.store_id,
        customer: message.customer_id,
        lines: message.lines.into_iter().map(sold).collect(),
        total_minor,
        currency,
        confirmed_at: message.confirmed_at.map(|at| instant(&at)),
    };
    Fact::Cancelled { sale, payment_lost }
}

fn sold(line: order::v1::OrderLine) -> Sold {
    Sold {
        drink: line.kind() == catalogue::v1::ProductKind::Drink,
        product: line.product_id,
        method: line.method,
        origin: line.origin,
        quantity: line.quantity,
    }
}

fn opened(ticket: fulfilment::v1::Ticket) -> Opened {
    Opened {
        ticket: ticket.ticket_id,
        line: ticket.line,
        product: ticket.product_id,
        quantity: ticket.quantity,
    }
}

fn person(message: customer::v1::CustomerChanged) -> Person {
    let personal = [message.name, message.email].into_iter();
    Person {
        id: message.customer_id,
        erased: message.erased,
        sha256: Vec::new(),
        personal: personal.filter(|text| !text.is_empty()).collect(),
    }
}

fn amount(total: Option<money::v1::Money>) -> (i64, String) {
    total.map_or_else(Default::default, |money| {
        (money.amount_minor, money.currency)
    })
}

pub(super) fn instant(at: &prost_types::Timestamp) -> Timestamp {
    let micros = at.seconds.saturating_mul(1_000_000);
    Timestamp::from_micros(micros.saturating_add(i64::from(at.nanos) / 1_000))
}

/// Whether a body of a customer's record holds a name or an address; so does one that makes no sense,
/// as far as anybody can tell.
pub(super) fn is_personal(body: &[u8]) -> bool {
    let person = customer::v1::CustomerChanged::decode(body).map(person);
    person.map_or(!body.is_empty(), |person| !person.personal.is_empty())
}
