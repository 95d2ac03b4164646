use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use brewline_sandbox_domain::{Behaviour, Behaviours, Kind, Misbehaviour};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Desk;

/// The outside world: the desk, and how it is told to misbehave. Cheap to clone.
///
/// What it is told is held in memory only: a restarted world behaves well.
#[derive(Clone, Debug)]
pub struct World(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    desk: Desk,
    told: Mutex<Told>,
    usual_lifetime: Duration,
    closed: watch::Sender<bool>,
    shutdown: CancellationToken,
    slow: TaskTracker,
}

#[derive(Debug)]
struct Told {
    behaviours: Behaviours,
    key_lifetime: Duration,
}

// === impl World ===

impl World {
    /// A world that behaves well until told otherwise.
    #[must_use]
    pub fn new(desk: Desk, key_lifetime: Duration, shutdown: CancellationToken) -> Self {
        Self(Arc::new(Inner {
            desk,
            told: Mutex::new(Told {
                behaviours: Behaviours::default(),
                key_lifetime,
            }),
            usual_lifetime: key_lifetime,
            closed: watch::Sender::new(false),
            shutdown,
            slow: TaskTracker::new(),
        }))
    }

    /// Where requests are handed in.
    pub(crate) fn desk(&self) -> &Desk {
        &self.0.desk
    }

    /// Tells one kind of operation how to behave; `None`: well.
    pub(crate) fn tell(&self, kind: Kind, behaviour: Option<Behaviour>) {
        self.change(|told| told.behaviours.set(kind, behaviour));
    }

    /// Sets how long keys are remembered; `None`: as configured.
    pub(crate) fn set_key_lifetime(&self, lifetime: Option<Duration>) {
        let lifetime = lifetime.unwrap_or(self.0.usual_lifetime);
        self.change(|told| told.key_lifetime = lifetime);
    }

    /// Everything behaves well again.
    pub(crate) fn behave(&self) {
        let usual = self.0.usual_lifetime;
        self.change(|told| {
            told.behaviours = Behaviours::default();
            told.key_lifetime = usual;
        });
    }

    /// How long keys are remembered now.
    pub(crate) fn key_lifetime(&self) -> Duration {
        self.change(|told| told.key_lifetime)
    }

    /// What goes wrong with the next request of this kind, if anything.
    pub(crate) fn judge(&self, kind: Kind) -> Option<Misbehaviour> {
        self.change(|told| told.behaviours.judge(kind))
    }

    /// Whether the front door is to be closed.
    #[must_use]
    pub fn closed(&self) -> watch::Receiver<bool> {
        self.0.closed.subscribe()
    }

    /// For a door that nobody closes.
    #[must_use]
    pub fn never_closed() -> watch::Receiver<bool> {
        watch::Sender::new(false).subscribe()
    }

    /// Never returns while the process lives; at its end, so that a hanging request does not hold
    /// the end up.
    pub(crate) async fn hang(&self) {
        self.0.shutdown.cancelled().await;
    }

    /// Cancelled when the process shall end.
    pub(crate) fn shutdown(&self) -> CancellationToken {
        self.0.shutdown.clone()
    }

    /// Does `work` whether or not its caller stays.
    pub(crate) fn go_on<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        self.0.slow.spawn(work)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Told) -> T) -> T {
        let mut told = self.0.told.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut told);
        let closed = told.behaviours.closed();
        self.0
            .closed
            .send_if_modified(|was| std::mem::replace(was, closed) != closed);
        result
    }
}
