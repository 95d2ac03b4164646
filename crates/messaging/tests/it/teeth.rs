//! Planted bugs that nothing else catches, since a second line stands behind each of them, make the
//! test fail that guards the first line.

use std::process::Command;

/// Each bug with the test that must notice it.
const BUGS: [(&str, &str); 4] = [
    (
        "consumer-ignores-position",
        "consumer::an_owner_whose_epoch_was_raised_applies_nothing_until_it_claims_again",
    ),
    (
        "consumer-ignores-inbox",
        "consumer::what_was_published_twice_is_applied_once",
    ),
    (
        "redrive-out-of-order",
        "redrive::a_letter_and_what_is_parked_behind_it_take_effect_in_order",
    ),
    (
        "redrive-ignores-inbox",
        "redrive::redriven_twice_and_at_once_on_two_replicas_it_has_its_effect_once",
    ),
];

/// A bug is chosen when a process starts, so each one gets a process of its own.
fn passes(test: &str, bug: &str) -> bool {
    let mut run = Command::new(std::env::current_exe().unwrap());
    run.args(["--exact", test]).env("BREWLINE_PLANTED_BUG", bug);
    let output = run.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("running 1 test"),
        "{test} was not run: {text}"
    );
    output.status.success()
}

#[test]
fn every_planted_bug_is_caught() {
    for (bug, test) in BUGS {
        assert!(!passes(test, bug), "{test} passes in spite of {bug}");
    }
}

#[test]
fn without_a_bug_the_same_tests_pass() {
    for (_, test) in BUGS {
        assert!(passes(test, ""), "{test} fails without a bug");
    }
}
