use std::time::Duration;

/// Exponential backoff with full jitter, as described in "Exponential Backoff And Jitter" (AWS
/// Architecture Blog, 2015): attempt `n` waits a random time between 0 and `first * 2^n`, at most
/// `longest`. Jitter spreads those who failed together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
}

/// Why two durations make no backoff.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the first wait must be positive and not longer than the longest")]
pub struct InvalidBackoff;

// === impl Backoff ===

impl Backoff {
    /// From the cap of the first wait to the cap of all.
    ///
    /// # Errors
    /// When `first` is zero or longer than `longest`.
    pub const fn new(first: Duration, longest: Duration) -> Result<Self, InvalidBackoff> {
        if first.is_zero() || first.as_nanos() > longest.as_nanos() {
            return Err(InvalidBackoff);
        }
        Ok(Self { first, longest })
    }

    /// The longest that attempt `attempt` (the first is 0) may wait.
    #[must_use]
    pub fn cap(&self, attempt: u32) -> Duration {
        let factor = 1_u32.checked_shl(attempt).unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.longest)
    }

    /// How long to wait after attempt `attempt` (the first is 0); `random` is drawn by the caller,
    /// evenly from all of `u64`.
    #[must_use]
    pub fn delay(&self, attempt: u32, random: u64) -> Duration {
        let cap = u64::try_from(self.cap(attempt).as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(random.checked_rem(cap.saturating_add(1)).unwrap_or(random))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = match Backoff::new(Duration::from_millis(50), Duration::from_secs(5)) {
        Ok(backoff) => backoff,
        Err(_) => panic!("valid"),
    };

    #[test]
    fn caps_double_up_to_the_longest() {
        let caps: Vec<_> = (0..9)
            .map(|attempt| BACKOFF.cap(attempt).as_millis())
            .collect();
        assert_eq!(caps, [50, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
        assert_eq!(BACKOFF.cap(u32::MAX).as_secs(), 5);
    }

    #[test]
    fn a_delay_stays_below_its_cap() {
        for random in [0, 1, 49_999_999, 50_000_000, 50_000_001, u64::MAX] {
            assert!(BACKOFF.delay(0, random) <= Duration::from_millis(50));
        }
    }
}
