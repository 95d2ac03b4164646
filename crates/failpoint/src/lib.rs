//! Crash points and planted bugs: the teeth of the tests.
//!
//! With the feature `fault-injection` a [`hit`] may end or pause the process at a named place, and
//! [`planted`] may switch on a bug that someone could really make, so that a checker can be seen to
//! catch it. Without the feature both are empty functions: a release binary holds neither the code
//! nor the names. `docs/failpoints.md` lists the names.

#[cfg(feature = "fault-injection")]
mod armed;

#[cfg(feature = "fault-injection")]
pub use armed::{InvalidPlan, arm, hit, plant, planted};

/// Does nothing: this build has no crash points.
#[cfg(not(feature = "fault-injection"))]
#[inline(always)]
pub const fn hit(_name: &'static str) {}

/// Always false: this build has no planted bugs.
#[cfg(not(feature = "fault-injection"))]
#[inline(always)]
#[must_use]
pub const fn planted(_bug: &'static str) -> bool {
    false
}
