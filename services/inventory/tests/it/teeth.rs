//! Every planted bug makes the test fail that guards against it: the tests have teeth.

use std::process::Command;

/// Each bug with the test that must notice it.
const BUGS: [(&str, &str); 5] = [
    (
        "oversell",
        "reservations::a_hot_product_is_sold_out_exactly",
    ),
    (
        "release-twice",
        "reservations::a_rejected_order_gives_its_stock_back",
    ),
    (
        "forget-release",
        "reservations::a_rejected_order_gives_its_stock_back",
    ),
    (
        "ledger-off-by-one",
        "reservations::a_confirmed_order_is_sold",
    ),
    (
        "ignore-tombstone",
        "reservations::a_tombstone_refuses_the_late_order",
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
