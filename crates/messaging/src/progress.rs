use std::fmt;
use std::sync::Arc;

/// Where a loop reports that it moves, for a watchdog that ends a process that does not. Made from
/// whatever the service's health wants called.
#[derive(Clone)]
pub struct Progress(Option<Arc<dyn Fn() + Send + Sync>>);

// === impl Progress ===

impl Progress {
    /// Calls `beat` each time the loop has moved, or knows why it cannot.
    #[must_use]
    pub fn new(beat: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(beat)))
    }

    /// Nobody watches.
    #[must_use]
    pub const fn unwatched() -> Self {
        Self(None)
    }

    pub(crate) fn beat(&self) {
        if let Some(beat) = &self.0 {
            beat();
        }
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress")
            .field("watched", &self.0.is_some())
            .finish()
    }
}
