use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use brewline_kernel::{Clock, Timestamp};
use brewline_sandbox_domain::{Behaviour, Behaviours, Misbehaviour, Part};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Desk, Keepsakes};

/// The outside world: the desk, and how it is told to misbehave. Cheap to clone.
///
/// What it is told is held in memory only: a restarted world behaves well.
#[derive(Clone)]
pub struct World(Arc<Inner>);

struct Inner {
    desk: Desk,
    mailbox: Keepsakes,
    hooks: Keepsakes,
    told: Mutex<Told>,
    usual_lifetime: Duration,
    closed: watch::Sender<bool>,
    mailbox_closed: watch::Sender<bool>,
    clock: Arc<dyn Clock>,
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
    pub fn new(
        desk: Desk,
        mailbox: Keepsakes,
        hooks: Keepsakes,
        key_lifetime: Duration,
        clock: Arc<dyn Clock>,
        shutdown: CancellationToken,
    ) -> Self {
        Self(Arc::new(Inner {
            desk,
            mailbox,
            hooks,
            told: Mutex::new(Told {
                behaviours: Behaviours::default(),
                key_lifetime,
            }),
            usual_lifetime: key_lifetime,
            closed: watch::Sender::new(false),
            mailbox_closed: watch::Sender::new(false),
            clock,
            shutdown,
            slow: TaskTracker::new(),
        }))
    }

    /// Where requests are handed in.
    pub(crate) fn desk(&self) -> &Desk {
        &self.0.desk
    }

    /// The instant now.
    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// The mails that were taken.
    pub(crate) fn mailbox(&self) -> &Keepsakes {
        &self.0.mailbox
    }

    /// The calls of webhooks that were taken.
    pub(crate) fn hooks(&self) -> &Keepsakes {
        &self.0.hooks
    }

    /// Tells one part of the world how to behave; `None`: well.
    pub(crate) fn tell(&self, part: Part, behaviour: Option<Behaviour>) {
        self.change(|told| told.behaviours.set(part, behaviour));
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

    /// What goes wrong with the next request to this part, if anything.
    pub(crate) fn judge(&self, part: impl Into<Part>) -> Option<Misbehaviour> {
        self.change(|told| told.behaviours.judge(part))
    }

    /// Whether the front door is to be closed.
    #[must_use]
    pub fn closed(&self) -> watch::Receiver<bool> {
        self.0.closed.subscribe()
    }

    /// Whether the mailbox's door is to be closed.
    pub(crate) fn mailbox_closed(&self) -> watch::Receiver<bool> {
        self.0.mailbox_closed.subscribe()
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
        follow(&self.0.closed, told.behaviours.closed());
        follow(&self.0.mailbox_closed, told.behaviours.mailbox_closed());
        result
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").finish_non_exhaustive()
    }
}

fn follow(door: &watch::Sender<bool>, closed: bool) {
    door.send_if_modified(|was| std::mem::replace(was, closed) != closed);
}
