//! What the simulator promises: seeds pass, soon, and each is one history.

use brewline_chaos::invariants;
use brewline_chaos::verdict::Verdict;
use brewline_sim::world::{SECOND, World};
use brewline_sim::{run, run_many};

/// Hundredths of a second that this process has computed. Not the clock on the wall: that one tells
/// how busy the machine is with other things.
fn computed() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux tells it");
    let behind_name = stat.rsplit(')').next().expect("the name is in brackets");
    // User and system time are the 14th and 15th field, the name being the second.
    let fields = behind_name.split_whitespace().skip(11).take(2);
    fields
        .map(|field| field.parse::<u64>().expect("a number"))
        .sum()
}

#[test]
fn ten_thousand_seeds_pass_within_a_minute() {
    let before = computed();
    let sum = run_many(1, 10_000);
    assert_eq!(sum.failure, None, "{} seeds failed", sum.failed);
    assert_eq!(sum.seeds, 10_000);
    let took = computed() - before;
    assert!(
        took <= 6_000,
        "10,000 seeds took {took} hundredths of a second"
    );
}

#[test]
fn the_same_seed_gives_the_same_history() {
    for seed in [1, 2, 77, u64::MAX] {
        let (first, again) = (run(seed, true), run(seed, true));
        assert_eq!(first.trace, again.trace, "seed {seed}");
        assert_eq!(first.digest, again.digest, "seed {seed}");
        assert_eq!(
            first.digest,
            run(seed, false).digest,
            "keeping the text changes nothing"
        );
        assert!(first.events > 50, "seed {seed} has {} events", first.events);
    }
    assert_ne!(run(1, false).digest, run(2, false).digest);
}

#[test]
fn seeds_reach_every_phase_with_every_fault() {
    let coverage = run_many(1, 3_000).coverage;
    for phase in [
        "reserving",
        "authorising",
        "completing",
        "unwinding",
        "parked",
    ] {
        for fault in coverage.faults.keys().filter(|fault| **fault != "alert") {
            assert!(
                coverage.met.contains_key(&(phase, fault)),
                "no checkout in {phase} has met: {fault}"
            );
        }
    }
    for ending in ["confirmed", "rejected", "cancelled"] {
        assert!(
            coverage
                .endings
                .get(ending)
                .is_some_and(|count| *count > 100)
        );
    }
}

/// What services say that are not simulated.
const NOT_SIMULATED: [&str; 4] = ["I7", "I13", "tickets", "erasure"];

#[test]
fn every_invariant_finds_subjects() {
    let mut world = World::new(5, false);
    while world.now < 20 * SECOND && world.step() {}
    world.heal();
    while !world.is_quiet() && world.step() {}
    let findings = invariants::judge(&world.evidence());
    let simulated = |id: &str| !NOT_SIMULATED.contains(&id);
    for finding in findings.iter().filter(|finding| simulated(finding.id)) {
        assert_eq!(finding.verdict, Verdict::Pass, "{finding:?}");
    }
}
