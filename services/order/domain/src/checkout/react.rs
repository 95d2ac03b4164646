use brewline_kernel::Timestamp;

use super::{
    Call, CheckoutAction, CheckoutEvent, CheckoutState, Effect, Money, Outcome, ParkReason, Parked,
    Phase, Policy, Reaction, Stock,
};
use crate::order::{Rejection, RejectionCode};

/// A checkout that begins with its order's `OrderPlaced`.
#[must_use]
pub fn begin(policy: &Policy, now: Timestamp) -> CheckoutState {
    CheckoutState {
        phase: Phase::Reserving,
        parked: None,
        stock: Stock::Asked,
        money: Money::UNTOUCHED,
        deadline_at: Some(now.plus(policy.reserve.min(policy.pending))),
        started_at: now,
        attempts: 0,
        unknown_since: None,
    }
}

/// What `event` does to a checkout. `now` is the order database's clock.
///
/// An event that the phase does not wait for is old, repeated or late: it changes nothing but, where
/// it is news of the stock, what is known.
#[must_use]
pub fn react(
    policy: &Policy,
    state: &CheckoutState,
    event: &CheckoutEvent,
    now: Timestamp,
) -> Reaction {
    let mut turn = Turn {
        policy,
        now,
        state: state.clone(),
        path: Vec::new(),
        actions: Vec::new(),
    };
    turn.take(event);
    Reaction {
        state: turn.state,
        path: turn.path,
        actions: turn.actions,
    }
}

/// One reaction while it is being worked out.
struct Turn<'a> {
    policy: &'a Policy,
    now: Timestamp,
    state: CheckoutState,
    path: Vec<Phase>,
    actions: Vec<CheckoutAction>,
}

// === impl Turn ===

impl Turn<'_> {
    fn take(&mut self, event: &CheckoutEvent) {
        match event {
            CheckoutEvent::StockReserved => self.stock(Stock::Reserved, ""),
            CheckoutEvent::StockRejected { detail } => self.stock(Stock::Rejected, detail),
            CheckoutEvent::StockCommitted => self.stock(Stock::Committed, ""),
            CheckoutEvent::StockReleased => self.stock(Stock::Released, ""),
            CheckoutEvent::StockReturned => self.stock(Stock::Returned, ""),
            CheckoutEvent::AuthoriseOutcome(outcome) => {
                if self.owes(&CheckoutAction::Authorise) {
                    self.authorise(outcome);
                }
            }
            CheckoutEvent::CaptureOutcome(outcome) => {
                if self.owes(&CheckoutAction::Capture) {
                    self.capture(outcome);
                }
            }
            CheckoutEvent::ReverseOutcome(outcome) => {
                if self.owes(&CheckoutAction::Reverse) {
                    self.reverse(outcome);
                }
            }
            CheckoutEvent::DeadlineReached => self.deadline(),
            CheckoutEvent::RetryDue => self.actions.extend(self.state.owed_call()),
            CheckoutEvent::Cancelled => self.cancelled(),
            CheckoutEvent::OperatorCompensate => self.compensate(),
            CheckoutEvent::OperatorRetry => self.retry_refused(),
        }
    }

    fn owes(&self, call: &CheckoutAction) -> bool {
        self.state.owed_call().as_ref() == Some(call)
    }

    // --- stock ---

    fn stock(&mut self, news: Stock, detail: &str) {
        let learned = self.state.stock.learn(news);
        // What undoes a reservation is the order's end, which is in one commit with unwinding. News of
        // it at any other time contradicts what is written here, and is not believed.
        let ends = matches!(learned, Stock::Released | Stock::Returned);
        let unwinding = self.state.working_phase() == Phase::Unwinding;
        if learned == self.state.stock || (ends && !unwinding) {
            return;
        }
        self.state.stock = learned;
        match (self.state.phase, learned) {
            (Phase::Reserving, Stock::Reserved) => self.begin_authorising(),
            (Phase::Reserving, Stock::Rejected) => {
                self.reject(RejectionCode::OutOfStock, detail);
            }
            (Phase::Completing, Stock::Committed) => self.complete_if_done(),
            (Phase::Unwinding, _) => self.undone_if_done(),
            _ => {}
        }
    }

    // --- money ---

    fn begin_authorising(&mut self) {
        self.enter(Phase::Authorising);
        self.state.money.authorise = Call::Asked;
        let pending_until = self.state.started_at.plus(self.policy.pending);
        let deadline = self.now.plus(self.policy.authorise).min(pending_until);
        self.state.deadline_at = Some(deadline);
        self.actions.push(CheckoutAction::Authorise);
    }

    fn authorise(&mut self, outcome: &Outcome) {
        let (code, detail) = match outcome {
            Outcome::Done(Effect::Authorised | Effect::Captured) => return self.pass_pivot(),
            // Done, but not what was asked for: payment contradicts itself. Only a plain yes is one.
            Outcome::Done(Effect::Voided | Effect::Refunded | Effect::Nothing)
            | Outcome::Unknown => return self.ask_again(),
            Outcome::Declined { code } => (RejectionCode::PaymentDeclined, code),
            Outcome::RiskRefused { detail } => (RejectionCode::RiskRefused, detail),
            Outcome::Refused { detail } => (RejectionCode::PaymentDeclined, detail),
        };
        self.state.money.authorise = Call::Refused;
        self.reject(code, detail);
    }

    /// The one place where an order becomes sold: confirmation and the capture's record are one
    /// commit, and nothing but a cancellation leads back.
    fn pass_pivot(&mut self) {
        self.enter(Phase::Completing);
        self.state.money.authorise = Call::Done;
        self.state.money.capture = Call::Asked;
        self.state.deadline_at = Some(self.now.plus(self.policy.alert));
        self.actions.push(CheckoutAction::Confirm);
        self.actions.push(CheckoutAction::Capture);
    }

    fn capture(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Done(_) => {
                self.state.money.capture = Call::Done;
                self.answered();
                self.complete_if_done();
            }
            Outcome::Unknown => self.ask_again(),
            Outcome::Declined { .. } | Outcome::RiskRefused { .. } | Outcome::Refused { .. } => {
                self.answered();
                self.state.money.capture = Call::Refused;
                self.park(ParkReason::CaptureRefused);
            }
        }
    }

    fn reverse(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Done(effect) => {
                self.state.money.reverse = Call::Done;
                self.state.money.undone = Some(self.plausible(*effect));
                self.answered();
                self.undone_if_done();
            }
            Outcome::Unknown => self.ask_again(),
            Outcome::Declined { .. } | Outcome::RiskRefused { .. } | Outcome::Refused { .. } => {
                self.answered();
                self.state.money.reverse = Call::Refused;
                self.park(ParkReason::ReverseRefused);
            }
        }
    }

    /// A reversal releases, gives back, or finds nothing; anything else would be payment's mistake.
    fn plausible(&self, effect: Effect) -> Effect {
        match effect {
            Effect::Voided | Effect::Refunded | Effect::Nothing => effect,
            Effect::Authorised | Effect::Captured if self.state.money.capture == Call::Done => {
                Effect::Refunded
            }
            Effect::Authorised | Effect::Captured => Effect::Voided,
        }
    }

    /// An unknown outcome: asked for again, by the same call. After too long the saga stands aside,
    /// and goes on asking, less often.
    fn ask_again(&mut self) {
        let since = *self.state.unknown_since.get_or_insert(self.now);
        self.state.attempts = self.state.attempts.saturating_add(1);
        if self.state.phase == Phase::Parked {
            self.actions.push(CheckoutAction::RetryAfterOutage);
        } else if self.now.since(since) >= self.policy.park {
            self.park(ParkReason::Outage);
            self.actions.push(CheckoutAction::RetryAfterOutage);
        } else {
            let attempts = self.state.attempts;
            self.actions
                .push(CheckoutAction::RetryAfterBackoff { attempts });
        }
    }

    /// A known outcome: what stood aside goes on.
    fn answered(&mut self) {
        if let Some(parked) = self.state.parked.take() {
            self.go(parked.resumes_in);
        }
        self.state.attempts = 0;
        self.state.unknown_since = None;
    }

    // --- ends ---

    fn complete_if_done(&mut self) {
        let sold = self.state.stock == Stock::Committed;
        if sold && self.state.money.capture == Call::Done {
            self.enter(Phase::Completed);
        }
    }

    fn undone_if_done(&mut self) {
        if self.state.stock.is_undone() && self.state.money.is_undone() {
            self.enter(Phase::Undone);
        }
    }

    fn reject(&mut self, code: RejectionCode, detail: &str) {
        let detail = detail.to_owned();
        self.actions
            .push(CheckoutAction::Reject(Rejection { code, detail }));
        self.unwind();
    }

    /// Turns back. The reversal is on record with this state, before it is sent; it is needed
    /// whenever an authorisation was, whatever has become of it.
    fn unwind(&mut self) {
        self.enter(Phase::Unwinding);
        self.state.deadline_at = Some(self.now.plus(self.policy.alert));
        if self.state.money.authorise != Call::Never {
            self.state.money.reverse = Call::Asked;
            self.actions.push(CheckoutAction::Reverse);
        }
        self.undone_if_done();
    }

    // --- time and people ---

    fn deadline(&mut self) {
        if !self.state.is_overdue(self.now) {
            return;
        }
        match self.state.working_phase() {
            Phase::Reserving => self.reject(RejectionCode::TimedOut, "no answer about stock"),
            Phase::Authorising => {
                self.reject(RejectionCode::PaymentUnavailable, "no answer about payment");
            }
            phase @ (Phase::Completing | Phase::Unwinding) => {
                self.state.deadline_at = None;
                self.actions.push(CheckoutAction::Alert(phase));
            }
            Phase::Completed | Phase::Undone | Phase::Parked => self.state.deadline_at = None,
        }
    }

    fn cancelled(&mut self) {
        match self.state.working_phase() {
            Phase::Reserving | Phase::Authorising | Phase::Completing | Phase::Completed => {
                self.unwind();
            }
            Phase::Unwinding | Phase::Undone | Phase::Parked => {}
        }
    }

    fn compensate(&mut self) {
        let reason = self.state.parked.map(|parked| parked.reason);
        if reason == Some(ParkReason::CaptureRefused) {
            self.actions.push(CheckoutAction::GiveUp);
            self.unwind();
        }
    }

    fn retry_refused(&mut self) {
        if self.state.phase != Phase::Parked {
            return;
        }
        let money = &mut self.state.money;
        match self.state.parked.map(|parked| parked.reason) {
            Some(ParkReason::CaptureRefused) => money.capture = Call::Asked,
            Some(ParkReason::ReverseRefused) => money.reverse = Call::Asked,
            Some(ParkReason::Outage) | None => {}
        }
        self.answered();
        self.actions.extend(self.state.owed_call());
    }

    fn park(&mut self, reason: ParkReason) {
        let resumes_in = self.state.phase;
        self.go(Phase::Parked);
        self.state.parked = Some(Parked { resumes_in, reason });
        self.actions.push(CheckoutAction::Park(reason));
    }

    /// Begins a phase: what was counted for the last one is forgotten.
    fn enter(&mut self, phase: Phase) {
        // Out of `parked` the way leads through the phase it was parked in only when that phase goes
        // on; a cancellation turns straight to unwinding.
        if let Some(parked) = self.state.parked.take()
            && phase != Phase::Unwinding
        {
            self.go(parked.resumes_in);
        }
        self.go(phase);
        self.state.deadline_at = None;
        self.state.attempts = 0;
        self.state.unknown_since = None;
    }

    fn go(&mut self, phase: Phase) {
        if self.state.phase != phase {
            self.state.phase = phase;
            self.path.push(phase);
        }
    }
}
