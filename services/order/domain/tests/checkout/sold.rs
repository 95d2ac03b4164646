//! The way to a sold order.

use std::time::Duration;

use brewline_order_domain::checkout::CheckoutEvent::{
    AuthoriseOutcome, DeadlineReached, RetryDue, StockCommitted, StockReserved,
};
use brewline_order_domain::checkout::{CheckoutAction, Outcome, PaymentStatus, Phase};

use crate::told::{authorised, captured, given};

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
fn the_card_is_kept_only_while_an_authorisation_may_be_asked_for() {
    let told = given();
    assert!(told.state.needs_card());
    let told = told.when(StockReserved);
    assert!(told.state.needs_card());
    assert!(!told.when(authorised()).state.needs_card());
}
