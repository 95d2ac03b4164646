//! Three proofs that every saga must pass, over a small model of those it works with:
//!
//! 1. repeating any step is harmless,
//! 2. failing at any step ends whole: all of it done, or a clean slate,
//! 3. repeating any step of the unwinding is harmless.
//!
//! They walk every place of every way, so a model should be small: participants that keep their fences
//! and are idempotent, and the messages in flight between them and the saga.

use std::fmt::Debug;

/// A saga on a stage, with a model of those it works with.
pub trait Rehearsal {
    /// One thing that happens: a message arrives, a call is made, a timer fires.
    type Step: Clone + Debug;
    /// One way to go wrong, or to be called off.
    type Failure: Clone + Debug;
    /// What is left when nothing happens any more, in words of the business.
    type Ending: PartialEq + Debug;

    /// What happens next; none when all is quiet.
    fn next(&self) -> Option<Self::Step>;

    /// Lets it happen, whether it is next, or an old step once more.
    fn take(&mut self, step: &Self::Step);

    /// All ways to go wrong. Each may be brought about at any time.
    fn failures() -> Vec<Self::Failure>;

    /// Brings one about.
    fn fail(&mut self, failure: &Self::Failure);

    /// What is left.
    fn ending(&self) -> Self::Ending;

    /// Whether all of it is done, or nothing.
    ///
    /// # Errors
    /// With what is neither.
    fn is_whole(&self) -> Result<(), String>;
}

/// More steps than any way takes: whoever needs more goes round in circles.
const STEPS_MAX: usize = 2_000;

/// Repeating any step, at once or after everything else, leads to the same ending.
///
/// # Panics
/// When it does not.
pub fn repeating_any_step_is_harmless<R: Rehearsal>(begin: impl Fn() -> R) {
    let mut straight = begin();
    let steps = finish(&mut straight);
    whole(&straight, &"nothing went wrong");
    for (index, step) in steps.iter().enumerate() {
        let mut at_once = begin();
        walk(&mut at_once, index + 1);
        at_once.take(step);
        finish(&mut at_once);
        same(&at_once, &straight, &("repeated at once", index, step));

        let mut late = begin();
        finish(&mut late);
        late.take(step);
        finish(&mut late);
        same(&late, &straight, &("repeated late", index, step));
    }
}

/// Whatever goes wrong, after whichever step: it ends whole.
///
/// # Panics
/// When it does not.
pub fn failing_at_any_step_ends_whole<R: Rehearsal>(begin: impl Fn() -> R) {
    let length = finish(&mut begin()).len();
    for failure in R::failures() {
        for index in 0..=length {
            let mut failed = failed_at(&begin, index, &failure);
            finish(&mut failed);
            whole(&failed, &("failed after step", index, &failure));
        }
    }
}

/// Whatever goes wrong, after whichever step: repeating any later step leads to the same ending.
///
/// # Panics
/// When it does not.
pub fn repeating_the_unwinding_is_harmless<R: Rehearsal>(begin: impl Fn() -> R) {
    let length = finish(&mut begin()).len();
    for failure in R::failures() {
        for index in 0..=length {
            let mut straight = failed_at(&begin, index, &failure);
            let unwinding = finish(&mut straight);
            for (repeated, step) in unwinding.iter().enumerate() {
                let mut again = failed_at(&begin, index, &failure);
                walk(&mut again, repeated + 1);
                again.take(step);
                finish(&mut again);
                let told = ("failed after step", index, &failure, "repeated", step);
                same(&again, &straight, &told);
            }
        }
    }
}

fn failed_at<R: Rehearsal>(begin: impl Fn() -> R, index: usize, failure: &R::Failure) -> R {
    let mut stage = begin();
    walk(&mut stage, index);
    stage.fail(failure);
    stage
}

fn walk<R: Rehearsal>(stage: &mut R, steps: usize) -> Vec<R::Step> {
    let mut taken = Vec::new();
    while taken.len() < steps
        && let Some(step) = stage.next()
    {
        stage.take(&step);
        taken.push(step);
    }
    taken
}

fn finish<R: Rehearsal>(stage: &mut R) -> Vec<R::Step> {
    let steps = walk(stage, STEPS_MAX);
    let last = steps.iter().rev().take(10).collect::<Vec<_>>();
    assert!(stage.next().is_none(), "it goes round in circles: {last:?}");
    steps
}

#[allow(clippy::panic, reason = "a test fails by panicking")]
fn whole<R: Rehearsal>(stage: &R, told: &dyn Debug) {
    if let Err(torn) = stage.is_whole() {
        panic!("{told:?}: {torn}; it ended as {:?}", stage.ending());
    }
}

fn same<R: Rehearsal>(stage: &R, expected: &R, told: &dyn Debug) {
    assert_eq!(stage.ending(), expected.ending(), "{told:?}");
    whole(stage, told);
}
