use std::fmt;

use brewline_kernel::{Money, OrderId};

use crate::{Effect, Kind, Operation, Outcome, RefusalReason, State, TokenHash};

/// An order's money as it is on record. Of an order that was never heard of, everything is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// The order.
    pub order_id: OrderId,
    /// What is held, or was to be.
    pub authorisation: Option<Authorisation>,
    /// The taking of it.
    pub capture: Option<Operation>,
    /// The undoing of it: the fence against everything that comes later.
    pub reversal: Option<Reversal>,
    /// How many events it has told: the version of the latest.
    pub events: i64,
}

/// The holding of an amount.
#[derive(Clone, PartialEq, Eq)]
pub struct Authorisation {
    /// How far it is.
    pub operation: Operation,
    /// How much.
    pub amount: Money,
    /// The card, kept only while the request may have to be repeated.
    pub token: Option<String>,
    /// The card's digest.
    pub token_hash: TokenHash,
    /// The processor's id; empty until it is known.
    pub id: String,
    /// The risk rule that refused it; none when none did.
    pub risk_rule: Option<String>,
}

/// The undoing of an order's money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reversal {
    /// How far it is.
    pub operation: Operation,
    /// What it does; none while it is not known what there is to undo.
    pub effect: Option<Effect>,
}

// === impl Payment ===

impl Payment {
    /// An order that was never heard of.
    #[must_use]
    pub const fn new(order_id: OrderId) -> Self {
        Self {
            order_id,
            authorisation: None,
            capture: None,
            reversal: None,
            events: 0,
        }
    }

    /// What is on record about an operation.
    #[must_use]
    pub fn operation(&self, kind: Kind) -> Option<&Operation> {
        match kind {
            Kind::Authorise => self.authorisation.as_ref().map(|a| &a.operation),
            Kind::Capture => self.capture.as_ref(),
            Kind::Reverse => self.reversal.as_ref().map(|r| &r.operation),
        }
    }

    pub(crate) fn operation_mut(&mut self, kind: Kind) -> Option<&mut Operation> {
        match kind {
            Kind::Authorise => self.authorisation.as_mut().map(|a| &mut a.operation),
            Kind::Capture => self.capture.as_mut(),
            Kind::Reverse => self.reversal.as_mut().map(|r| &mut r.operation),
        }
    }

    /// What can be said of a recorded operation. Authorisation and capture of a reversed order are
    /// refused, whatever came of them.
    #[must_use]
    pub fn outcome(&self, kind: Kind) -> Outcome {
        if kind != Kind::Reverse && self.reversal.is_some() {
            return Outcome::reversed();
        }
        let Some(operation) = self.operation(kind) else {
            return Outcome::not_authorised();
        };
        let detail = operation.detail.clone();
        match operation.state {
            State::Requested | State::Unknown => Outcome::Unknown { detail },
            State::Declined => Outcome::Declined { code: detail },
            State::Refused => Outcome::Refused {
                reason: self.refused_by(kind),
                detail,
            },
            State::Done => Outcome::Done {
                authorisation_id: self.authorisation_id_of(kind),
                effect: self.effect(kind),
            },
        }
    }

    fn refused_by(&self, kind: Kind) -> RefusalReason {
        let rule = self
            .authorisation
            .as_ref()
            .and_then(|a| a.risk_rule.as_ref());
        match (kind, rule) {
            (Kind::Authorise, Some(_)) => RefusalReason::Risk,
            (Kind::Authorise | Kind::Capture | Kind::Reverse, _) => RefusalReason::Processor,
        }
    }

    fn effect(&self, kind: Kind) -> Effect {
        match kind {
            Kind::Authorise => Effect::Authorised,
            Kind::Capture => Effect::Captured,
            Kind::Reverse => self
                .reversal
                .as_ref()
                .and_then(|reversal| reversal.effect)
                .unwrap_or(Effect::Nothing),
        }
    }

    fn authorisation_id_of(&self, kind: Kind) -> String {
        self.authorisation
            .as_ref()
            .filter(|_| self.effect(kind) != Effect::Nothing)
            .map_or_else(String::new, |a| a.id.clone())
    }
}

// === impl Authorisation ===

impl Authorisation {
    pub(crate) fn requested(amount: Money, token: &str, token_hash: TokenHash) -> Self {
        Self {
            operation: Operation::requested(),
            amount,
            token: Some(token.to_owned()),
            token_hash,
            id: String::new(),
            risk_rule: None,
        }
    }
}

impl fmt::Debug for Authorisation {
    /// Without the card's token, which never enters a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorisation")
            .field("operation", &self.operation)
            .field("amount", &self.amount)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

// === impl Reversal ===

impl Reversal {
    pub(crate) const fn requested() -> Self {
        Self {
            operation: Operation::requested(),
            effect: None,
        }
    }
}
