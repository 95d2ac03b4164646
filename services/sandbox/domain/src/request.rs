use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use brewline_kernel::{IdempotencyKey, Money};

use crate::CardToken;

/// The longest reference, in characters.
const REFERENCE_CHARS_MAX: usize = 64;

/// Names an entry of the ledger; the entry that authorised names the authorisation. A UUID in its
/// shell, a number here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(u128);

/// What the caller files an authorisation under: for brewline, the order's id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference(Arc<str>);

/// Why a text is no reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a reference has 1 to 64 visible ASCII characters")]
pub struct InvalidReference;

/// The four things that can be done to money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Hold an amount.
    Authorise,
    /// Take what is held.
    Capture,
    /// Let go what is held.
    Void,
    /// Give back what was taken.
    Refund,
}

/// What came of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It took effect.
    Done,
    /// The bank said no.
    Declined(DeclineCode),
}

/// Why a bank says no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeclineCode {
    /// It does not like the card.
    CardDeclined,
    /// There is too little on the account.
    InsufficientFunds,
}

/// One thing asked of the processor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Hold an amount on a card.
    Authorise {
        /// What it is filed under.
        reference: Reference,
        /// How much.
        amount: Money,
        /// The card.
        card: CardToken,
    },
    /// Take what is held, all of it.
    Capture(Target),
    /// Let go what is held.
    Void(Target),
    /// Give back what was taken, all of it.
    Refund(Target),
}

/// The authorisation an operation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The authorisation.
    pub authorisation: EntryId,
    /// The amount, where the caller named it: it must be the authorised one.
    pub amount: Option<Money>,
}

/// A request: what is asked and the caller's key for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The same key means the same request. Keys of different kinds never meet.
    pub key: IdempotencyKey,
    /// What is asked.
    pub operation: Operation,
}

/// Why a request is refused. Nothing is written then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The key was used for another body.
    #[error("this key was used with another body")]
    KeyReused,
    /// No such authorisation.
    #[error("there is no such authorisation")]
    NotFound,
    /// The bank had said no: nothing is held.
    #[error("the authorisation was declined")]
    NotAuthorised,
    /// Taken already, under another key.
    #[error("the amount was captured already")]
    AlreadyCaptured,
    /// Let go already, under another key.
    #[error("the authorisation was voided already")]
    AlreadyVoided,
    /// Given back already, under another key.
    #[error("the amount was refunded already")]
    AlreadyRefunded,
    /// Nothing was taken that could be given back.
    #[error("the amount was not captured")]
    NotCaptured,
    /// Only the whole amount can be taken or given back.
    #[error("the amount differs from the authorised one")]
    AmountMismatch,
    /// Nothing can be held on nothing.
    #[error("the amount must be positive")]
    AmountNotPositive,
}

// === impl EntryId ===

impl EntryId {
    /// From the number behind a UUID.
    #[must_use]
    pub const fn new(id: u128) -> Self {
        Self(id)
    }

    /// The number behind the UUID.
    #[must_use]
    pub const fn as_u128(self) -> u128 {
        self.0
    }
}

// === impl Reference ===

impl Reference {
    /// The reference as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = (1..=REFERENCE_CHARS_MAX).contains(&text.len())
            && text.bytes().all(|c| c.is_ascii_graphic());
        fits.then(|| Self(text.into())).ok_or(InvalidReference)
    }
}

// === impl Kind ===

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Authorise, Self::Capture, Self::Void, Self::Refund];

    /// Its name in the ledger.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Authorise => "authorise",
            Self::Capture => "capture",
            Self::Void => "void",
            Self::Refund => "refund",
        }
    }

    /// The status of an entry of this kind that took effect.
    #[must_use]
    pub const fn done(self) -> &'static str {
        match self {
            Self::Authorise => "authorised",
            Self::Capture => "captured",
            Self::Void => "voided",
            Self::Refund => "refunded",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

// === impl DeclineCode ===

impl DeclineCode {
    /// Its name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CardDeclined => "card-declined",
            Self::InsufficientFunds => "insufficient-funds",
        }
    }

    /// The code of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::CardDeclined, Self::InsufficientFunds]
            .into_iter()
            .find(|code| code.name() == name)
    }
}

// === impl Operation ===

impl Operation {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Authorise { .. } => Kind::Authorise,
            Self::Capture(_) => Kind::Capture,
            Self::Void(_) => Kind::Void,
            Self::Refund(_) => Kind::Refund,
        }
    }
}

// === impl Rejection ===

impl Rejection {
    /// Its code, for programs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::KeyReused => "idempotency-key-reused",
            Self::NotFound => "authorisation-not-found",
            Self::NotAuthorised => "not-authorised",
            Self::AlreadyCaptured => "already-captured",
            Self::AlreadyVoided => "already-voided",
            Self::AlreadyRefunded => "already-refunded",
            Self::NotCaptured => "not-captured",
            Self::AmountMismatch => "amount-mismatch",
            Self::AmountNotPositive => "amount-not-positive",
        }
    }
}
