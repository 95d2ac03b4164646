use std::fmt;

use brewline_kernel::{CustomerId, Money, OrderId, ProductId, StoreId, Timestamp};

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

/// Decides what `command` leads to. No events and no rejection: it is a repeat, and nothing happens.
///
/// # Errors
/// When the order's status does not allow it.
pub fn decide(
    order: Option<&Order>,
    command: OrderCommand,
    at: Timestamp,
) -> Result<Vec<OrderEvent>, OrderRejection> {
    let Some(order) = order else {
        return place(command, at);
    };
    let event = match command {
        OrderCommand::Place(_) => return Err(OrderRejection::Exists),
        OrderCommand::Cancel { reason, withdrawal } => {
            return cancel(order, reason, withdrawal, at);
        }
        OrderCommand::Confirm => order.only_from(&[OrderStatus::Pending], "be confirmed", || {
            OrderEvent::Confirmed { at }
        }),
        OrderCommand::Reject(rejection) => {
            order.only_from(&[OrderStatus::Pending], "be rejected", || {
                OrderEvent::Rejected { rejection, at }
            })
        }
        OrderCommand::GrantCancellation => {
            order.only_from(&[OrderStatus::Cancelling], "be cancelled", || {
                let detail = order.cancellation_reason();
                let reason = CancellationReason::Customer;
                OrderEvent::Cancelled { reason, detail, at }
            })
        }
        OrderCommand::RefuseCancellation { reason } => {
            order.only_from(&[OrderStatus::Cancelling], "go on", || {
                OrderEvent::CancellationRefused { reason, at }
            })
        }
        OrderCommand::LosePayment => order.only_from(SOLD, "be given up", || {
            let (reason, detail) = (CancellationReason::PaymentLost, String::new());
            OrderEvent::Cancelled { reason, detail, at }
        }),
        OrderCommand::StartPreparation => {
            return order.advance(
                OrderStatus::Preparing,
                OrderEvent::PreparationStarted { at },
            );
        }
        OrderCommand::MarkReady => {
            return order.advance(OrderStatus::Ready, OrderEvent::Ready { at });
        }
        OrderCommand::Collect => {
            return order.advance(OrderStatus::Collected, OrderEvent::Collected { at });
        }
    };
    event.map(|event| vec![event])
}

/// The order after `event`. An event that cannot come first leaves nothing; one that cannot come
/// second leaves the order as it was: what is stored was decided, so neither happens.
#[must_use]
pub fn evolve(order: Option<Order>, event: &OrderEvent) -> Option<Order> {
    match (order, event) {
        (None, OrderEvent::Placed { placement, at }) => Some(Order::placed(placement, *at)),
        (None, _) => None,
        (Some(order), event) => Some(order.with(event)),
    }
}

/// The order that `events` tell of, oldest first.
#[must_use]
pub fn fold<'a>(events: impl IntoIterator<Item = &'a OrderEvent>) -> Option<Order> {
    events.into_iter().fold(None, evolve)
}

/// Where an order is sold, and an operator may give it up when its money is lost.
const SOLD: &[OrderStatus] = &[
    OrderStatus::Confirmed,
    OrderStatus::Preparing,
    OrderStatus::Ready,
    OrderStatus::Collected,
];

fn place(command: OrderCommand, at: Timestamp) -> Result<Vec<OrderEvent>, OrderRejection> {
    if let OrderCommand::Place(placement) = command {
        return Ok(vec![OrderEvent::Placed { placement, at }]);
    }
    Err(OrderRejection::Unknown)
}

fn cancel(
    order: &Order,
    detail: String,
    withdrawal: Withdrawal,
    at: Timestamp,
) -> Result<Vec<OrderEvent>, OrderRejection> {
    let reason = CancellationReason::Customer;
    match (order.status, withdrawal) {
        (OrderStatus::Cancelling | OrderStatus::Cancelled, _) => Ok(Vec::new()),
        (OrderStatus::Pending, _) | (OrderStatus::Confirmed, Withdrawal::AtOnce) => {
            Ok(vec![OrderEvent::Cancelled { reason, detail, at }])
        }
        (OrderStatus::Confirmed, Withdrawal::AskBarista) => {
            let reason = detail;
            Ok(vec![OrderEvent::CancellationRequested { reason, at }])
        }
        (status, _) => Err(OrderRejection::NotAllowed {
            status,
            verb: "be cancelled",
        }),
    }
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

    /// The status that the barista's work leads from to this one.
    const fn predecessor(self) -> Option<Self> {
        match self {
            Self::Preparing => Some(Self::Confirmed),
            Self::Ready => Some(Self::Preparing),
            Self::Collected => Some(Self::Ready),
            Self::Pending
            | Self::Confirmed
            | Self::Rejected
            | Self::Cancelling
            | Self::Cancelled => None,
        }
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

// === impl Order ===

impl Order {
    fn placed(placement: &Placement, at: Timestamp) -> Self {
        Self {
            id: placement.order_id,
            store_id: placement.store_id.clone(),
            customer_id: placement.customer_id.clone(),
            lines: placement.lines.clone(),
            total: placement.total,
            status: OrderStatus::Pending,
            resumes_as: None,
            version: 1,
            placed_at: at,
            confirmed_at: None,
            updated_at: at,
            rejection: None,
            cancellation: None,
        }
    }

    fn with(mut self, event: &OrderEvent) -> Self {
        self.version += 1;
        self.updated_at = event.at();
        match event {
            OrderEvent::Placed { .. } => {}
            OrderEvent::Confirmed { at } => {
                self.status = OrderStatus::Confirmed;
                self.confirmed_at = Some(*at);
            }
            OrderEvent::Rejected { rejection, .. } => {
                self.status = OrderStatus::Rejected;
                self.rejection = Some(rejection.clone());
            }
            OrderEvent::CancellationRequested { reason, .. } => {
                self.resumes_as = Some(self.status);
                self.status = OrderStatus::Cancelling;
                self.note_cancellation(CancellationStatus::Requested, reason);
            }
            OrderEvent::CancellationRefused { reason, .. } => {
                self.status = self.resumes_as.take().unwrap_or(self.status);
                self.note_cancellation(CancellationStatus::Refused, reason);
            }
            OrderEvent::Cancelled { detail, .. } => {
                self.resumes_as = None;
                self.status = OrderStatus::Cancelled;
                self.note_cancellation(CancellationStatus::Granted, detail);
            }
            OrderEvent::PreparationStarted { .. } => self.progress(OrderStatus::Preparing),
            OrderEvent::Ready { .. } => self.progress(OrderStatus::Ready),
            OrderEvent::Collected { .. } => self.progress(OrderStatus::Collected),
        }
        self
    }

    fn note_cancellation(&mut self, status: CancellationStatus, reason: &str) {
        let reason = reason.to_owned();
        self.cancellation = Some(Cancellation { status, reason });
    }

    /// The barista's work shows at once, except while `cancelling`: then it waits for the answer.
    fn progress(&mut self, to: OrderStatus) {
        match self.resumes_as.as_mut() {
            Some(resumes_as) => *resumes_as = to,
            None => self.status = to,
        }
    }

    fn cancellation_reason(&self) -> String {
        let reason = self.cancellation.as_ref().map(|asked| asked.reason.clone());
        reason.unwrap_or_default()
    }

    fn only_from(
        &self,
        allowed: &[OrderStatus],
        verb: &'static str,
        event: impl FnOnce() -> OrderEvent,
    ) -> Result<OrderEvent, OrderRejection> {
        if allowed.contains(&self.status) {
            return Ok(event());
        }
        Err(OrderRejection::NotAllowed {
            status: self.status,
            verb,
        })
    }

    /// A step of the barista's work. A repeat is harmless while that step made the current status.
    fn advance(
        &self,
        to: OrderStatus,
        event: OrderEvent,
    ) -> Result<Vec<OrderEvent>, OrderRejection> {
        let stands = self.resumes_as.unwrap_or(self.status);
        if stands == to {
            return Ok(Vec::new());
        }
        if to.predecessor() == Some(stands) {
            return Ok(vec![event]);
        }
        let verb = "become what the barista says";
        Err(OrderRejection::NotAllowed {
            status: self.status,
            verb,
        })
    }
}

// === impl OrderEvent ===

impl OrderEvent {
    /// When it happened.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        match self {
            Self::Placed { at, .. }
            | Self::Confirmed { at }
            | Self::Rejected { at, .. }
            | Self::CancellationRequested { at, .. }
            | Self::CancellationRefused { at, .. }
            | Self::Cancelled { at, .. }
            | Self::PreparationStarted { at }
            | Self::Ready { at }
            | Self::Collected { at } => *at,
        }
    }

    /// The last part of its name on the wire, such as `OrderPlaced`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Placed { .. } => "OrderPlaced",
            Self::Confirmed { .. } => "OrderConfirmed",
            Self::Rejected { .. } => "OrderRejected",
            Self::CancellationRequested { .. } => "OrderCancellationRequested",
            Self::CancellationRefused { .. } => "OrderCancellationRefused",
            Self::Cancelled { .. } => "OrderCancelled",
            Self::PreparationStarted { .. } => "OrderPreparationStarted",
            Self::Ready { .. } => "OrderReady",
            Self::Collected { .. } => "OrderCollected",
        }
    }
}
