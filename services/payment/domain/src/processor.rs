use std::fmt;
use std::time::Duration;

use brewline_kernel::{Money, OrderId, Timestamp};

use crate::Kind;

/// One request to the card processor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The order: the reference under which the processor files it.
    pub order_id: OrderId,
    /// The operation whose outcome it makes known: not always the one that was commanded.
    pub about: Kind,
    /// How many requests were made for that operation, this one included.
    pub attempt: u32,
    /// When it was decided: it is stale when it has not left soon after.
    pub at: Timestamp,
    /// What is asked.
    pub call: Call,
}

/// What can be asked of the card processor.
#[derive(Clone, PartialEq, Eq)]
pub enum Call {
    /// Hold an amount on a card.
    Authorise {
        /// How much.
        amount: Money,
        /// The card.
        token: String,
    },
    /// Take what is held.
    Capture {
        /// The processor's id of what is held.
        authorisation_id: String,
        /// How much: all of it.
        amount: Money,
    },
    /// Let go what is held.
    Void {
        /// The processor's id of what is held.
        authorisation_id: String,
    },
    /// Give back what was taken.
    Refund {
        /// The processor's id of what was taken.
        authorisation_id: String,
        /// How much: all of it.
        amount: Money,
    },
    /// Find what there is under the order's reference.
    FindByReference,
}

/// What the processor said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The amount is held under this id.
    Authorised {
        /// The processor's id.
        id: String,
    },
    /// The card's bank said no.
    Declined {
        /// Its reason.
        code: String,
    },
    /// A capture, void or refund took effect.
    Accepted,
    /// The processor refuses the request, for good.
    Refused {
        /// Why, for people.
        detail: String,
    },
    /// What a look-up found under the order's reference, oldest first.
    Found(Vec<Found>),
    /// No definite answer: a timeout, a broken connection, a server error.
    Unknown {
        /// What was seen, for people.
        detail: String,
    },
}

/// An authorisation found by its reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The processor's id.
    pub id: String,
    /// What became of it.
    pub status: FoundStatus,
}

/// What became of an authorisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FoundStatus {
    /// The amount is held.
    Authorised,
    /// The card's bank said no, for this reason.
    Declined(String),
    /// The amount was taken.
    Captured,
    /// The amount was let go.
    Voided,
    /// The amount was taken and given back.
    Refunded,
}

/// How long the processor remembers a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyLifetime(Duration);

// === impl Request ===

impl Request {
    /// The idempotency key: the same for every repeat; none for a look-up.
    #[must_use]
    pub fn key(&self) -> Option<String> {
        let name = match &self.call {
            Call::Authorise { .. } => "authorise",
            Call::Capture { .. } => "capture",
            Call::Void { .. } => "void",
            Call::Refund { .. } => "refund",
            Call::FindByReference => return None,
        };
        Some(format!("{}/{name}", self.order_id))
    }
}

// === impl Call ===

impl fmt::Debug for Call {
    /// Without the card's token, which never enters a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Authorise { amount, .. } => write!(f, "authorise {amount}"),
            Self::Capture {
                authorisation_id,
                amount,
            } => write!(f, "capture {amount} of {authorisation_id}"),
            Self::Void { authorisation_id } => write!(f, "void {authorisation_id}"),
            Self::Refund {
                authorisation_id,
                amount,
            } => write!(f, "refund {amount} of {authorisation_id}"),
            Self::FindByReference => f.write_str("find by reference"),
        }
    }
}

// === impl KeyLifetime ===

impl KeyLifetime {
    /// As the processor promises it.
    #[must_use]
    pub const fn new(lifetime: Duration) -> Self {
        Self(lifetime)
    }

    /// Whether a key that was used at `since` is still known when a request made `now` arrives. Half
    /// the promised time is kept back: for requests that are slow, and for clocks that differ.
    #[must_use]
    pub fn surely_known(self, since: Timestamp, now: Timestamp) -> bool {
        now.since(since) < self.0 / 2
    }
}
