//! Every planted bug makes the test fail that guards against it: the tests have teeth.

use std::process::Command;

/// Each bug with the test that must notice it.
const BUGS: [(&str, &str); 3] = [
    (
        "risk-forgets",
        "risk::a_card_that_is_tested_is_refused_before_the_processor_is_asked",
    ),
    (
        "ledger-forgets-refund",
        "reverse::what_was_taken_is_given_back_once_however_often_it_is_asked_for",
    ),
    (
        "new-key-on-unknown",
        "authorise::an_unknown_authorisation_is_asked_again_and_charges_once",
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
