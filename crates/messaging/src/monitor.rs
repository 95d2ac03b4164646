use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::consumer::desk::Desk;

/// The consumers of this process: how far they are, and where an operator finds them. Shared by them,
/// the operator's API, and whoever waits for a consistency token. Cloning shares it.
#[derive(Clone)]
pub struct Monitor(Arc<Shared>);

struct Shared {
    owned: Mutex<BTreeMap<Place, Lag>>,
    commits: watch::Sender<u64>,
    desks: Mutex<BTreeMap<&'static str, Arc<dyn Desk>>>,
}

/// A consumer in a partition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The consumer.
    pub consumer: String,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
}

/// How far behind the owner of a partition is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// The next offset to be handled.
    pub next_offset: i64,
    /// The log's end when last seen.
    pub end_offset: i64,
    /// How old the next record is, in milliseconds; 0 when there is none.
    pub behind_ms: i64,
}

// === impl Monitor ===

impl Default for Monitor {
    fn default() -> Self {
        Self(Arc::new(Shared {
            owned: Mutex::default(),
            commits: watch::Sender::new(0),
            desks: Mutex::default(),
        }))
    }
}

impl Monitor {
    /// The partitions this process owns now.
    #[must_use]
    pub fn owned(&self) -> BTreeMap<Place, Lag> {
        let owned = self.0.owned.lock().unwrap_or_else(PoisonError::into_inner);
        owned.clone()
    }

    /// Changes each time a consumer of this process has committed.
    #[must_use]
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.0.commits.subscribe()
    }

    pub(crate) fn committed(&self) {
        self.0
            .commits
            .send_modify(|commits| *commits = commits.wrapping_add(1));
    }

    /// The consumer of this name, when it runs in this process.
    pub(crate) fn desk(&self, consumer: &str) -> Option<Arc<dyn Desk>> {
        let desks = self.0.desks.lock().unwrap_or_else(PoisonError::into_inner);
        desks.get(consumer).map(Arc::clone)
    }

    pub(crate) fn open_desk(&self, consumer: &'static str, desk: Arc<dyn Desk>) {
        let mut desks = self.0.desks.lock().unwrap_or_else(PoisonError::into_inner);
        desks.insert(consumer, desk);
    }

    pub(crate) fn close_desk(&self, consumer: &str) {
        let mut desks = self.0.desks.lock().unwrap_or_else(PoisonError::into_inner);
        desks.remove(consumer);
    }

    pub(crate) fn tell(&self, place: Place, lag: Lag) {
        let mut owned = self.0.owned.lock().unwrap_or_else(PoisonError::into_inner);
        owned.insert(place, lag);
    }

    pub(crate) fn released(&self, place: &Place) {
        let mut owned = self.0.owned.lock().unwrap_or_else(PoisonError::into_inner);
        owned.remove(place);
    }
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").finish_non_exhaustive()
    }
}
