//! The process with which a stack ends, however that process ends.

use std::time::Duration;

use super::process::ProcessIdentity;

/// How often it is looked after. A descriptor of the process would tell at once, but can be waited for
/// by unsafe code alone.
const LOOK: Duration = Duration::from_millis(250);

/// Somebody whose end is waited for.
#[derive(Debug)]
pub enum Companion {
    /// Nobody: the stack runs until it is told to stop.
    Nobody,
    /// A process that ran when it was looked up.
    Process(ProcessIdentity),
    /// It had ended before it could be looked up.
    Gone,
}

// === impl Companion ===

impl Companion {
    /// The process that has this pid now.
    #[must_use]
    pub fn of(pid: Option<u32>) -> Self {
        let found = |pid| ProcessIdentity::of(pid).map_or(Self::Gone, Self::Process);
        pid.map_or(Self::Nobody, found)
    }

    /// Ends when the process has ended; never, when there is none.
    pub async fn ended(&self) {
        match self {
            Self::Nobody => std::future::pending().await,
            Self::Process(process) => {
                while process.is_alive() {
                    tokio::time::sleep(LOOK).await;
                }
            }
            Self::Gone => {}
        }
    }
}
