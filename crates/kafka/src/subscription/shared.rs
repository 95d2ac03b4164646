//! What the application wishes and what the polling thread tells, behind one lock held for moments.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use crate::TopicPartition;

#[derive(Debug)]
pub(super) struct Shared {
    wishes: Mutex<Wishes>,
    changed: AtomicBool,
    stop: AtomicBool,
    thread: OnceLock<Thread>,
    began: Instant,
    polled_ms: AtomicU64,
}

#[derive(Debug, Default)]
pub(super) struct Wishes {
    /// Where partitions shall begin, until done.
    pub(super) starts: BTreeMap<TopicPartition, i64>,
    /// What shall be silent.
    pub(super) paused: BTreeSet<TopicPartition>,
    /// Offsets to tell the broker, until done.
    pub(super) commits: BTreeMap<TopicPartition, i64>,
    /// The ends of partitions, as last seen.
    pub(super) ends: BTreeMap<TopicPartition, i64>,
}

// === impl Shared ===

impl Default for Shared {
    fn default() -> Self {
        Self {
            wishes: Mutex::default(),
            changed: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            thread: OnceLock::new(),
            began: Instant::now(),
            polled_ms: AtomicU64::new(0),
        }
    }
}

impl Shared {
    /// Changes the wishes and wakes the thread.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Wishes) -> T) -> T {
        let answer = self.note(change);
        self.changed.store(true, Ordering::Release);
        self.wake();
        answer
    }

    /// Reads or changes without waking anybody.
    pub(super) fn note<T>(&self, change: impl FnOnce(&mut Wishes) -> T) -> T {
        change(&mut self.wishes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether wishes changed since the last look.
    pub(super) fn take_changed(&self) -> bool {
        self.changed.swap(false, Ordering::AcqRel)
    }

    /// Whether wishes changed, for who does not act on them.
    pub(super) fn has_changed(&self) -> bool {
        self.changed.load(Ordering::Acquire)
    }

    /// The thread to wake, told once by itself.
    pub(super) fn run_by(&self, thread: Thread) {
        // A second thread never exists.
        drop(self.thread.set(thread));
    }

    pub(super) fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.wake();
    }

    pub(super) fn stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    pub(super) fn polled(&self) {
        let ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.polled_ms.store(ms, Ordering::Relaxed);
    }

    pub(super) fn polled_ago(&self) -> Duration {
        let polled = Duration::from_millis(self.polled_ms.load(Ordering::Relaxed));
        self.began.elapsed().saturating_sub(polled)
    }
}
