use std::fmt;

use brewline_kernel::Money;

use crate::{Kind, Request};

/// A digest of a card's token: tells whether a repeat names the same card without keeping the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenHash(pub [u8; 32]);

/// What `order` may ask of an order's money.
#[derive(Clone, PartialEq, Eq)]
pub enum Command {
    /// Hold an amount on a card.
    Authorise {
        /// How much.
        amount: Money,
        /// The card.
        token: String,
        /// The card's digest.
        token_hash: TokenHash,
    },
    /// Take what is held.
    Capture,
    /// Undo whatever has happened, and let nothing happen after it.
    Reverse,
}

/// What an operation does to the money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// The amount is held.
    Authorised,
    /// The amount was taken.
    Captured,
    /// What was held is let go.
    Voided,
    /// What was taken is given back.
    Refunded,
    /// There was nothing to undo.
    Nothing,
}

/// What can be said of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It took effect.
    Done {
        /// The processor's id of the authorisation; empty when there was nothing to undo.
        authorisation_id: String,
        /// What was done.
        effect: Effect,
    },
    /// The card's bank refused it, for good.
    Declined {
        /// Its reason.
        code: String,
    },
    /// Nobody knows yet: the same command again moves it on.
    Unknown {
        /// What was seen last, for people.
        detail: String,
    },
    /// It will never take effect.
    Refused {
        /// Why.
        reason: RefusalReason,
        /// Why, for people.
        detail: String,
    },
}

/// Why a command is refused for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefusalReason {
    /// A reversal is on record.
    Reversed,
    /// There is nothing to capture.
    NotAuthorised,
    /// A risk rule says no.
    Risk,
    /// The processor refuses it.
    Processor,
    /// The order's authorisation is on record with another amount or card.
    Mismatch,
}

/// What happened to an order's money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The amount is held.
    Authorised,
    /// The card's bank said no.
    Declined {
        /// Its reason.
        code: String,
    },
    /// The amount was taken.
    Captured,
    /// What was held is let go.
    Voided,
    /// What was taken is given back.
    Refunded,
}

/// What a command comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// What is on record answers it.
    Answer(Outcome),
    /// The processor has to be asked; what is on record changed and is to be stored first.
    Ask(Request),
}

// === impl Command ===

impl Command {
    /// Which operation it is about.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Authorise { .. } => Kind::Authorise,
            Self::Capture => Kind::Capture,
            Self::Reverse => Kind::Reverse,
        }
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind().as_str())
    }
}

// === impl Outcome ===

impl Outcome {
    pub(crate) fn reversed() -> Self {
        Self::refused(RefusalReason::Reversed, "the order's money was reversed")
    }

    pub(crate) fn not_authorised() -> Self {
        Self::refused(RefusalReason::NotAuthorised, "nothing is held to capture")
    }

    pub(crate) fn mismatch() -> Self {
        Self::refused(
            RefusalReason::Mismatch,
            "the order was authorised with another amount or card",
        )
    }

    fn refused(reason: RefusalReason, detail: &str) -> Self {
        Self::Refused {
            reason,
            detail: detail.to_owned(),
        }
    }
}
