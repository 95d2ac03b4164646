//! How long a process that died waits before it is started again.

use std::time::Duration;

/// The first pause.
pub const PAUSE_MIN: Duration = Duration::from_millis(100);
/// The longest pause, unless another is asked for.
pub const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Who lived this long begins with the shortest pause again.
pub const ALIVE_RESET: Duration = Duration::from_secs(10);

/// Doubles from [`PAUSE_MIN`] to the longest pause; a long enough life starts it over.
#[derive(Clone, Copy, Debug)]
pub struct RestartBackoff {
    next: Duration,
    longest: Duration,
}

// === impl RestartBackoff ===

impl Default for RestartBackoff {
    fn default() -> Self {
        Self::up_to(PAUSE_MAX)
    }
}

impl RestartBackoff {
    /// With `longest` as the longest pause.
    #[must_use]
    pub fn up_to(longest: Duration) -> Self {
        let next = PAUSE_MIN.min(longest);
        Self { next, longest }
    }

    /// The pause after a process that lived for `alive`.
    pub fn after(&mut self, alive: Duration) -> Duration {
        if alive >= ALIVE_RESET {
            *self = Self::up_to(self.longest);
        }
        let pause = self.next;
        self.next = (self.next * 2).min(self.longest);
        pause
    }
}
