//! The loops around the state machines: one sends batches of calls, one fires due timers.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use brewline_kernel::system::random;
use brewline_postgres::Pace;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::executor::{Batch, Executor, Limits};

/// Makes calls and writes what came of them.
pub trait Performer: Send + Sync + 'static {
    /// What kinds of calls there are: a batch holds one kind.
    type Kind: Ord + Copy + Send + fmt::Debug + 'static;
    /// A call.
    type Call: Send + 'static;

    /// Makes the calls of one batch and writes their outcomes. Whatever goes wrong is its own affair:
    /// a call without a written outcome is made again when its row falls due.
    fn perform(&self, kind: Self::Kind, calls: Vec<Self::Call>) -> impl Future<Output = ()> + Send;
}

/// Acts on due timers.
pub trait Timers: Send + Sync + 'static {
    /// Acts on at most `limit` sagas that are due, the longest overdue first. Answers how many.
    fn fire(&self, limit: i64) -> impl Future<Output = Result<usize, TimersFailed>> + Send;
}

/// Due timers could not be acted upon; they stay due.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TimersFailed(pub String);

/// How timers are looked after.
#[derive(Clone, Copy, Debug)]
pub struct TimerSettings {
    /// How often is looked when nothing is due.
    pub interval: Duration,
    /// How many are taken at once.
    pub batch_max: i64,
}

/// Why a loop ended early.
#[derive(Debug, thiserror::Error)]
#[error("a batch of calls panicked")]
pub struct Panicked;

/// Where calls are handed over after their commit. Cheap to clone.
pub struct Handle<K, C>(Arc<Shared<K, C>>);

struct Shared<K, C> {
    executor: Mutex<Executor<K, C>>,
    arrived: Notify,
}

/// How long to wait after a failure of the database, at most; drawn anew each time.
const FAILURE_PAUSE_MAX_MS: u64 = 1_000;

/// Sends what is handed over through `handle` at its `pace` until `shutdown`; batches that are away are waited for.
///
/// # Errors
/// When a batch panicked: a bug, after which the process had better start anew.
pub async fn send_calls<P: Performer>(
    performer: Arc<P>,
    handle: Handle<P::Kind, P::Call>,
    mut pace: Pace,
    shutdown: CancellationToken,
) -> Result<(), Panicked> {
    let mut away = JoinSet::new();
    loop {
        let ready = pace.is_ready();
        if ready && send_waiting(&performer, &handle, &mut away) {
            pace.begin();
        }
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            Some(ended) = away.join_next() => handle.ended(ended.map_err(|_| Panicked)?),
            () = handle.0.arrived.notified() => {}
            () = pace.ready(), if !ready && handle.waiting() > 0 => {}
        }
    }
    while let Some(ended) = away.join_next().await {
        handle.ended(ended.map_err(|_| Panicked)?);
    }
    Ok(())
}

/// Sends all that may go; says whether there was any.
fn send_waiting<P: Performer>(
    performer: &Arc<P>,
    handle: &Handle<P::Kind, P::Call>,
    away: &mut JoinSet<P::Kind>,
) -> bool {
    let mut sent = false;
    while let Some(Batch { kind, calls }) = handle.next_batch() {
        sent = true;
        let performer = Arc::clone(performer);
        away.spawn(async move {
            performer.perform(kind, calls).await;
            kind
        });
    }
    sent
}

/// Fires due timers until `shutdown`. `beat` is called each time round.
pub async fn fire_timers(
    timers: &impl Timers,
    settings: TimerSettings,
    beat: impl Fn() + Send,
    shutdown: CancellationToken,
) {
    while !shutdown.is_cancelled() {
        beat();
        let pause = match timers.fire(settings.batch_max).await {
            // A full batch: there may be more.
            Ok(fired) if i64::try_from(fired).is_ok_and(|fired| fired >= settings.batch_max) => {
                continue;
            }
            Ok(_) => settings.interval,
            Err(error) => {
                tracing::warn!(error = %error, "due timers could not be acted upon; trying again");
                Duration::from_millis(1 + random() % FAILURE_PAUSE_MAX_MS)
            }
        };
        tokio::select! {
            biased;
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

// === impl Handle ===

impl<K: Ord + Copy, C> Handle<K, C> {
    /// A queue with these limits.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self(Arc::new(Shared {
            executor: Mutex::new(Executor::new(limits)),
            arrived: Notify::new(),
        }))
    }

    /// Hands calls over. Never blocks. Answers how many found no room: their rows will fall due.
    pub fn record(&self, calls: impl IntoIterator<Item = (K, C)>) -> usize {
        let mut refused = 0;
        {
            let mut executor = self.lock();
            for (kind, call) in calls {
                refused += usize::from(!executor.record(kind, call));
            }
        }
        self.0.arrived.notify_one();
        refused
    }

    /// Calls that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.lock().waiting()
    }

    fn next_batch(&self) -> Option<Batch<K, C>> {
        self.lock().next_batch()
    }

    fn ended(&self, kind: K) {
        self.lock().ended(kind);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Executor<K, C>> {
        // Nothing panics while holding it, and its content would be as good as before.
        self.0
            .executor
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, C> Clone for Handle<K, C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, C> fmt::Debug for Handle<K, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}
