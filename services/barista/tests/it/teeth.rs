//! Every planted bug makes the test fail that guards against it: the tests have teeth.

use std::process::Command;

/// Each bug with the test that must notice it.
const BUGS: [(&str, &str); 4] = [
    (
        "tickets-forgotten",
        "tickets::a_confirmed_order_gets_one_ticket_a_line_at_its_station",
    ),
    (
        "ticket-doubled",
        "tickets::a_confirmed_order_gets_one_ticket_a_line_at_its_station",
    ),
    (
        "withdraw-although-started",
        "tickets::a_withdrawal_is_refused_once_somebody_has_begun",
    ),
    (
        "done-too-early",
        "tickets::the_last_ticket_makes_the_order_ready",
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
