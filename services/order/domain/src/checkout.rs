//! The checkout saga: parameters, the table of steps and compensations, and [`react()`].
//!
//! ```text
//! reserving ──► authorising ──►│ completing ──► completed
//!     │              │         │     │              │
//!     ▼              ▼       pivot   ▼ cancelled    ▼ cancelled
//!     └──────► unwinding ◄───────────┴──────────────┘
//!                  │
//!                  ▼
//!               undone            parked: aside, from anywhere but `undone`
//! ```
//!
//! The known authorisation is the pivot: before it, a refusal or a deadline unwinds; after it, only a
//! cancellation does. Three thoughts carry the rest:
//!
//! - What may have been done is on record before it is done ([`Call::Asked`]), so that unwinding knows
//!   what to undo even when the answer never came.
//! - An unknown outcome is asked for again, by the same call; it is never taken for a yes or a no.
//! - There is one undo of money, `Reverse`. It is sent whenever an authorisation may have been asked
//!   for, even when the card was declined: payment's fence then refuses whatever comes late.

mod react;
mod state;

use std::time::Duration;

use brewline_kernel::{Saga, Timestamp};

pub use self::react::{begin, react};
pub use self::state::{Call, Effect, Money, PaymentStatus, Phase, Stock};
use crate::order::Rejection;

/// One step beside what undoes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The phase that waits for its outcome.
    pub phase: Phase,
    /// What is done.
    pub action: &'static str,
    /// How its outcome becomes known.
    pub known_by: &'static str,
    /// What undoes it.
    pub compensation: &'static str,
    /// How we know that it is undone.
    pub undone_by: &'static str,
}

/// The steps in their order, each beside its compensation. Inventory's are choreographed: it acts on
/// the order's events. Payment's are calls.
pub const STEPS: [Step; 4] = [
    Step {
        phase: Phase::Reserving,
        action: "OrderPlaced",
        known_by: "StockReserved | StockRejected",
        compensation: "OrderRejected | OrderCancelled",
        undone_by: "StockReleased",
    },
    Step {
        phase: Phase::Authorising,
        action: "Authorise",
        known_by: "AuthoriseOutcome",
        compensation: "Reverse",
        undone_by: "ReverseOutcome: voided",
    },
    Step {
        phase: Phase::Completing,
        action: "Capture",
        known_by: "CaptureOutcome",
        compensation: "Reverse",
        undone_by: "ReverseOutcome: refunded",
    },
    Step {
        phase: Phase::Completing,
        action: "OrderConfirmed",
        known_by: "StockCommitted",
        compensation: "OrderCancelled",
        undone_by: "StockReturned",
    },
];

/// How long each thing may take. Judged by the order database's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// For an answer about stock.
    pub reserve: Duration,
    /// For a known authorisation, from the answer about stock.
    pub authorise: Duration,
    /// For an order to be `pending`, in all.
    pub pending: Duration,
    /// For everything after the pivot, and for unwinding, before somebody is told. Nothing else
    /// happens then.
    pub alert: Duration,
    /// For a call to stay unknown before the saga is parked.
    pub park: Duration,
}

/// Everything a checkout remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckoutState {
    /// Where it stands.
    pub phase: Phase,
    /// Why it stands aside, and where it goes on; only while [`Phase::Parked`].
    pub parked: Option<Parked>,
    /// What is known of the stock.
    pub stock: Stock,
    /// What is known of the money.
    pub money: Money,
    /// When the phase is overdue; none once that was acted upon.
    pub deadline_at: Option<Timestamp>,
    /// When the checkout began.
    pub started_at: Timestamp,
    /// How often the call of this phase came back unknown.
    pub attempts: u32,
    /// Since when it has come back unknown.
    pub unknown_since: Option<Timestamp>,
}

/// A saga that stands aside: visible, alerting, in nobody's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parked {
    /// The phase it goes on from.
    pub resumes_in: Phase,
    /// Why.
    pub reason: ParkReason,
}

/// Why a saga stands aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParkReason {
    /// The capture is refused for good: an operator decides.
    CaptureRefused,
    /// The reversal is refused for good: an operator decides.
    ReverseRefused,
    /// Payment has not answered for too long. Retries by itself.
    Outage,
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It took effect.
    Done(Effect),
    /// The card's bank said no, for good.
    Declined {
        /// Its reason.
        code: String,
    },
    /// A risk rule said no, for good.
    RiskRefused {
        /// Why, for people.
        detail: String,
    },
    /// Payment said no, for good.
    Refused {
        /// Why, for people.
        detail: String,
    },
    /// Nobody knows yet.
    Unknown,
}

/// What a checkout reacts to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckoutEvent {
    /// All lines are held.
    StockReserved,
    /// A line was short; nothing is held.
    StockRejected {
        /// What was short, for people.
        detail: String,
    },
    /// What was held is sold.
    StockCommitted,
    /// Nothing is held any more, or ever will be.
    StockReleased,
    /// What was sold is back.
    StockReturned,
    /// An `Authorise` came back.
    AuthoriseOutcome(Outcome),
    /// A `Capture` came back.
    CaptureOutcome(Outcome),
    /// A `Reverse` came back.
    ReverseOutcome(Outcome),
    /// The phase is overdue.
    DeadlineReached,
    /// It is time to make the call of this phase again.
    RetryDue,
    /// The order was cancelled, in this same commit.
    Cancelled,
    /// An operator gives the order up, since its money is lost.
    OperatorCompensate,
    /// An operator wants the refused call made again.
    OperatorRetry,
}

/// What a checkout wants done. The shell performs it in one exhaustive match; what changes the order
/// is in the same commit as the new state, what calls out comes after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckoutAction {
    /// Write `OrderConfirmed`.
    Confirm,
    /// Write `OrderRejected`.
    Reject(Rejection),
    /// Write `OrderCancelled`, reason `payment-lost`.
    GiveUp,
    /// Call payment's `Authorise`.
    Authorise,
    /// Call payment's `Capture`.
    Capture,
    /// Call payment's `Reverse`.
    Reverse,
    /// Make the phase's call again after a backoff.
    RetryAfterBackoff {
        /// How often it came back unknown.
        attempts: u32,
    },
    /// Make the phase's call again after the longer pause of a parked saga.
    RetryAfterOutage,
    /// Tell somebody: it has taken too long, and goes on.
    Alert(Phase),
    /// Tell somebody: it stands aside.
    Park(ParkReason),
}

/// A new state and what it wants done.
pub type Reaction = brewline_kernel::Reaction<CheckoutState, Phase, CheckoutAction>;

/// The checkout as a [`Saga`], for whatever drives sagas.
#[derive(Clone, Copy, Debug, Default)]
pub struct Checkout {
    /// How long each thing may take.
    pub policy: Policy,
}

// === impl Checkout ===

impl Saga for Checkout {
    type State = CheckoutState;
    type Phase = Phase;
    type Event = CheckoutEvent;
    type Action = CheckoutAction;

    fn react(&self, state: &CheckoutState, event: &CheckoutEvent, now: Timestamp) -> Reaction {
        react(&self.policy, state, event, now)
    }

    fn phase(state: &CheckoutState) -> Phase {
        state.phase
    }
}

// === impl Policy ===

impl Default for Policy {
    fn default() -> Self {
        Self {
            reserve: Duration::from_secs(10),
            authorise: Duration::from_secs(20),
            pending: Duration::from_secs(30),
            alert: Duration::from_secs(60),
            park: Duration::from_secs(600),
        }
    }
}

// === impl ParkReason ===

impl ParkReason {
    /// Every reason.
    pub const ALL: [Self; 3] = [Self::CaptureRefused, Self::ReverseRefused, Self::Outage];

    /// As it is stored and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CaptureRefused => "capture-refused",
            Self::ReverseRefused => "reverse-refused",
            Self::Outage => "outage",
        }
    }
}

// === impl CheckoutEvent ===

impl CheckoutEvent {
    /// As it is written into the saga's log.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::StockReserved => "stock-reserved",
            Self::StockRejected { .. } => "stock-rejected",
            Self::StockCommitted => "stock-committed",
            Self::StockReleased => "stock-released",
            Self::StockReturned => "stock-returned",
            Self::AuthoriseOutcome(outcome) => match outcome {
                Outcome::Done(_) => "authorised",
                Outcome::Declined { .. } => "authorise-declined",
                Outcome::RiskRefused { .. } | Outcome::Refused { .. } => "authorise-refused",
                Outcome::Unknown => "authorise-unknown",
            },
            Self::CaptureOutcome(outcome) => match outcome {
                Outcome::Done(_) => "captured",
                Outcome::Unknown => "capture-unknown",
                Outcome::Declined { .. }
                | Outcome::RiskRefused { .. }
                | Outcome::Refused { .. } => "capture-refused",
            },
            Self::ReverseOutcome(outcome) => match outcome {
                Outcome::Done(_) => "reversed",
                Outcome::Unknown => "reverse-unknown",
                Outcome::Declined { .. }
                | Outcome::RiskRefused { .. }
                | Outcome::Refused { .. } => "reverse-refused",
            },
            Self::DeadlineReached => "deadline-reached",
            Self::RetryDue => "retry-due",
            Self::Cancelled => "cancelled",
            Self::OperatorCompensate => "operator-compensate",
            Self::OperatorRetry => "operator-retry",
        }
    }
}

// === impl CheckoutAction ===

impl CheckoutAction {
    /// As it is written into the saga's log.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Confirm => "confirm".to_owned(),
            Self::Reject(rejection) => format!("reject: {}", rejection.code),
            Self::GiveUp => "give-up".to_owned(),
            Self::Authorise => "authorise".to_owned(),
            Self::Capture => "capture".to_owned(),
            Self::Reverse => "reverse".to_owned(),
            Self::RetryAfterBackoff { .. } => "retry-after-backoff".to_owned(),
            Self::RetryAfterOutage => "retry-after-outage".to_owned(),
            Self::Alert(phase) => format!("alert: overdue in {phase}"),
            Self::Park(reason) => format!("park: {}", reason.as_str()),
        }
    }
}
