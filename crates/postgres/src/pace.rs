use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Spaces out the batches of one loop.
///
/// A batch is what gathered while the last one was being committed. While the machine has time to
/// spare, that is so little that nearly every order gets transactions of its own, each with its round
/// trips and its wait for the disk, until no time is left to spare. So the next batch begins no sooner
/// than a few milliseconds after the last one *began*, and no sooner than the loop has rested for as
/// long as it worked: the busier the machine, the larger the batches. Whoever comes to an idle loop
/// waits for nothing.
#[derive(Debug)]
pub struct Pace {
    interval: Duration,
    begun: Option<Instant>,
    next: Option<Instant>,
}

/// The longest rest, in intervals: a batch that took long waited for something else than the processor.
const REST_INTERVALS_MAX: u32 = 8;

// === impl Pace ===

impl Pace {
    pub(crate) const fn new(interval: Duration) -> Self {
        Self {
            interval,
            begun: None,
            next: None,
        }
    }

    /// Whether a batch may begin.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.next.is_none_or(|next| next <= Instant::now())
    }

    /// Waits until a batch may begin; at once when the last one is long ago. May be dropped and
    /// called again.
    pub async fn ready(&self) {
        if let Some(next) = self.next {
            sleep_until(next).await;
        }
    }

    /// A batch begins now.
    pub fn begin(&mut self) {
        let now = Instant::now();
        self.begun = Some(now);
        self.next = Some(now + self.interval);
    }

    /// The batch is done, and the loop rests. To be left out where batches overlap.
    pub fn end(&mut self) {
        let now = Instant::now();
        let worked = self
            .begun
            .map_or(Duration::ZERO, |begun| now.duration_since(begun));
        let rested = now + worked.min(self.interval.saturating_mul(REST_INTERVALS_MAX));
        self.next = self.next.max(Some(rested));
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const INTERVAL: Duration = Duration::from_millis(5);

    /// How long the next batch waits after one that took `work`.
    async fn wait_after(pace: &mut Pace, work: Duration) -> Duration {
        pace.begin();
        advance(work).await;
        pace.end();
        let done = Instant::now();
        pace.ready().await;
        done.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_comes_to_an_idle_loop_waits_for_nothing() {
        let mut pace = Pace::new(INTERVAL);
        assert!(pace.is_ready());
        pace.begin();
        pace.end();
        advance(INTERVAL).await;
        assert!(pace.is_ready());
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_batch_waits_for_the_interval_or_for_as_long_as_the_last_took() {
        let mut pace = Pace::new(INTERVAL);
        for (work_ms, wait_ms) in [
            (0, 5),
            (1, 4),
            (2, 3),
            (3, 3),
            (12, 12),
            (40, 40),
            (500, 40),
        ] {
            let waited = wait_after(&mut pace, Duration::from_millis(work_ms)).await;
            assert_eq!(waited, Duration::from_millis(wait_ms), "after {work_ms} ms");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_interval_of_zero_turns_it_off() {
        let mut pace = Pace::new(Duration::ZERO);
        let waited = wait_after(&mut pace, Duration::from_millis(20)).await;
        assert_eq!(waited, Duration::ZERO);
    }
}
