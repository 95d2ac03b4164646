//! Checkers are proved by bugs: each planted one must be found, by the invariant that is about it.

use brewline_failpoint::plant;
use brewline_sim::run;

/// A bug, and the invariants one of which must name it.
const BUGS: [(&str, &[&str]); 12] = [
    ("relay-skips-gaps", &["I10"]),
    ("relay-marks-before-ack", &["I10"]),
    ("consumer-ignores-inbox", &["I11", "I4"]),
    ("consumer-ignores-position", &["I11", "I12", "I8"]),
    ("consumer-skips-offset", &["I12"]),
    ("new-key-on-unknown", &["I5"]),
    ("confirm-without-authorisation-known", &["I5", "I8"]),
    ("oversell", &["I3"]),
    ("release-twice", &["I3", "I4"]),
    ("forget-release", &["I4"]),
    ("ignore-tombstone", &["I4"]),
    ("lose-saga-deadline", &["I8"]),
];

/// A bug that needs more seeds than this would not be found by a developer's run either.
const SEEDS_MAX: u64 = 2_000;

// One function: a bug is planted in the whole process.
#[test]
fn each_planted_bug_is_found_by_its_invariant() {
    let mut missed = Vec::new();
    for (bug, invariants) in BUGS {
        plant(bug);
        match (1..=SEEDS_MAX).find_map(|seed| found(seed, invariants)) {
            Some((seed, violation)) => println!("{bug}: seed {seed}: {violation}"),
            None => missed.push(bug),
        }
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
