//! What the rules say, given what was seen.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends where it fails"
)]

use std::time::Duration;

use brewline_kernel::{Money, OrderId, Timestamp};
use brewline_payment_domain::{
    Command, Effect, Hit, KeyLifetime, Kind, Outcome, Payment, RefusalReason, Rules, Seen, Step,
    Subject, Tally, TokenHash,
};
use proptest::prelude::*;

const DAY: KeyLifetime = KeyLifetime::new(Duration::from_secs(86_400));

fn rules(text: &str) -> Rules {
    text.parse().unwrap()
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn declined(minor: i64) -> Seen {
    Seen::Declined(Money::new(minor, "EUR".parse().unwrap()))
}

/// What it is about, what was seen and when, now, and the rule that then refuses.
type Row<'r> = (&'r str, &'r [(i64, Seen)], i64, Option<&'r str>);

/// The rule that refuses the next authorisation of a card after all this was seen of it.
fn after(rules: &Rules, seen: &[(i64, Seen)], now: i64) -> Option<String> {
    let mut card = Tally::default();
    for (millis, seen) in seen {
        card.fold(rules, Subject::Card, *seen, at(*millis));
    }
    rules
        .judge(&[(Subject::Card, &card)], at(now))
        .map(|hit| hit.rule)
}

#[test]
fn a_rule_refuses_once_its_limit_was_counted_within_its_window() {
    let table = rules("few=card asked 2/10; small=card declined<=200 2/60; any=card declined 3/60");
    let (asked, small, large) = (Seen::Asked, declined(200), declined(201));
    let rows: &[Row<'_>] = &[
        ("nothing was seen", &[], 0, None),
        ("below the limit", &[(0, asked)], 0, None),
        (
            "at the limit",
            &[(0, asked), (9_000, asked)],
            9_000,
            Some("few"),
        ),
        (
            "the window is over",
            &[(0, asked), (1_000, asked)],
            12_000,
            None,
        ),
        (
            "one of two is over",
            &[(0, asked), (9_000, asked)],
            12_000,
            None,
        ),
        (
            "small ones",
            &[(0, small), (0, small)],
            50_000,
            Some("small"),
        ),
        (
            "large ones are not small",
            &[(0, large), (0, large)],
            0,
            None,
        ),
        (
            "three of any size",
            &[(0, large), (0, large), (0, small)],
            0,
            Some("any"),
        ),
        (
            "the first rule decides",
            &[(0, small), (0, small), (0, small)],
            0,
            Some("small"),
        ),
    ];
    for (what, seen, now, expected) in rows {
        assert_eq!(after(&table, seen, *now).as_deref(), *expected, "{what}");
    }
}

#[test]
fn a_rule_about_cards_does_not_count_customers() {
    let table = rules("card=card asked 1/60; customer=customer asked 2/60");
    let (mut card, mut customer) = (Tally::default(), Tally::default());
    card.fold(&table, Subject::Card, Seen::Asked, at(0));
    customer.fold(&table, Subject::Customer, Seen::Asked, at(0));
    let judge = |tallies: &[(Subject, &Tally)]| table.judge(tallies, at(0)).map(|hit| hit.rule);
    assert_eq!(judge(&[(Subject::Customer, &customer)]), None);
    let both = [(Subject::Customer, &customer), (Subject::Card, &card)];
    assert_eq!(judge(&both).as_deref(), Some("card"));
    assert_eq!(judge(&[]), None, "a shared card of nobody is not judged");
}

#[test]
fn a_decision_says_which_rule_and_what_it_counted() {
    for (max, shown) in [
        ("200", "200 minor units"),
        ("EUR:200", "2.00 EUR"),
        (
            "1000,NOK:10000,JPY:1500",
            "100.00 NOK, 1500 JPY or 1000 minor units of another currency",
        ),
    ] {
        let table = rules(&format!("small=card declined<={max} 1/60"));
        let mut card = Tally::default();
        card.fold(&table, Subject::Card, declined(5), at(0));
        let hit = table.judge(&[(Subject::Card, &card)], at(0)).unwrap();
        assert_eq!(hit.rule, "small");
        let whole = format!("risk rule small: 1 declined of up to {shown} within 60 s");
        assert_eq!(hit.detail, whole);
    }
}

#[test]
fn a_tally_forgets_what_no_rule_counts() {
    let (old, new) = (rules("old=card asked 9/60"), rules("new=card asked 9/60"));
    let mut card = Tally::default();
    card.fold(&old, Subject::Card, Seen::Asked, at(0));
    card.fold(&new, Subject::Card, Seen::Asked, at(0));
    let names: Vec<&str> = card.counts().keys().map(String::as_str).collect();
    assert_eq!(names, ["new"]);
}

#[test]
fn a_table_of_rules_is_read_or_its_fault_is_named() {
    assert!(rules("none").judge(&[], at(0)).is_none());
    for (text, fault) in [
        ("", "is no rule"),
        ("card asked 1/1", "is no rule"),
        ("a=shop asked 1/1", "is no rule"),
        ("a=card paid 1/1", "is no rule"),
        ("a=card declined<=x 1/1", "is no rule"),
        ("A b=card asked 1/1", "is no rule"),
        ("a=card asked 1", "is no rule"),
        ("a=card asked 1/1 more", "is no rule"),
        ("a=card asked 0/1", "a limit is"),
        ("a=card asked 1/0", "a limit is"),
        ("a=card asked 1/3601", "a limit is"),
        ("a=card declined<=0 1/1", "a limit is"),
        ("a=card asked 1/1; a=card asked 2/1", "twice"),
    ] {
        let error = text.parse::<Rules>().unwrap_err().to_string();
        assert!(error.contains(fault), "`{text}`: {error}");
    }
    let many: Vec<String> = (0..17).map(|n| format!("r{n}=card asked 1/1")).collect();
    assert!(many.join(";").parse::<Rules>().is_err());
}

#[test]
fn a_refused_authorisation_stays_refused_and_can_be_undone() {
    let order: OrderId = "0197a5f0-0000-7000-8000-000000000001".parse().unwrap();
    let authorise = Command::Authorise {
        amount: Money::new(350, "EUR".parse().unwrap()),
        token: "tok_ok_1".to_owned(),
        token_hash: TokenHash([7; 32]),
    };
    let mut payment = Payment::new(order);
    let step = payment.decide(&authorise, at(0), DAY);
    assert!(matches!(step, Step::Ask(_)));
    let hit = Hit {
        rule: "small".to_owned(),
        detail: "risk rule small".to_owned(),
    };
    let refused = Outcome::Refused {
        reason: RefusalReason::Risk,
        detail: "risk rule small".to_owned(),
    };
    assert_eq!(payment.refuse(&hit), refused);
    for later in [1, 1_000_000_000] {
        let step = payment.decide(&authorise, at(later), DAY);
        assert_eq!(step, Step::Answer(refused.clone()));
    }
    let authorisation = payment.authorisation.as_ref().unwrap();
    assert_eq!(authorisation.token, None, "the card is forgotten");
    assert_eq!(authorisation.operation.attempts, 0, "nothing was asked");
    let captured = payment.decide(&Command::Capture, at(2), DAY);
    assert!(
        matches!(&captured, Step::Answer(Outcome::Refused { reason, .. }) if *reason == RefusalReason::NotAuthorised)
    );
    let undone = payment.decide(&Command::Reverse, at(3), DAY);
    let Step::Answer(Outcome::Done { effect, .. }) = undone else {
        panic!("{undone:?}");
    };
    assert_eq!(effect, Effect::Nothing);
    let after = payment.outcome(Kind::Authorise);
    assert!(
        matches!(&after, Outcome::Refused { reason, .. } if *reason == RefusalReason::Reversed)
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_count_is_of_the_window_and_of_at_most_a_tenth_more(
        gaps in prop::collection::vec(0..3_000_i64, 1..80), then in 0..15_000_i64,
    ) {
        let table = rules("few=card asked 1000000/10");
        let mut card = Tally::default();
        let (mut now, mut seen) = (0, Vec::new());
        for gap in gaps {
            now += gap;
            seen.push(now);
            card.fold(&table, Subject::Card, Seen::Asked, at(now));
        }
        now += then;
        let within = |millis: i64| seen.iter().filter(|it| now - **it < millis).count();
        let rule = table.of(Subject::Card).next().unwrap();
        let counted = usize::try_from(card.count(rule, at(now))).unwrap();
        prop_assert!(counted >= within(10_000), "{counted} < {}", within(10_000));
        prop_assert!(counted <= within(11_000), "{counted} > {}", within(11_000));
    }

    #[test]
    fn a_tally_stays_small_however_much_is_seen(gaps in prop::collection::vec(0..1_000_i64, 1..400)) {
        let table = rules("few=card asked 5/10; small=card declined<=200 5/60");
        let mut card = Tally::default();
        let mut now = 0;
        for gap in gaps {
            now += gap;
            card.fold(&table, Subject::Card, if gap % 2 == 0 { Seen::Asked } else { declined(gap) }, at(now));
            let slices: usize = card.counts().values().map(Vec::len).sum();
            prop_assert!(slices <= 22, "{slices} slices");
            let longest = at(now).plus(Duration::from_secs(66));
            prop_assert!(card.until().is_none_or(|until| until <= longest));
        }
    }
}

#[test]
fn small_is_something_else_in_each_currency() {
    let table = rules("small=card declined<=200,JPY:300,KWD:20 1/60");
    let only = rules("small=card declined<=EUR:200 1/60");
    let hit = |table: &Rules, minor: i64, currency: &str| {
        let mut tally = Tally::default();
        let seen = Seen::Declined(Money::new(minor, currency.parse().unwrap()));
        let now = Timestamp::from_millis(0);
        tally.fold(table, Subject::Card, seen, now);
        table.judge(&[(Subject::Card, &tally)], now).is_some()
    };
    for (minor, currency, small) in [
        (200, "EUR", true),
        (201, "EUR", false),
        (300, "JPY", true),
        (301, "JPY", false),
        (21, "KWD", false),
    ] {
        assert_eq!(hit(&table, minor, currency), small, "{minor} {currency}");
    }
    assert!(hit(&only, 200, "EUR") && !hit(&only, 1, "JPY"));
    for twice in ["1,2", "EUR:1,EUR:2", "EUR:", "EURO:1", ""] {
        let text = format!("a=card declined<={twice} 1/1");
        assert!(text.parse::<Rules>().is_err(), "{text}");
    }
}
