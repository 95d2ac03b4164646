//! One seed from beginning to verdict, and many of them.

use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use brewline_chaos::invariants;
use brewline_chaos::verdict::{Finding, Verdict};

use crate::broker::Service;
use crate::trace::Coverage;
use crate::world::{SECOND, World};

/// How long the calm may last: longer than a parked checkout waits, plus the checkers' own bound for
/// an order that is stuck, so that a stuck one counts as such.
const CALM_MAX: i64 = 240 * SECOND;
/// More steps than any run takes: whoever needs more goes round in circles.
const STEPS_MAX: u64 = 400_000;

/// What came of one seed.
#[derive(Debug)]
pub struct Run {
    /// The seed.
    pub seed: u64,
    /// Names the whole history.
    pub digest: u64,
    /// How many things happened.
    pub events: u64,
    /// Simulated microseconds.
    pub simulated: i64,
    /// Orders placed.
    pub orders: u64,
    /// What was reached.
    pub coverage: Coverage,
    /// What is wrong; empty when nothing is.
    pub violations: Vec<String>,
    /// The history as text, when it was to be kept.
    pub trace: Vec<String>,
}

/// What came of many seeds.
#[derive(Debug, Default)]
pub struct Sum {
    /// Seeds run.
    pub seeds: u64,
    /// Things that happened.
    pub events: u64,
    /// Simulated microseconds.
    pub simulated: i64,
    /// Orders placed.
    pub orders: u64,
    /// What was reached.
    pub coverage: Coverage,
    /// The lowest seed that failed, with what is wrong.
    pub failure: Option<(u64, Vec<String>)>,
    /// Seeds that failed.
    pub failed: u64,
}

/// Runs `seed`; `keep_trace`: and keeps its history as text.
#[must_use]
pub fn run(seed: u64, keep_trace: bool) -> Run {
    let mut world = World::new(seed, keep_trace);
    let storm = world.setup.storm;
    let mut steps = 0;
    while world.now < storm && steps < STEPS_MAX && world.step() {
        steps += 1;
    }
    world.heal();
    let bound = world.now + CALM_MAX;
    let mut look = world.now + SECOND;
    let mut quiet = false;
    while !quiet && world.now < bound && steps < STEPS_MAX && world.step() {
        steps += 1;
        if world.now >= look {
            look = world.now + SECOND;
            quiet = world.is_quiet();
        }
    }
    judge(seed, world, quiet)
}

fn judge(seed: u64, mut world: World, quiet: bool) -> Run {
    let findings = invariants::judge(&world.evidence());
    let mut violations = std::mem::take(&mut world.broken);
    if !quiet {
        violations.push("I8: it does not come to an end".to_owned());
    }
    violations.extend(findings.iter().flat_map(told));
    let mut orders = 0;
    if let Some(store) = world.stores.get(&Service::Order) {
        for order in store.tables.orders.values() {
            orders += 1;
            *world
                .coverage
                .endings
                .entry(order.status.as_str())
                .or_default() += 1;
        }
    }
    Run {
        seed,
        digest: world.trace.digest(),
        events: world.trace.length(),
        simulated: world.now,
        orders,
        coverage: world.coverage,
        violations,
        trace: world.trace.into_lines(),
    }
}

fn told(finding: &Finding) -> Vec<String> {
    let (id, name) = (finding.id, finding.name);
    let mut told: Vec<String> = finding
        .violations
        .iter()
        .map(|violation| {
            let order = violation.order_id.as_deref().unwrap_or("-");
            format!("{id} {name}: {order}: {}", violation.detail)
        })
        .collect();
    if finding.verdict == Verdict::Unknown {
        told.push(format!("{id} {name}: could not be judged"));
    }
    // Checkers look things up in unordered maps; a report has an order.
    told.sort();
    told
}

/// Runs `count` seeds from `base` on, on all cores.
#[must_use]
pub fn run_many(base: u64, count: u64) -> Sum {
    let next = AtomicU64::new(0);
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let mut sum = Sum::default();
    thread::scope(|scope| {
        let work = || work(base, count, &next);
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            if let Ok(part) = worker.join() {
                sum.add(part);
            }
        }
    });
    sum
}

fn work(base: u64, count: u64, next: &AtomicU64) -> Sum {
    let mut sum = Sum::default();
    loop {
        let index = next.fetch_add(1, Ordering::Relaxed);
        if index >= count {
            return sum;
        }
        sum.take(run(base.wrapping_add(index), false));
    }
}

// === impl Sum ===

impl Sum {
    fn take(&mut self, run: Run) {
        let failed = !run.violations.is_empty();
        self.add(Self {
            seeds: 1,
            events: run.events,
            simulated: run.simulated,
            orders: run.orders,
            coverage: run.coverage,
            failure: failed.then_some((run.seed, run.violations)),
            failed: u64::from(failed),
        });
    }

    fn add(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.events += other.events;
        self.simulated += other.simulated;
        self.orders += other.orders;
        self.failed += other.failed;
        self.coverage.add(&other.coverage);
        let mine = self.failure.as_ref().map_or(u64::MAX, |(seed, _)| *seed);
        if other.failure.as_ref().is_some_and(|(seed, _)| *seed < mine) {
            self.failure = other.failure;
        }
    }
}
