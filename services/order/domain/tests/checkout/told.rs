//! A checkout told in given/when/then.

use std::time::Duration;

use brewline_kernel::Timestamp;
use brewline_order_domain::checkout::CheckoutEvent::{
    AuthoriseOutcome, Cancelled, CaptureOutcome, DeadlineReached, OperatorCompensate,
    OperatorRetry, RetryDue, ReverseOutcome, StockCommitted, StockReleased, StockReserved,
    StockReturned,
};
use brewline_order_domain::checkout::{
    CheckoutAction, CheckoutEvent, CheckoutState, Effect, Outcome, PaymentStatus, Phase, Policy,
    begin, react,
};
use brewline_order_domain::order::RejectionCode;

pub(crate) const START: Timestamp = Timestamp::from_millis(1_000_000);

/// A checkout and everything it has wanted done.
pub(crate) struct Told {
    pub(crate) state: CheckoutState,
    pub(crate) actions: Vec<String>,
    /// What the last event led to.
    pub(crate) last: Vec<CheckoutAction>,
    now: Timestamp,
}

pub(crate) fn given() -> Told {
    let state = begin(&Policy::default(), START);
    Told {
        state,
        actions: Vec::new(),
        last: Vec::new(),
        now: START,
    }
}

impl Told {
    pub(crate) fn when(mut self, event: CheckoutEvent) -> Self {
        let before = self.state.phase;
        let reaction = react(&Policy::default(), &self.state, &event, self.now);
        let mut at = before;
        for phase in &reaction.path {
            assert!(at.leads_to(*phase), "{at} leads to {phase} at {event:?}");
            at = *phase;
        }
        assert_eq!(
            at, reaction.state.phase,
            "the path ends where the state stands"
        );
        self.actions
            .extend(reaction.actions.iter().map(CheckoutAction::describe));
        self.last = reaction.actions;
        self.state = reaction.state;
        self
    }

    pub(crate) fn all(self, events: impl IntoIterator<Item = CheckoutEvent>) -> Self {
        events.into_iter().fold(self, Self::when)
    }

    pub(crate) fn after(mut self, time: Duration) -> Self {
        self.now = self.now.plus(time);
        self
    }

    #[track_caller]
    pub(crate) fn then(self, phase: Phase, last: &[CheckoutAction]) -> Self {
        assert_eq!(self.state.phase, phase);
        assert_eq!(self.last, last);
        self
    }

    #[track_caller]
    pub(crate) fn payment(self, status: PaymentStatus) -> Self {
        assert_eq!(self.state.money.status(), status);
        self
    }
}

pub(crate) fn authorised() -> CheckoutEvent {
    AuthoriseOutcome(Outcome::Done(Effect::Authorised))
}

pub(crate) fn captured() -> CheckoutEvent {
    CaptureOutcome(Outcome::Done(Effect::Captured))
}

pub(crate) fn reversed(effect: Effect) -> CheckoutEvent {
    ReverseOutcome(Outcome::Done(effect))
}

pub(crate) fn stock_rejected() -> CheckoutEvent {
    CheckoutEvent::StockRejected {
        detail: "cortado".to_owned(),
    }
}

pub(crate) fn declined() -> Outcome {
    Outcome::Declined {
        code: "insufficient".to_owned(),
    }
}

pub(crate) fn refused() -> Outcome {
    Outcome::Refused {
        detail: "no".to_owned(),
    }
}

pub(crate) fn reject(code: RejectionCode, detail: &str) -> CheckoutAction {
    let detail = detail.to_owned();
    CheckoutAction::Reject(brewline_order_domain::order::Rejection { code, detail })
}

pub(crate) fn every_event() -> Vec<CheckoutEvent> {
    let effects = [
        Effect::Authorised,
        Effect::Captured,
        Effect::Voided,
        Effect::Nothing,
    ];
    let mut outcomes: Vec<Outcome> = effects.into_iter().map(Outcome::Done).collect();
    outcomes.extend([declined(), refused(), Outcome::Unknown]);
    let mut events = vec![
        StockReserved,
        stock_rejected(),
        StockCommitted,
        StockReleased,
        StockReturned,
        DeadlineReached,
        RetryDue,
        Cancelled,
        OperatorCompensate,
        OperatorRetry,
    ];
    for outcome in outcomes {
        events.push(AuthoriseOutcome(outcome.clone()));
        events.push(CaptureOutcome(outcome.clone()));
        events.push(ReverseOutcome(outcome));
    }
    events
}
