use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Health;

/// What a service is given to live in. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Context {
    /// The service's name, such as `order`.
    pub service: &'static str,
    /// The name of this process among the service's replicas.
    pub instance: Arc<str>,
    health: Health,
    shutdown: CancellationToken,
    tasks: TaskTracker,
    failed: Arc<AtomicBool>,
}

// === impl Context ===

impl Context {
    /// A context that is not yet shutting down. [`crate::main`] makes the one of a process; tests
    /// make their own.
    #[must_use]
    pub fn new(service: &'static str, instance: impl Into<Arc<str>>) -> Self {
        Self {
            service,
            instance: instance.into(),
            health: Health::default(),
            shutdown: CancellationToken::new(),
            tasks: TaskTracker::new(),
            failed: Arc::default(),
        }
    }

    /// The gates and heartbeats behind `/readyz` and `/livez`.
    #[must_use]
    pub const fn health(&self) -> &Health {
        &self.health
    }

    /// Cancelled when the process shall end.
    #[must_use]
    pub fn shutdown(&self) -> CancellationToken {
        self.shutdown.clone()
    }

    /// Waits until the process shall end.
    pub async fn shutdown_requested(&self) {
        self.shutdown.cancelled().await;
    }

    /// Has readiness wait for `ready`, under this name. Once open, that gate stays open.
    pub fn open_when(&self, name: &'static str, ready: impl Future<Output = ()> + Send + 'static) {
        let (gate, shutdown) = (self.health.gate(name), self.shutdown());
        self.spawn(name, async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = ready => gate.open(),
            }
            Ok(())
        });
    }

    /// Runs `work` beside everything else. When it fails or panics the whole process ends, so that
    /// its supervisor starts it anew; shutdown waits for it, bounded.
    pub fn spawn<F>(&self, name: &'static str, work: F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let context = self.clone();
        self.tasks.spawn(async move {
            let failure = match AssertUnwindSafe(work).catch_unwind().await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => format!("{error:#}"),
                Err(_) => "it panicked".to_owned(),
            };
            tracing::error!(
                task = name,
                error = failure,
                "a task failed; the process ends"
            );
            context.failed.store(true, Ordering::Release);
            context.health.drain();
            context.shutdown.cancel();
        });
    }

    /// Whether a task has failed.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Waits for all tasks, at most `grace`.
    pub async fn drain(&self, grace: Duration) {
        self.tasks.close();
        if tokio::time::timeout(grace, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                tasks = self.tasks.len(),
                "work was left unfinished at shutdown"
            );
        }
    }
}
