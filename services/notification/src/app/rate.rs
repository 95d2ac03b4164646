//! How much may be begun in a second.

use std::time::Duration;

use tokio::time::Instant;

/// How much may be begun in a second: a bucket that fills evenly and holds a second's worth.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    per_second: u32,
    tokens_micros: u64,
    filled_at: Instant,
}

/// A token, in millionths: so that a bucket fills without fractions.
const TOKEN_MICROS: u64 = 1_000_000;

// === impl Rate ===

impl Rate {
    /// A full bucket. A rate of zero would never begin anything: it counts as one.
    #[must_use]
    pub fn new(per_second: u32) -> Self {
        let per_second = per_second.max(1);
        Self {
            per_second,
            tokens_micros: u64::from(per_second).saturating_mul(TOKEN_MICROS),
            filled_at: Instant::now(),
        }
    }

    /// How many may be begun now.
    pub fn room(&mut self) -> usize {
        self.fill();
        usize::try_from(self.tokens_micros / TOKEN_MICROS).unwrap_or(usize::MAX)
    }

    /// Whether nothing was begun for long enough.
    pub fn is_full(&mut self) -> bool {
        self.fill();
        let full = u64::from(self.per_second).saturating_mul(TOKEN_MICROS);
        self.tokens_micros >= full
    }

    /// So many are begun.
    pub fn take(&mut self, begun: usize) {
        let begun = u64::try_from(begun).unwrap_or(u64::MAX);
        let spent = begun.saturating_mul(TOKEN_MICROS);
        self.tokens_micros = self.tokens_micros.saturating_sub(spent);
    }

    fn fill(&mut self) {
        let now = Instant::now();
        let passed = now.saturating_duration_since(self.filled_at);
        let passed = passed.min(Duration::from_secs(1));
        let micros = u64::try_from(passed.as_micros()).unwrap_or(TOKEN_MICROS);
        let rate = u64::from(self.per_second);
        let full = rate.saturating_mul(TOKEN_MICROS);
        let filled = self
            .tokens_micros
            .saturating_add(micros.saturating_mul(rate));
        self.tokens_micros = filled.min(full);
        self.filled_at = now;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_bucket_holds_a_seconds_worth_and_fills_evenly() {
        let mut rate = Rate::new(10);
        assert_eq!(rate.room(), 10);
        rate.take(10);
        assert_eq!(rate.room(), 0);
        advance(Duration::from_millis(250)).await;
        assert_eq!(rate.room(), 2);
        advance(Duration::from_secs(60)).await;
        assert_eq!(rate.room(), 10);
    }
}
