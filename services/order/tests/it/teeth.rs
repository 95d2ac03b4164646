//! Planted bugs make the tests fail that guard against them: the tests have teeth.

use std::process::Command;

/// Each bug with the test that must notice it.
const BUGS: [(&str, &str); 3] = [
    (
        "cancel-without-asking",
        "cancel_order::a_confirmed_order_waits_for_the_barista_and_its_checkout_goes_on",
    ),
    (
        "refusal-forgotten",
        "barista::a_refused_cancellation_goes_back_to_where_the_barista_has_come",
    ),
    (
        "erasure-forgets-answers",
        "customers::erasure_leaves_nothing_of_a_person_in_any_table",
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
fn planted_bugs_are_caught() {
    for (bug, test) in BUGS {
        assert!(!passes(test, bug), "{test} passes in spite of {bug}");
        assert!(passes(test, ""), "{test} fails without a bug");
    }
}
