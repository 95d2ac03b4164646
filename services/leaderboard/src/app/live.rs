//! The boards in memory: one loop changes them, everybody reads them.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use brewline_kafka::TopicPartition;
use brewline_leaderboard_domain::Fold;
use tokio::sync::{mpsc, oneshot, watch};

/// The next offset of each partition.
pub type Offsets = BTreeMap<TopicPartition, i64>;

/// Requests to the applying loop that wait for it.
const COMMANDS_MAX: usize = 4;

/// The boards. Readers share them; the applying loop takes them for a batch at a time.
#[derive(Debug)]
pub struct Live {
    state: RwLock<State>,
    /// Counts batches applied.
    changes: watch::Sender<u64>,
    commands: mpsc::Sender<Hold>,
}

/// What the boards are, and what they hold.
#[derive(Debug, Default)]
pub struct State {
    /// The boards.
    pub fold: Fold,
    /// Everything before these offsets is in them.
    pub offsets: Offsets,
    /// Records read since the process began.
    pub records: u64,
    /// Names that were shown and are gone, since the process began.
    pub names_gone: u64,
    /// How many of them are out of the last snapshot too.
    pub names_out: u64,
}

/// Asks the applying loop to stand still.
#[derive(Debug)]
pub struct Hold {
    /// Told once it does.
    pub(super) stands: oneshot::Sender<()>,
    /// Ends it, maybe with other boards.
    pub(super) go_on: oneshot::Receiver<Option<Box<Fold>>>,
}

/// The applying loop stands still until this is used or dropped.
#[derive(Debug)]
pub struct Still(oneshot::Sender<Option<Box<Fold>>>);

// === impl State ===

impl State {
    /// Whether the last snapshot still holds a name that must not be shown.
    #[must_use]
    pub const fn is_name_due(&self) -> bool {
        self.names_gone > self.names_out
    }
}

// === impl Live ===

impl Live {
    /// Boards to begin with, and where the applying loop hears requests.
    #[must_use]
    pub fn new(state: State) -> (Self, mpsc::Receiver<Hold>) {
        let (commands, requests) = mpsc::channel(COMMANDS_MAX);
        let live = Self {
            state: RwLock::new(state),
            changes: watch::Sender::new(0),
            commands,
        };
        (live, requests)
    }

    /// Looks at the boards. Never held across an await.
    pub fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the boards.
    pub(super) fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Told after every batch.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(super) fn changed(&self) {
        self.changes
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Has the applying loop stand still; none when it has ended.
    pub async fn stand_still(&self) -> Option<Still> {
        let (stands, standing) = oneshot::channel();
        let (still, go_on) = oneshot::channel();
        self.commands.send(Hold { stands, go_on }).await.ok()?;
        standing.await.ok()?;
        Some(Still(still))
    }
}

// === impl Still ===

impl Still {
    /// Lets the loop go on with other boards. False when it had lost its patience and gone on already.
    #[must_use]
    pub fn switch(self, fold: Fold) -> bool {
        self.0.send(Some(Box::new(fold))).is_ok()
    }
}
