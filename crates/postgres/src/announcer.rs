//! Notifications sent after the commit they tell of.
//!
//! `NOTIFY` inside a transaction takes a lock of the whole server from before its commit is written
//! until after it is on the disk, so that of the transactions that notify only one at a time commits.
//! Sent by itself it writes nothing and holds that lock for a moment. What is lost by it: a process
//! that dies in between tells nobody, which is why whoever listens polls as well.
//!
//! Most hints are for the process that sends them: the relay of what it wrote. Such a one is an
//! [`Ear`], told without the database.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deadpool_postgres::PoolError;
use tokio::sync::Notify;

const NOTIFY: &str = "select pg_notify(channel, payload)
    from unnest($1::text[], $2::text[]) as hint (channel, payload)";

/// A hint later than this has been overtaken by polling.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Sends hints over a connection of its own, one statement at a time: what comes while one is on its
/// way travels together in the next.
pub(crate) struct Announcer {
    pool: deadpool_postgres::Pool,
    state: Mutex<State>,
}

/// A channel and a payload.
pub(crate) type Hint = (&'static str, String);

/// Hears one channel's payload within this process until dropped. Nobody else is told meanwhile.
pub struct Ear {
    announcer: Arc<Announcer>,
    hint: Hint,
}

#[derive(Default)]
struct State {
    ears: BTreeMap<Hint, Arc<Notify>>,
    pending: BTreeSet<Hint>,
    sending: bool,
}

// === impl Announcer ===

impl Announcer {
    /// Over this pool, which needs no more than one connection.
    pub(crate) fn new(pool: deadpool_postgres::Pool) -> Self {
        Self {
            pool,
            state: Mutex::default(),
        }
    }

    /// Sends hints in the background.
    #[allow(
        clippy::disallowed_methods,
        reason = "a hint may be lost at any time, so no shutdown needs to wait for it"
    )]
    pub(crate) fn announce(self: &Arc<Self>, hints: Vec<Hint>) {
        if hints.is_empty() {
            return;
        }
        let mut state = self.state();
        state.take_in(hints);
        if state.pending.is_empty() || std::mem::replace(&mut state.sending, true) {
            return;
        }
        drop(state);
        let announcer = Arc::clone(self);
        tokio::spawn(async move { announcer.send_all().await });
    }

    /// Wakes `wake` instead of notifying.
    pub(crate) fn hear(self: &Arc<Self>, hint: Hint, wake: Arc<Notify>) -> Ear {
        self.state().ears.insert(hint.clone(), wake);
        Ear {
            announcer: Arc::clone(self),
            hint,
        }
    }

    pub(crate) fn close(&self) {
        self.pool.close();
    }

    async fn send_all(&self) {
        while let Some(hints) = self.take() {
            match tokio::time::timeout(TIMEOUT, self.send(&hints)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "a notification was not sent"),
                Err(_) => tracing::debug!("a notification was not sent in time"),
            }
        }
    }

    /// What to send next; none ends the sending, under the same lock as it was begun.
    fn take(&self) -> Option<BTreeSet<Hint>> {
        let mut state = self.state();
        state.sending = !state.pending.is_empty();
        state.sending.then(|| std::mem::take(&mut state.pending))
    }

    async fn send(&self, hints: &BTreeSet<Hint>) -> Result<(), PoolError> {
        let channels: Vec<&str> = hints.iter().map(|(channel, _)| *channel).collect();
        let payloads: Vec<&str> = hints.iter().map(|(_, payload)| payload.as_str()).collect();
        let connection = self.pool.get().await?;
        let notify = connection.prepare_cached(NOTIFY).await?;
        connection.query(&notify, &[&channels, &payloads]).await?;
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl State {
    fn take_in(&mut self, hints: Vec<Hint>) {
        for hint in hints {
            match self.ears.get(&hint) {
                Some(wake) => wake.notify_one(),
                None => drop(self.pending.insert(hint)),
            }
        }
    }
}

// === impl Ear ===

impl Drop for Ear {
    fn drop(&mut self) {
        self.announcer.state().ears.remove(&self.hint);
    }
}

impl std::fmt::Debug for Ear {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ear")
            .field("hint", &self.hint)
            .finish_non_exhaustive()
    }
}
