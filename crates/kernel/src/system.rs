//! The machine's own clock and id generator, for shells.

use std::time::{SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use crate::{Clock, IdGenerator, Timestamp};

/// The machine's wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// Ids from the machine's clock and random numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemIds;

/// A random number, evenly from all of `u64`, for jitter.
#[must_use]
pub fn random() -> u64 {
    let (high, low) = Uuid::new_v4().as_u64_pair();
    // Six bits of a version 4 UUID are fixed; mixing the halves spreads the others over them.
    high.rotate_left(32) ^ low.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

// === impl SystemClock ===

impl Clock for SystemClock {
    #[allow(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the clock"
    )]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

// === impl SystemIds ===

impl IdGenerator for SystemIds {
    #[allow(
        clippy::disallowed_methods,
        reason = "this is the one place that makes ids"
    )]
    fn next(&self) -> Uuid {
        Uuid::now_v7()
    }
}
