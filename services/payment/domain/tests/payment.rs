//! Given what is on record, when a command or an answer comes, then this follows.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends where it fails"
)]

use std::time::Duration;

use brewline_kernel::{Money, OrderId, Timestamp};
use brewline_payment_domain::{
    Answer, Call, Command, Effect, Event, Found, FoundStatus, KeyLifetime, Kind, Outcome, Payment,
    RefusalReason, Request, State, Step, TokenHash,
};

const LIFETIME: KeyLifetime = KeyLifetime::new(Duration::from_secs(20));

fn order() -> OrderId {
    "0197a5f0-0000-7000-8000-000000000001".parse().unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_millis(second * 1_000)
}

fn euro(minor: i64) -> Money {
    Money::new(minor, "EUR".parse().unwrap())
}

fn authorise() -> Command {
    Command::Authorise {
        amount: euro(350),
        token: "tok_ok".to_owned(),
        token_hash: TokenHash([7; 32]),
    }
}

fn ask(payment: &mut Payment, command: &Command, second: i64) -> Request {
    match payment.decide(command, at(second), LIFETIME) {
        Step::Ask(request) => request,
        Step::Answer(outcome) => panic!("{command:?} was answered {outcome:?} at {second} s"),
    }
}

fn answer(payment: &mut Payment, command: &Command, second: i64) -> Outcome {
    match payment.decide(command, at(second), LIFETIME) {
        Step::Answer(outcome) => outcome,
        Step::Ask(request) => panic!("{command:?} asked {:?}", request.call),
    }
}

fn tell(payment: &mut Payment, command: &Command, said: &Answer) -> Option<Event> {
    let request = ask(payment, command, 0);
    payment.learn(&request, said)
}

fn authorised() -> Answer {
    Answer::Authorised {
        id: "au_1".to_owned(),
    }
}

fn unknown() -> Answer {
    Answer::Unknown {
        detail: "timeout".to_owned(),
    }
}

fn found(status: FoundStatus) -> Answer {
    Answer::Found(vec![Found {
        id: "au_1".to_owned(),
        status,
    }])
}

fn refused(outcome: &Outcome) -> Option<RefusalReason> {
    match outcome {
        Outcome::Refused { reason, .. } => Some(*reason),
        Outcome::Done { .. } | Outcome::Declined { .. } | Outcome::Unknown { .. } => None,
    }
}

fn done(outcome: &Outcome) -> Option<Effect> {
    match outcome {
        Outcome::Done { effect, .. } => Some(*effect),
        Outcome::Declined { .. } | Outcome::Unknown { .. } | Outcome::Refused { .. } => None,
    }
}

/// An order whose amount is held.
fn held() -> Payment {
    let mut payment = Payment::new(order());
    assert_eq!(
        tell(&mut payment, &authorise(), &authorised()),
        Some(Event::Authorised)
    );
    payment
}

/// An order whose authorisation nobody knows of.
fn in_doubt() -> Payment {
    let mut payment = Payment::new(order());
    assert_eq!(tell(&mut payment, &authorise(), &unknown()), None);
    payment
}

/// An order whose amount was taken.
fn taken() -> Payment {
    let mut payment = held();
    assert_eq!(
        tell(&mut payment, &Command::Capture, &Answer::Accepted),
        Some(Event::Captured)
    );
    payment
}

#[test]
fn the_happy_way_is_one_request_a_command() {
    let mut payment = taken();
    assert_eq!(payment.events, 2);
    assert_eq!(
        done(&answer(&mut payment, &authorise(), 1)),
        Some(Effect::Authorised)
    );
    assert_eq!(
        done(&answer(&mut payment, &Command::Capture, 1)),
        Some(Effect::Captured)
    );
}

#[test]
fn a_repeat_of_an_unknown_request_is_the_same_request() {
    let mut payment = Payment::new(order());
    let first = ask(&mut payment, &authorise(), 0);
    payment.learn(&first, &unknown());
    let second = ask(&mut payment, &authorise(), 1);
    assert_eq!((&first.call, first.key()), (&second.call, second.key()));
    assert_eq!((first.attempt, second.attempt), (1, 2));
}

#[test]
fn every_request_has_a_key_of_its_own() {
    let mut held = held();
    let mut taken = taken();
    let keys = [
        ask(&mut Payment::new(order()), &authorise(), 0).key(),
        ask(&mut held.clone(), &Command::Capture, 0).key(),
        ask(&mut held, &Command::Reverse, 0).key(),
        ask(&mut taken, &Command::Reverse, 0).key(),
    ];
    let names: Vec<_> = keys
        .iter()
        .flatten()
        .map(|key| key.rsplit('/').next().unwrap())
        .collect();
    assert_eq!(names, ["authorise", "capture", "void", "refund"]);
}

#[test]
fn the_card_is_kept_only_while_it_is_needed() {
    let token = |payment: &Payment| payment.authorisation.as_ref().unwrap().token.clone();
    assert_eq!(token(&in_doubt()).as_deref(), Some("tok_ok"));
    assert_eq!(token(&held()), None);
    let declined = Answer::Declined {
        code: "insufficient".to_owned(),
    };
    let mut payment = Payment::new(order());
    tell(&mut payment, &authorise(), &declined);
    assert_eq!(token(&payment), None);
    assert!(!format!("{:?} {:?}", in_doubt(), authorise()).contains("tok_"));
}

#[test]
fn another_amount_or_card_is_a_mismatch() {
    for (minor, hash) in [(351, 7), (350, 8)] {
        for mut payment in [held(), in_doubt()] {
            let other = Command::Authorise {
                amount: euro(minor),
                token: "tok_ok".to_owned(),
                token_hash: TokenHash([hash; 32]),
            };
            let outcome = answer(&mut payment, &other, 1);
            assert_eq!(refused(&outcome), Some(RefusalReason::Mismatch));
        }
    }
}

#[test]
fn capture_needs_a_known_authorisation() {
    let outcome = answer(&mut Payment::new(order()), &Command::Capture, 0);
    assert_eq!(refused(&outcome), Some(RefusalReason::NotAuthorised));
    let outcome = answer(&mut in_doubt(), &Command::Capture, 0);
    assert!(matches!(outcome, Outcome::Unknown { .. }), "{outcome:?}");
}

#[test]
fn a_reversal_that_overtakes_everything_leaves_a_tombstone() {
    let mut payment = Payment::new(order());
    let outcome = answer(&mut payment, &Command::Reverse, 0);
    assert_eq!(done(&outcome), Some(Effect::Nothing));
    for command in [authorise(), Command::Capture] {
        let outcome = answer(&mut payment, &command, 1);
        assert_eq!(refused(&outcome), Some(RefusalReason::Reversed));
    }
    assert_eq!((payment.authorisation, payment.events), (None, 0));
}

#[test]
fn a_reversal_voids_what_is_held_and_refunds_what_was_taken() {
    for (mut payment, effect, event) in [
        (held(), Effect::Voided, Event::Voided),
        (taken(), Effect::Refunded, Event::Refunded),
    ] {
        let told = tell(&mut payment, &Command::Reverse, &Answer::Accepted);
        assert_eq!(told, Some(event));
        let again = answer(&mut payment, &Command::Reverse, 1);
        assert_eq!(done(&again), Some(effect));
        let late = answer(&mut payment, &Command::Capture, 1);
        assert_eq!(refused(&late), Some(RefusalReason::Reversed));
    }
}

#[test]
fn a_reversal_first_makes_an_unknown_authorisation_known() {
    let mut payment = in_doubt();
    let request = ask(&mut payment, &Command::Reverse, 1);
    assert!(matches!(request.call, Call::Authorise { .. }));
    assert_eq!(
        payment.learn(&request, &authorised()),
        Some(Event::Authorised)
    );
    let request = ask(&mut payment, &Command::Reverse, 2);
    assert!(matches!(request.call, Call::Void { .. }));
}

#[test]
fn a_reversal_ends_as_soon_as_the_unknown_authorisation_is_declined() {
    let mut payment = in_doubt();
    let declined = Answer::Declined {
        code: "stolen".to_owned(),
    };
    let event = tell(&mut payment, &Command::Reverse, &declined);
    assert!(matches!(event, Some(Event::Declined { .. })));
    assert_eq!(done(&payment.outcome(Kind::Reverse)), Some(Effect::Nothing));
}

#[test]
fn finding_nothing_is_not_a_no() {
    let mut payment = in_doubt();
    let request = ask(&mut payment, &Command::Reverse, 11);
    assert_eq!(request.call, Call::FindByReference);
    assert_eq!(payment.learn(&request, &Answer::Found(vec![])), None);
    let request = ask(&mut payment, &Command::Reverse, 12);
    assert!(
        matches!(request.call, Call::Authorise { .. }),
        "asked {:?}",
        request.call
    );
}

#[test]
fn a_reversal_makes_a_capture_in_flight_known_first() {
    let mut payment = held();
    tell(&mut payment, &Command::Capture, &unknown());
    let request = ask(&mut payment, &Command::Reverse, 1);
    assert!(matches!(request.call, Call::Capture { .. }));
    payment.learn(&request, &Answer::Accepted);
    let request = ask(&mut payment, &Command::Reverse, 2);
    assert!(matches!(request.call, Call::Refund { .. }));
}

#[test]
fn a_key_that_may_be_forgotten_is_looked_up_before_the_repeat() {
    let mut payment = in_doubt();
    let young = ask(&mut payment.clone(), &authorise(), 9);
    assert!(matches!(young.call, Call::Authorise { .. }));
    let old = ask(&mut payment, &authorise(), 10);
    assert_eq!((&old.call, old.key()), (&Call::FindByReference, None));
    assert_eq!(
        payment.learn(&old, &found(FoundStatus::Authorised)),
        Some(Event::Authorised)
    );
    assert_eq!(payment.authorisation.unwrap().id, "au_1");
}

#[test]
fn an_absence_is_good_for_as_long_as_a_young_key() {
    let mut payment = in_doubt();
    let look_up = ask(&mut payment, &authorise(), 30);
    payment.learn(&look_up, &Answer::Found(vec![]));
    for (second, made) in [(31, true), (39, true), (40, false)] {
        let next = ask(&mut payment.clone(), &authorise(), second);
        assert_eq!(next.key().is_some(), made, "at {second} s");
    }
}

#[test]
fn a_look_up_settles_capture_and_reversal_too() {
    let rows = [
        (held(), Command::Capture, FoundStatus::Captured, true),
        (held(), Command::Capture, FoundStatus::Authorised, false),
        (held(), Command::Reverse, FoundStatus::Voided, true),
        (held(), Command::Reverse, FoundStatus::Authorised, false),
        (taken(), Command::Reverse, FoundStatus::Refunded, true),
        (taken(), Command::Reverse, FoundStatus::Captured, false),
    ];
    for (mut payment, command, status, settled) in rows {
        tell(&mut payment, &command, &unknown());
        let look_up = ask(&mut payment, &command, 30);
        let event = payment.learn(&look_up, &found(status.clone()));
        assert_eq!(event.is_some(), settled, "{command:?} found {status:?}");
    }
}

#[test]
fn what_holds_money_is_found_before_what_was_declined() {
    let mut payment = in_doubt();
    let look_up = ask(&mut payment, &authorise(), 30);
    let both = Answer::Found(vec![
        Found {
            id: "au_0".to_owned(),
            status: FoundStatus::Declined("try later".to_owned()),
        },
        Found {
            id: "au_1".to_owned(),
            status: FoundStatus::Authorised,
        },
    ]);
    assert_eq!(payment.learn(&look_up, &both), Some(Event::Authorised));
    assert_eq!(payment.authorisation.unwrap().id, "au_1");
}

#[test]
fn a_definite_answer_never_changes() {
    let mut payment = Payment::new(order());
    let first = ask(&mut payment, &authorise(), 0);
    let second = ask(&mut payment, &authorise(), 1);
    payment.learn(&first, &authorised());
    let settled = payment.clone();
    let late = [
        authorised(),
        unknown(),
        Answer::Declined {
            code: "late".to_owned(),
        },
        Answer::Refused {
            detail: "late".to_owned(),
        },
        Answer::Found(vec![]),
    ];
    for said in late {
        assert_eq!(payment.learn(&second, &said), None, "{said:?}");
        assert_eq!(payment, settled, "{said:?}");
    }
}

#[test]
fn a_refusal_by_the_processor_is_for_good() {
    let mut payment = held();
    let no = Answer::Refused {
        detail: "gone".to_owned(),
    };
    assert_eq!(tell(&mut payment, &Command::Capture, &no), None);
    let outcome = answer(&mut payment, &Command::Capture, 1);
    assert_eq!(refused(&outcome), Some(RefusalReason::Processor));
    assert_eq!(payment.capture.as_ref().unwrap().state, State::Refused);
    let request = ask(&mut payment, &Command::Reverse, 2);
    assert!(matches!(request.call, Call::Void { .. }));
}
