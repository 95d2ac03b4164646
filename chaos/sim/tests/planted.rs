//! Checkers are proved by bugs: each planted one must be found, by the invariant that is about it.

use brewline_failpoint::plant;
use brewline_sim::{run, run_many};

/// A bug, and the invariants one of which must name it.
const BUGS: [(&str, &[&str]); 24] = [
    ("lose-acked-order", &["I1"]),
    ("idempotency-ignores-key", &["I14"]),
    ("phantom-order", &["I2"]),
    ("oversell", &["I3"]),
    ("ledger-off-by-one", &["I3"]),
    ("release-twice", &["I3", "I4"]),
    ("forget-release", &["I4"]),
    ("new-key-on-unknown", &["I5"]),
    ("double-capture", &["I5"]),
    ("404-means-no", &["I5"]),
    ("forget-reverse", &["I5"]),
    ("capture-after-reverse", &["I5", "I6"]),
    ("confirm-without-authorisation-known", &["I5", "I8"]),
    ("wrong-total", &["I6"]),
    ("lose-saga-deadline", &["I8"]),
    ("refusal-forgotten", &["I8"]),
    ("saga-skips-state", &["I9"]),
    ("relay-skips-gaps", &["I10"]),
    ("relay-marks-before-ack", &["I10"]),
    ("outbox-forgotten", &["I10"]),
    ("consumer-ignores-inbox", &["I11", "I12"]),
    ("consumer-skips-offset", &["I12"]),
    ("relay-forgets-its-epoch", &["I20"]),
    ("relay-ignores-lease", &["I20"]),
];

/// Bugs behind which a second line holds: the inbox behind the positions, and the inbox's order of
/// versions before the tombstones. The services' own tests catch them where that line is absent.
const HARMLESS_ALONE: [&str; 2] = ["consumer-ignores-position", "ignore-tombstone"];

/// A bug that needs more seeds than this would not be found by a developer's run either.
const SEEDS_MAX: u64 = 2_000;

// One function: a bug is planted in the whole process.
#[test]
fn each_planted_bug_is_found_by_its_invariant_or_held_by_a_second_line() {
    let mut missed = Vec::new();
    for (bug, invariants) in BUGS {
        plant(bug);
        match (1..=SEEDS_MAX).find_map(|seed| found(seed, invariants)) {
            Some((seed, violation)) => println!("{bug}: seed {seed}: {violation}"),
            None => missed.push(bug),
        }
        plant("");
    }
    for bug in HARMLESS_ALONE {
        plant(bug);
        let failure = run_many(1, 500).failure;
        assert_eq!(failure, None, "{bug}: the second line does not hold");
        plant("");
    }
    assert_eq!(missed, [""; 0], "not found within {SEEDS_MAX} seeds");
    assert_eq!(
        run(1, false).violations,
        [""; 0],
        "without a bug, nothing is found"
    );
}

fn found(seed: u64, invariants: &[&str]) -> Option<(u64, String)> {
    let violations = run(seed, false).violations;
    let names = |violation: &&String| {
        invariants
            .iter()
            .any(|id| violation.starts_with(&format!("{id} ")))
    };
    violations
        .iter()
        .find(names)
        .map(|violation| (seed, violation.clone()))
}
