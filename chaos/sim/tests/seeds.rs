//! What the simulator promises: seeds pass, soon, and each is one history.

use std::time::{Duration, Instant};

use brewline_chaos::invariants;
use brewline_chaos::verdict::Verdict;
use brewline_sim::world::{SECOND, World};
use brewline_sim::{run, run_many};

#[test]
fn ten_thousand_seeds_pass_within_a_minute() {
    let began = Instant::now();
    let sum = run_many(1, 10_000);
    assert_eq!(sum.failure, None, "{} seeds failed", sum.failed);
    assert_eq!(sum.seeds, 10_000);
    assert!(
        began.elapsed() <= Duration::from_secs(60),
        "10,000 seeds took {:?}",
        began.elapsed()
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
    let coverage = run_many(1, 1_500).coverage;
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

#[test]
fn every_invariant_finds_subjects() {
    let mut world = World::new(5, false);
    while world.now < 20 * SECOND && world.step() {}
    world.heal();
    while !world.is_quiet() && world.step() {}
    for finding in invariants::judge(&world.evidence()) {
        assert_eq!(finding.verdict, Verdict::Pass, "{finding:?}");
    }
}
