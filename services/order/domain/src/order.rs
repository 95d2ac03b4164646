//! The aggregate: what an order is, what may be asked of it, what can happen to it.

mod barista;
mod decide;
mod evolve;

use std::fmt;

use brewline_kernel::{CustomerId, Money, OrderId, ProductId, StoreId, Timestamp};

pub use self::barista::{BaristaNews, hear};
pub use self::decide::decide;
pub use self::evolve::{evolve, fold};

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OrderStatus {
    /// Accepted; stock and money are being asked for.
    Pending,
    /// Sold.
    Confirmed,
    /// Not sold.
    Rejected,
    /// Being made.
    Preparing,
    /// Made.
    Ready,
    /// Handed over.
    Collected,
    /// The barista is asked whether it can still be cancelled: a semantic lock.
    Cancelling,
    /// Cancelled.
    Cancelled,
}

/// What a product is: it decides the station that makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProductKind {
    /// Brewed at the bar.
    Drink,
    /// Plated.
    Food,
}

/// One line of an order, with everything a consumer wants to know of the product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The product.
    pub product_id: ProductId,
    /// Its name when the order was placed.
    pub name: String,
    /// Drink or food.
    pub kind: ProductKind,
    /// How it is brewed; empty for food.
    pub method: String,
    /// Where its beans come from; may be empty.
    pub origin: String,
    /// The price of one.
    pub unit_price: Money,
    /// How many, 1 to 99.
    pub quantity: i64,
}

/// Why an order was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RejectionCode {
    /// A line was short.
    OutOfStock,
    /// The card was declined.
    PaymentDeclined,
    /// A risk rule said no.
    RiskRefused,
    /// The authorisation was not known in time.
    PaymentUnavailable,
    /// There was no answer about stock in time.
    TimedOut,
}

/// Why an order was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CancellationReason {
    /// The customer asked for it.
    Customer,
    /// The capture was refused for good and an operator gave the order up.
    PaymentLost,
}

/// Why an order was rejected, with words for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The code.
    pub code: RejectionCode,
    /// For people.
    pub detail: String,
}

/// Where a cancellation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CancellationStatus {
    /// The barista is asked.
    Requested,
    /// It was granted.
    Granted,
    /// It was refused: preparation had begun.
    Refused,
}

/// A cancellation somebody asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancellation {
    /// Where it stands.
    pub status: CancellationStatus,
    /// Why it was asked for, or why it was refused.
    pub reason: String,
}

/// An order: the fold of its events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Its id.
    pub id: OrderId,
    /// The store that makes it.
    pub store_id: StoreId,
    /// The customer.
    pub customer_id: CustomerId,
    /// What was ordered.
    pub lines: Vec<Line>,
    /// The sum of the lines.
    pub total: Money,
    /// Where it stands.
    pub status: OrderStatus,
    /// Where it goes back to when the barista refuses the cancellation; only while `cancelling`.
    pub resumes_as: Option<OrderStatus>,
    /// The number of its events.
    pub version: i64,
    /// When it was placed.
    pub placed_at: Timestamp,
    /// When it was confirmed, if it ever was.
    pub confirmed_at: Option<Timestamp>,
    /// When its last event happened.
    pub updated_at: Timestamp,
    /// Why it was rejected.
    pub rejection: Option<Rejection>,
    /// Where its cancellation stands; none when nobody asked.
    pub cancellation: Option<Cancellation>,
}

/// What an order is made of when it is placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The order's id, made by the shell.
    pub order_id: OrderId,
    /// The store that makes it.
    pub store_id: StoreId,
    /// The customer.
    pub customer_id: CustomerId,
    /// What is ordered, priced.
    pub lines: Vec<Line>,
    /// The sum of the lines.
    pub total: Money,
}

/// Who decides whether a confirmed order can still be cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withdrawal {
    /// Nobody works on it before it is handed over: it cancels at once.
    AtOnce,
    /// The barista may have begun, and is asked.
    AskBarista,
}

/// What is asked of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderCommand {
    /// Accept it.
    Place(Placement),
    /// Sell it: the authorisation is known.
    Confirm,
    /// Refuse it.
    Reject(Rejection),
    /// The customer wants it cancelled.
    Cancel {
        /// Why, in the customer's words.
        reason: String,
        /// Who decides.
        withdrawal: Withdrawal,
    },
    /// The barista gave it back untouched.
    GrantCancellation,
    /// The barista had begun.
    RefuseCancellation {
        /// Why.
        reason: String,
    },
    /// The capture was refused for good and an operator gives the order up.
    LosePayment,
    /// The barista has begun.
    StartPreparation,
    /// Every line is done.
    MarkReady,
    /// The customer has it.
    Collect,
}

/// What has happened to an order. Each holds only what is new; whoever publishes it adds the rest from
/// the [`Order`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderEvent {
    /// It was accepted.
    Placed {
        /// What it is made of.
        placement: Placement,
        /// When.
        at: Timestamp,
    },
    /// It is sold.
    Confirmed {
        /// When.
        at: Timestamp,
    },
    /// It is not sold.
    Rejected {
        /// Why.
        rejection: Rejection,
        /// When.
        at: Timestamp,
    },
    /// The barista is asked whether it can still be cancelled.
    CancellationRequested {
        /// Why, in the customer's words.
        reason: String,
        /// When.
        at: Timestamp,
    },
    /// The barista had begun: the order goes on.
    CancellationRefused {
        /// Why.
        reason: String,
        /// When.
        at: Timestamp,
    },
    /// It is cancelled.
    Cancelled {
        /// Why.
        reason: CancellationReason,
        /// Why, in the customer's words.
        detail: String,
        /// When.
        at: Timestamp,
    },
    /// The barista has begun.
    PreparationStarted {
        /// When.
        at: Timestamp,
    },
    /// Every line is done.
    Ready {
        /// When.
        at: Timestamp,
    },
    /// The customer has it.
    Collected {
        /// When.
        at: Timestamp,
    },
}

/// An expected "no".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderRejection {
    /// There is no such order.
    #[error("there is no such order")]
    Unknown,
    /// An order is placed once.
    #[error("the order exists already")]
    Exists,
    /// Its status does not allow it.
    #[error("an order that is {status} cannot {verb}")]
    NotAllowed {
        /// Where it stands.
        status: OrderStatus,
        /// What was asked.
        verb: &'static str,
    },
}

// === impl OrderStatus ===

impl OrderStatus {
    /// Every status.
    pub const ALL: [Self; 8] = [
        Self::Pending,
        Self::Confirmed,
        Self::Rejected,
        Self::Preparing,
        Self::Ready,
        Self::Collected,
        Self::Cancelling,
        Self::Cancelled,
    ];

    /// As it is written outside, such as `pending`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Confirmed => "confirmed",
            Self::Rejected => "rejected",
            Self::Preparing => "preparing",
            Self::Ready => "ready",
            Self::Collected => "collected",
            Self::Cancelling => "cancelling",
            Self::Cancelled => "cancelled",
        }
    }

    /// The status written as `text`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// True once the order has left `pending`.
    #[must_use]
    pub const fn is_settled(self) -> bool {
        !matches!(self, Self::Pending)
    }
}

impl fmt::Display for OrderStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl RejectionCode ===

impl RejectionCode {
    /// Every code.
    pub const ALL: [Self; 5] = [
        Self::OutOfStock,
        Self::PaymentDeclined,
        Self::RiskRefused,
        Self::PaymentUnavailable,
        Self::TimedOut,
    ];

    /// As it is written outside, such as `out-of-stock`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OutOfStock => "out-of-stock",
            Self::PaymentDeclined => "payment-declined",
            Self::RiskRefused => "risk-refused",
            Self::PaymentUnavailable => "payment-unavailable",
            Self::TimedOut => "timed-out",
        }
    }

    /// The code written as `text`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == text)
    }
}

impl fmt::Display for RejectionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
