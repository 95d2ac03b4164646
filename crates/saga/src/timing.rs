//! When a saga's row is due next.

use std::time::Duration;

use brewline_kernel::{Backoff, Timestamp};

/// What a saga waits for after a reaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Only an event can move it, or its deadline.
    Event,
    /// A call that was just handed over. Should its answer never be written (the process died, the
    /// queue was full), the row falls due and the call is made again.
    Answer,
    /// The next attempt of a call that came back unknown so often.
    Backoff {
        /// How often; at least 1.
        attempts: u32,
    },
    /// The next attempt of a saga that stands aside.
    Outage,
}

/// How long each kind of waiting takes.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Between attempts of a call.
    pub backoff: Backoff,
    /// Between attempts of a saga that stands aside.
    pub outage_pause: Duration,
    /// For a call that was handed over to be answered and written: longer than the call's own
    /// deadline, or it would be made twice for nothing.
    pub answer: Duration,
}

/// Between attempts: 50 ms, doubled up to 5 s.
const BACKOFF: Backoff = match Backoff::new(Duration::from_millis(50), Duration::from_secs(5)) {
    Ok(backoff) => backoff,
    Err(_) => panic!("the first wait is shorter than the longest"),
};

// === impl Timing ===

impl Timing {
    /// 50 ms to 5 s with full jitter; 30 s while aside.
    #[must_use]
    pub fn new(call_timeout: Duration) -> Self {
        Self {
            backoff: BACKOFF,
            outage_pause: Duration::from_secs(30),
            answer: call_timeout.saturating_add(Duration::from_secs(1)),
        }
    }

    /// When the row is due: at its deadline, or earlier when something else is. `random` is drawn
    /// evenly from all of `u64`.
    #[must_use]
    pub fn due_at(
        &self,
        wait: Wait,
        deadline_at: Option<Timestamp>,
        now: Timestamp,
        random: u64,
    ) -> Option<Timestamp> {
        let pause = match wait {
            Wait::Event => return deadline_at,
            Wait::Answer => self.answer,
            Wait::Backoff { attempts } => self.backoff.delay(attempts.saturating_sub(1), random),
            // A tenth of jitter spreads sagas that were parked together.
            Wait::Outage => {
                let tenth = u64::try_from(self.outage_pause.as_micros() / 10).unwrap_or(u64::MAX);
                let jitter = random.checked_rem(tenth).unwrap_or(0);
                self.outage_pause + Duration::from_micros(jitter)
            }
        };
        let retry_at = now.plus(pause);
        Some(deadline_at.map_or(retry_at, |deadline| deadline.min(retry_at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn timing() -> Timing {
        Timing::new(Duration::from_secs(3))
    }

    #[test]
    fn a_deadline_comes_before_a_later_retry() {
        let deadline = NOW.plus(Duration::from_secs(1));
        let due = timing().due_at(Wait::Answer, Some(deadline), NOW, 0);
        assert_eq!(due, Some(deadline));
    }

    #[test]
    fn a_handed_over_call_is_due_after_its_own_deadline() {
        let due = timing().due_at(Wait::Answer, None, NOW, 0);
        assert_eq!(due, Some(NOW.plus(Duration::from_secs(4))));
    }

    #[test]
    fn attempts_wait_at_most_five_seconds() {
        for attempts in [1, 2, 10, u32::MAX] {
            let due = timing().due_at(Wait::Backoff { attempts }, None, NOW, u64::MAX);
            assert!(due.unwrap().since(NOW) <= Duration::from_secs(5));
        }
    }

    #[test]
    fn waiting_for_an_event_needs_no_timer_without_a_deadline() {
        assert_eq!(timing().due_at(Wait::Event, None, NOW, 7), None);
    }
}
