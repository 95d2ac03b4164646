use std::fmt;

use brewline_kernel::Timestamp;

use super::{CheckoutAction, CheckoutState};

/// Where a checkout stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// Waits for inventory's answer.
    Reserving,
    /// Waits for a known authorisation.
    Authorising,
    /// Past the pivot: waits for the capture and for the stock to be sold.
    Completing,
    /// Sold, paid, and off the shelf.
    Completed,
    /// Waits for money and stock to be undone.
    Unwinding,
    /// Nothing is held, taken or reserved, and nothing ever will be.
    Undone,
    /// Stands aside.
    Parked,
}

/// What is known of the stock. It moves only as inventory's reservation can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stock {
    /// `OrderPlaced` asks for it; no answer yet.
    Asked,
    /// Held.
    Reserved,
    /// Refused: nothing is held, or ever will be.
    Rejected,
    /// Sold.
    Committed,
    /// No longer held, or never will be.
    Released,
    /// Back on the shelf after it was sold.
    Returned,
}

/// What is known of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// It was never on record, so it was never made.
    Never,
    /// It is on record: it may have been made, and may have taken effect.
    Asked,
    /// It took effect.
    Done,
    /// It is refused for good.
    Refused,
}

/// What a call did to the money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// The amount is held.
    Authorised,
    /// The amount was taken.
    Captured,
    /// What was held is released.
    Voided,
    /// What was taken is given back.
    Refunded,
    /// There was nothing to undo.
    Nothing,
}

/// What is known of the money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Money {
    /// Of the authorisation.
    pub authorise: Call,
    /// Of the capture.
    pub capture: Call,
    /// Of the reversal.
    pub reverse: Call,
    /// What the reversal did, once it is done.
    pub undone: Option<Effect>,
}

/// Where an order's money stands, as customers see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PaymentStatus {
    /// Nothing is held or taken.
    None,
    /// The amount is held.
    Authorised,
    /// The amount was taken.
    Captured,
    /// It is being undone.
    Reversing,
    /// What was held is released.
    Voided,
    /// What was taken is given back.
    Refunded,
}

// === impl Phase ===

impl Phase {
    /// Every phase.
    pub const ALL: [Self; 7] = [
        Self::Reserving,
        Self::Authorising,
        Self::Completing,
        Self::Completed,
        Self::Unwinding,
        Self::Undone,
        Self::Parked,
    ];

    /// As it is stored and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reserving => "reserving",
            Self::Authorising => "authorising",
            Self::Completing => "completing",
            Self::Completed => "completed",
            Self::Unwinding => "unwinding",
            Self::Undone => "undone",
            Self::Parked => "parked",
        }
    }

    /// Whether a checkout may go from here straight to `to`.
    #[must_use]
    pub const fn leads_to(self, to: Self) -> bool {
        matches!(
            (self, to),
            (Self::Reserving, Self::Authorising)
                | (Self::Authorising, Self::Completing)
                | (Self::Completing, Self::Completed)
                | (
                    Self::Reserving | Self::Authorising | Self::Completing | Self::Completed,
                    Self::Unwinding
                )
                | (Self::Unwinding, Self::Undone)
                | (
                    Self::Reserving | Self::Authorising | Self::Completing | Self::Unwinding,
                    Self::Parked
                )
                | (
                    Self::Parked,
                    Self::Reserving | Self::Authorising | Self::Completing | Self::Unwinding
                )
        )
    }

    /// True where nothing is left to be done.
    #[must_use]
    pub const fn is_closed(self) -> bool {
        matches!(self, Self::Completed | Self::Undone)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl Stock ===

impl Stock {
    /// Every kind of knowledge.
    pub const ALL: [Self; 6] = [
        Self::Asked,
        Self::Reserved,
        Self::Rejected,
        Self::Committed,
        Self::Released,
        Self::Returned,
    ];

    /// As it is stored and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Reserved => "reserved",
            Self::Rejected => "rejected",
            Self::Committed => "committed",
            Self::Released => "released",
            Self::Returned => "returned",
        }
    }

    /// What is known after `news`. News that the reservation cannot follow with is old or repeated,
    /// and teaches nothing.
    #[must_use]
    pub(super) const fn learn(self, news: Self) -> Self {
        match (self, news) {
            (Self::Asked, Self::Reserved | Self::Rejected | Self::Released)
            | (Self::Reserved, Self::Committed | Self::Released)
            | (Self::Committed, Self::Returned) => news,
            _ => self,
        }
    }

    /// True when nothing is held or sold, and nothing ever will be.
    #[must_use]
    pub const fn is_undone(self) -> bool {
        matches!(self, Self::Rejected | Self::Released | Self::Returned)
    }
}

// === impl Call ===

impl Call {
    /// Every kind of knowledge.
    pub const ALL: [Self; 4] = [Self::Never, Self::Asked, Self::Done, Self::Refused];

    /// As it is stored and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Asked => "asked",
            Self::Done => "done",
            Self::Refused => "refused",
        }
    }
}

// === impl Effect ===

impl Effect {
    /// Every effect.
    pub const ALL: [Self; 5] = [
        Self::Authorised,
        Self::Captured,
        Self::Voided,
        Self::Refunded,
        Self::Nothing,
    ];

    /// As it is stored and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authorised => "authorised",
            Self::Captured => "captured",
            Self::Voided => "voided",
            Self::Refunded => "refunded",
            Self::Nothing => "nothing",
        }
    }
}

// === impl Money ===

impl Money {
    /// Nothing was asked for.
    pub const UNTOUCHED: Self = Self {
        authorise: Call::Never,
        capture: Call::Never,
        reverse: Call::Never,
        undone: None,
    };

    /// True when nothing is held or taken, and nothing ever will be: the reversal is known, or no
    /// authorisation was ever on record.
    #[must_use]
    pub const fn is_undone(&self) -> bool {
        matches!(self.reverse, Call::Done) || matches!(self.authorise, Call::Never)
    }

    /// Where it stands, as customers see it.
    #[must_use]
    pub const fn status(&self) -> PaymentStatus {
        match (self.reverse, self.undone) {
            (Call::Done, Some(Effect::Voided)) => return PaymentStatus::Voided,
            (Call::Done, Some(Effect::Refunded)) => return PaymentStatus::Refunded,
            (Call::Done, _) => return PaymentStatus::None,
            (Call::Asked | Call::Refused, _) => return PaymentStatus::Reversing,
            (Call::Never, _) => {}
        }
        match (self.capture, self.authorise) {
            (Call::Done, _) => PaymentStatus::Captured,
            (_, Call::Done) => PaymentStatus::Authorised,
            (_, Call::Never | Call::Asked | Call::Refused) => PaymentStatus::None,
        }
    }
}

// === impl PaymentStatus ===

impl PaymentStatus {
    /// As it is stored and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Authorised => "authorised",
            Self::Captured => "captured",
            Self::Reversing => "reversing",
            Self::Voided => "voided",
            Self::Refunded => "refunded",
        }
    }
}

// === impl CheckoutState ===

impl CheckoutState {
    /// The phase it works in: for a parked saga, the one it goes on from.
    #[must_use]
    pub fn working_phase(&self) -> Phase {
        self.parked.map_or(self.phase, |parked| parked.resumes_in)
    }

    /// The call whose outcome this saga waits for, if any.
    #[must_use]
    pub fn owed_call(&self) -> Option<CheckoutAction> {
        let money = &self.money;
        match self.working_phase() {
            Phase::Authorising if money.authorise == Call::Asked => Some(CheckoutAction::Authorise),
            Phase::Completing if money.capture == Call::Asked => Some(CheckoutAction::Capture),
            Phase::Unwinding if money.reverse == Call::Asked => Some(CheckoutAction::Reverse),
            Phase::Reserving
            | Phase::Authorising
            | Phase::Completing
            | Phase::Completed
            | Phase::Unwinding
            | Phase::Undone
            | Phase::Parked => None,
        }
    }

    /// What it waits for, for people.
    #[must_use]
    pub fn waits_for(&self) -> &'static str {
        match self.owed_call() {
            Some(CheckoutAction::Authorise) => "authorise",
            Some(CheckoutAction::Capture) => "capture",
            Some(CheckoutAction::Reverse) => "reverse",
            _ => match self.working_phase() {
                Phase::Reserving => "stock-reserved",
                Phase::Completing => match self.money.capture {
                    Call::Refused => "operator",
                    Call::Never | Call::Asked | Call::Done => "stock-committed",
                },
                Phase::Unwinding => match self.money.reverse {
                    Call::Refused => "operator",
                    Call::Never | Call::Asked | Call::Done => "stock-released",
                },
                Phase::Authorising | Phase::Completed | Phase::Undone | Phase::Parked => "",
            },
        }
    }

    /// True while the card's token may still be needed: an authorisation is still to be known.
    #[must_use]
    pub fn needs_card(&self) -> bool {
        matches!(self.working_phase(), Phase::Reserving | Phase::Authorising)
    }

    /// True when `deadline_at` has come.
    #[must_use]
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.deadline_at.is_some_and(|deadline| deadline <= now)
    }

    /// True when `after` differs in more than how often it was tried: worth an entry in the log.
    #[must_use]
    pub fn is_step_to(&self, after: &Self) -> bool {
        let mut before = self.clone();
        before.attempts = after.attempts;
        before != *after
    }
}
