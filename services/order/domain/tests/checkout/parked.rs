//! What stands aside until an operator or the end of an outage.

use std::time::Duration;

use brewline_order_domain::checkout::CheckoutEvent::{
    Cancelled, CaptureOutcome, OperatorCompensate, OperatorRetry, RetryDue, ReverseOutcome,
    StockCommitted, StockReleased, StockReserved, StockReturned,
};
use brewline_order_domain::checkout::{CheckoutAction, Effect, Outcome, ParkReason, Phase};

use crate::told::{authorised, captured, given, refused, reversed};

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
