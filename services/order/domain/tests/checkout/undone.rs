//! The ways back: refusals, deadlines and cancellations.

use std::time::Duration;

use brewline_order_domain::checkout::CheckoutEvent::{
    AuthoriseOutcome, Cancelled, DeadlineReached, StockCommitted, StockReleased, StockReserved,
    StockReturned,
};
use brewline_order_domain::checkout::{
    Call, CheckoutAction, Effect, Outcome, PaymentStatus, Phase,
};
use brewline_order_domain::order::RejectionCode;

use crate::told::{
    START, authorised, captured, declined, every_event, given, reject, reversed, stock_rejected,
};

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
fn an_undone_checkout_hears_nothing() {
    let undone = || given().when(stock_rejected());
    for event in every_event() {
        let told = undone().when(event.clone()).then(Phase::Undone, &[]);
        assert_eq!(told.state, undone().state, "{event:?}");
    }
}
