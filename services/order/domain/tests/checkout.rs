//! The checkout saga: its way in given/when/then, and what holds after any sequence of events.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use brewline_kernel::Timestamp;
use brewline_order_domain::checkout::{
    Call, CheckoutAction, CheckoutEvent, CheckoutState, Effect, Outcome, ParkReason, PaymentStatus,
    Phase, Policy, STEPS, Stock, begin, react,
};
use brewline_order_domain::order::RejectionCode;
use proptest::prelude::*;

use CheckoutEvent::{
    AuthoriseOutcome, Cancelled, CaptureOutcome, DeadlineReached, OperatorCompensate,
    OperatorRetry, RetryDue, ReverseOutcome, StockCommitted, StockReleased, StockReserved,
    StockReturned,
};

const START: Timestamp = Timestamp::from_millis(1_000_000);

/// A checkout and everything it has wanted done.
struct Told {
    state: CheckoutState,
    actions: Vec<String>,
    /// What the last event led to.
    last: Vec<CheckoutAction>,
    now: Timestamp,
}

fn given() -> Told {
    let state = begin(&Policy::default(), START);
    Told {
        state,
        actions: Vec::new(),
        last: Vec::new(),
        now: START,
    }
}

impl Told {
    fn when(mut self, event: CheckoutEvent) -> Self {
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

    fn all(self, events: impl IntoIterator<Item = CheckoutEvent>) -> Self {
        events.into_iter().fold(self, Self::when)
    }

    fn after(mut self, time: Duration) -> Self {
        self.now = self.now.plus(time);
        self
    }

    #[track_caller]
    fn then(self, phase: Phase, last: &[CheckoutAction]) -> Self {
        assert_eq!(self.state.phase, phase);
        assert_eq!(self.last, last);
        self
    }

    #[track_caller]
    fn payment(self, status: PaymentStatus) -> Self {
        assert_eq!(self.state.money.status(), status);
        self
    }
}

fn authorised() -> CheckoutEvent {
    AuthoriseOutcome(Outcome::Done(Effect::Authorised))
}

fn captured() -> CheckoutEvent {
    CaptureOutcome(Outcome::Done(Effect::Captured))
}

fn reversed(effect: Effect) -> CheckoutEvent {
    ReverseOutcome(Outcome::Done(effect))
}

fn stock_rejected() -> CheckoutEvent {
    CheckoutEvent::StockRejected {
        detail: "cortado".to_owned(),
    }
}

fn declined() -> Outcome {
    Outcome::Declined {
        code: "insufficient".to_owned(),
    }
}

fn refused() -> Outcome {
    Outcome::Refused {
        detail: "no".to_owned(),
    }
}

fn reject(code: RejectionCode, detail: &str) -> CheckoutAction {
    let detail = detail.to_owned();
    CheckoutAction::Reject(brewline_order_domain::order::Rejection { code, detail })
}

#[test]
fn an_order_goes_all_the_way() {
    given()
        .when(StockReserved)
        .then(Phase::Authorising, &[CheckoutAction::Authorise])
        .payment(PaymentStatus::None)
        .when(authorised())
        .then(
            Phase::Completing,
            &[CheckoutAction::Confirm, CheckoutAction::Capture],
        )
        .payment(PaymentStatus::Authorised)
        .when(captured())
        .then(Phase::Completing, &[])
        .payment(PaymentStatus::Captured)
        .when(StockCommitted)
        .then(Phase::Completed, &[]);
}

#[test]
fn stock_may_be_sold_before_the_capture_is_known() {
    given()
        .all([StockReserved, authorised(), StockCommitted])
        .then(Phase::Completing, &[])
        .when(captured())
        .then(Phase::Completed, &[]);
}

#[test]
fn short_stock_rejects_and_is_undone_at_once() {
    let told = given().when(stock_rejected());
    let told = told.then(
        Phase::Undone,
        &[reject(RejectionCode::OutOfStock, "cortado")],
    );
    assert_eq!(
        told.state.money.reverse,
        Call::Never,
        "no money was ever asked for"
    );
}

#[test]
fn a_declined_card_rejects_fences_the_money_and_waits_for_the_stock() {
    let expected = [
        reject(RejectionCode::PaymentDeclined, "insufficient"),
        CheckoutAction::Reverse,
    ];
    given()
        .all([StockReserved, AuthoriseOutcome(declined())])
        .then(Phase::Unwinding, &expected)
        .payment(PaymentStatus::Reversing)
        .when(reversed(Effect::Nothing))
        .then(Phase::Unwinding, &[])
        .payment(PaymentStatus::None)
        .when(StockReleased)
        .then(Phase::Undone, &[]);
}

#[test]
fn a_risk_rule_rejects_with_its_own_code() {
    let outcome = Outcome::RiskRefused {
        detail: "too many".to_owned(),
    };
    let told = given().all([StockReserved, AuthoriseOutcome(outcome)]);
    assert_eq!(told.last[0], reject(RejectionCode::RiskRefused, "too many"));
}

#[test]
fn no_answer_about_stock_times_out_and_a_late_answer_changes_nothing() {
    given()
        .after(Duration::from_secs(10))
        .when(DeadlineReached)
        .then(
            Phase::Unwinding,
            &[reject(RejectionCode::TimedOut, "no answer about stock")],
        )
        .when(StockReserved)
        .then(Phase::Unwinding, &[])
        .when(StockReleased)
        .then(Phase::Undone, &[])
        .payment(PaymentStatus::None);
}

#[test]
fn a_deadline_that_has_not_come_is_ignored() {
    given()
        .after(Duration::from_secs(9))
        .when(DeadlineReached)
        .then(Phase::Reserving, &[]);
}

#[test]
fn an_unknown_authorisation_is_asked_again_and_never_taken_for_an_answer() {
    given()
        .all([StockReserved, AuthoriseOutcome(Outcome::Unknown)])
        .then(
            Phase::Authorising,
            &[CheckoutAction::RetryAfterBackoff { attempts: 1 }],
        )
        .when(RetryDue)
        .then(Phase::Authorising, &[CheckoutAction::Authorise])
        .when(AuthoriseOutcome(Outcome::Unknown))
        .then(
            Phase::Authorising,
            &[CheckoutAction::RetryAfterBackoff { attempts: 2 }],
        )
        .when(authorised())
        .then(
            Phase::Completing,
            &[CheckoutAction::Confirm, CheckoutAction::Capture],
        );
}

#[test]
fn an_authorisation_not_known_in_time_rejects_and_reverses() {
    let code = RejectionCode::PaymentUnavailable;
    let expected = [
        reject(code, "no answer about payment"),
        CheckoutAction::Reverse,
    ];
    given()
        .all([StockReserved, AuthoriseOutcome(Outcome::Unknown)])
        .after(Duration::from_secs(20))
        .when(DeadlineReached)
        .then(Phase::Unwinding, &expected)
        .when(authorised())
        .then(Phase::Unwinding, &[])
        .all([reversed(Effect::Voided), StockReleased])
        .then(Phase::Undone, &[])
        .payment(PaymentStatus::Voided);
}

#[test]
fn an_order_is_pending_for_thirty_seconds_at_most() {
    let told = given()
        .after(Duration::from_millis(9_999))
        .when(StockReserved);
    let until = told.state.deadline_at.unwrap();
    assert!(until.since(START) <= Duration::from_secs(30));
}

#[test]
fn cancelling_while_the_authorisation_is_away_reverses_whatever_it_was() {
    given()
        .all([StockReserved, Cancelled])
        .then(Phase::Unwinding, &[CheckoutAction::Reverse])
        .when(authorised())
        .then(Phase::Unwinding, &[])
        .all([reversed(Effect::Voided), StockReleased])
        .then(Phase::Undone, &[]);
}

#[test]
fn cancelling_a_sold_order_refunds_and_waits_for_the_stock_to_come_back() {
    given()
        .all([
            StockReserved,
            authorised(),
            captured(),
            StockCommitted,
            Cancelled,
        ])
        .then(Phase::Unwinding, &[CheckoutAction::Reverse])
        .when(reversed(Effect::Refunded))
        .then(Phase::Unwinding, &[])
        .payment(PaymentStatus::Refunded)
        .when(StockReturned)
        .then(Phase::Undone, &[]);
}

#[test]
fn after_the_pivot_a_deadline_only_alerts() {
    given()
        .all([StockReserved, authorised()])
        .after(Duration::from_secs(60))
        .when(DeadlineReached)
        .then(
            Phase::Completing,
            &[CheckoutAction::Alert(Phase::Completing)],
        )
        .when(DeadlineReached)
        .then(Phase::Completing, &[]);
}

#[test]
fn a_refused_capture_parks_and_an_operator_may_give_the_order_up() {
    let told = given()
        .all([StockReserved, authorised(), CaptureOutcome(refused())])
        .then(
            Phase::Parked,
            &[CheckoutAction::Park(ParkReason::CaptureRefused)],
        )
        .when(RetryDue)
        .then(Phase::Parked, &[]);
    told.when(OperatorCompensate)
        .then(
            Phase::Unwinding,
            &[CheckoutAction::GiveUp, CheckoutAction::Reverse],
        )
        .all([StockCommitted, StockReturned, reversed(Effect::Voided)])
        .then(Phase::Undone, &[]);
}

#[test]
fn an_operator_may_have_a_refused_capture_tried_again() {
    given()
        .all([
            StockReserved,
            authorised(),
            StockCommitted,
            CaptureOutcome(refused()),
            OperatorRetry,
        ])
        .then(Phase::Completing, &[CheckoutAction::Capture])
        .when(captured())
        .then(Phase::Completed, &[]);
}

#[test]
fn an_outage_parks_after_ten_minutes_and_heals_by_itself() {
    let unknown = || CaptureOutcome(Outcome::Unknown);
    given()
        .all([StockReserved, authorised(), unknown()])
        .after(Duration::from_secs(599))
        .when(unknown())
        .then(
            Phase::Completing,
            &[CheckoutAction::RetryAfterBackoff { attempts: 2 }],
        )
        .after(Duration::from_secs(1))
        .when(unknown())
        .then(
            Phase::Parked,
            &[
                CheckoutAction::Park(ParkReason::Outage),
                CheckoutAction::RetryAfterOutage,
            ],
        )
        .when(RetryDue)
        .then(Phase::Parked, &[CheckoutAction::Capture])
        .when(unknown())
        .then(Phase::Parked, &[CheckoutAction::RetryAfterOutage])
        .when(StockCommitted)
        .then(Phase::Parked, &[])
        .when(captured())
        .then(Phase::Completed, &[]);
}

#[test]
fn a_refused_reversal_parks_until_an_operator_has_it_tried_again() {
    given()
        .all([StockReserved, Cancelled, ReverseOutcome(refused())])
        .then(
            Phase::Parked,
            &[CheckoutAction::Park(ParkReason::ReverseRefused)],
        )
        .when(StockReleased)
        .then(Phase::Parked, &[])
        .when(OperatorRetry)
        .then(Phase::Unwinding, &[CheckoutAction::Reverse])
        .when(reversed(Effect::Voided))
        .then(Phase::Undone, &[]);
}

#[test]
fn an_undone_checkout_hears_nothing() {
    let undone = || given().when(stock_rejected());
    for event in every_event() {
        let told = undone().when(event.clone()).then(Phase::Undone, &[]);
        assert_eq!(told.state, undone().state, "{event:?}");
    }
}

#[test]
fn every_step_stands_beside_its_compensation() {
    for step in STEPS {
        assert!(
            !step.compensation.is_empty() && !step.undone_by.is_empty(),
            "{step:?}"
        );
    }
    let calls: Vec<_> = STEPS
        .iter()
        .filter(|s| s.compensation == "Reverse")
        .collect();
    assert_eq!(calls.len(), 2, "one undo for all money");
}

#[test]
fn the_card_is_kept_only_while_an_authorisation_may_be_asked_for() {
    let told = given();
    assert!(told.state.needs_card());
    let told = told.when(StockReserved);
    assert!(told.state.needs_card());
    assert!(!told.when(authorised()).state.needs_card());
}

fn every_event() -> Vec<CheckoutEvent> {
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 5_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any events, in any order, repeated, with any time between them.
    #[test]
    fn any_sequence_of_events_keeps_the_books(
        steps in prop::collection::vec((prop::sample::select(every_event()), 0_u64..40_000), 0..40)
    ) {
        let mut told = given();
        let mut reverse_recorded = false;
        for (event, pause) in steps {
            told = told.after(Duration::from_millis(pause)).when(event);
            let state = &told.state;
            if reverse_recorded {
                prop_assert!(!told.last.contains(&CheckoutAction::Capture));
                prop_assert!(!told.last.contains(&CheckoutAction::Authorise));
                prop_assert!(!told.last.contains(&CheckoutAction::Confirm));
            }
            reverse_recorded = state.money.reverse != Call::Never;
            if matches!(state.working_phase(), Phase::Completing | Phase::Completed) {
                prop_assert_eq!(state.money.authorise, Call::Done);
            }
            match state.phase {
                Phase::Completed => {
                    prop_assert_eq!(state.stock, Stock::Committed);
                    prop_assert_eq!(state.money.status(), PaymentStatus::Captured);
                }
                Phase::Undone => {
                    prop_assert!(state.stock.is_undone());
                    prop_assert!(state.money.is_undone());
                }
                Phase::Parked => prop_assert!(state.parked.is_some()),
                Phase::Reserving | Phase::Authorising | Phase::Completing | Phase::Unwinding => {
                    prop_assert!(state.parked.is_none());
                }
            }
            // Whoever waits for a call's answer or is before the pivot has something that wakes it.
            let before_pivot = matches!(state.working_phase(), Phase::Reserving | Phase::Authorising);
            prop_assert!(!before_pivot || state.deadline_at.is_some());
            if told.last.iter().any(|a| matches!(a, CheckoutAction::RetryAfterBackoff { .. })) {
                prop_assert!(state.owed_call().is_some());
            }
        }
        let count = |name: &str| told.actions.iter().filter(|a| a.starts_with(name)).count();
        prop_assert!(count("confirm") + count("reject") <= 1, "{:?}", told.actions);
        prop_assert!(count("give-up") <= 1);
    }
}
