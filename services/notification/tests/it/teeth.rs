//! Every planted bug makes the test fail that guards against it: the tests have teeth.

use std::process::Command;

/// Each bug with the test that must notice it.
const BUGS: [(&str, &str); 4] = [
    ("mail-forgotten", "mails::each_of_many_orders_is_told_of"),
    ("mail-twice", "mails::each_of_many_orders_is_told_of"),
    (
        "new-message-id-on-retry",
        "mails::a_reset_after_the_mail_was_taken_repeats_its_name",
    ),
    (
        "hook-new-id-per-attempt",
        "webhooks::a_lost_answer_is_repeated_under_the_same_id",
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
