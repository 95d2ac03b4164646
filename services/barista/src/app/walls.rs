//! The walls: what each store is to make now, read whole, and told again whenever it has changed. Our own
//! events make them (`inbound::wall_consumer`).
//!
//! One task a process looks after all walls that are watched: it asks for their positions, five times a
//! second, in one query, and reads again those that have moved. So a wall costs the same whether one or a
//! thousand watch it, nobody is told more than five times a second, and it does not matter which replica
//! changed it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use brewline_kernel::StoreId;
use brewline_postgres::Pool;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::MissedTickBehavior;

use crate::error::{Error, LoadError};
use crate::outbound::wall_store::{self, Wall};
use crate::signals;

/// How often the watched walls are looked at: at most five changes a second are told.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// How long to wait after the database did not answer.
const OUTAGE_INTERVAL: Duration = Duration::from_secs(1);

/// All walls. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Walls(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pool: Pool,
    places: Arc<Semaphore>,
    watched: Mutex<BTreeMap<StoreId, watch::Sender<Seen>>>,
}

/// A wall as it was last read; none before the first time.
type Seen = Option<Arc<Wall>>;

/// Somebody who watches a wall.
#[derive(Debug)]
pub struct Watcher {
    /// What is told next, if it was not told already.
    first: Option<Arc<Wall>>,
    position: i64,
    changes: watch::Receiver<Seen>,
    _place: OwnedSemaphorePermit,
    _counted: Counted,
}

/// Counts a watcher until it is dropped.
#[derive(Debug)]
struct Counted;

// === impl Walls ===

impl Walls {
    /// Walls over the service's database, watched by at most `watchers_max`.
    #[must_use]
    pub fn new(pool: Pool, watchers_max: usize) -> Self {
        Self(Arc::new(Inner {
            pool,
            places: Arc::new(Semaphore::new(watchers_max)),
            watched: Mutex::default(),
        }))
    }

    /// A store's wall as it is now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn read(&self, store: &StoreId) -> Result<Wall, Error> {
        Ok(wall_store::read(&self.0.pool, store).await?)
    }

    /// Watches a store's wall. What is told first is the wall as it is now, unless it is at `position`.
    ///
    /// # Errors
    /// When too many watch already, or the database fails.
    pub async fn watch(&self, store: &StoreId, position: Option<i64>) -> Result<Watcher, Error> {
        let place = Arc::clone(&self.0.places).try_acquire_owned();
        let place = place.map_err(|_| Error::TooManyWatchers)?;
        // Registered before it is read, so that no change falls in between. It is read by itself: what
        // others were told last may be older than what this caller has seen at another replica.
        let changes = self.subscribe(store);
        let wall = Arc::new(self.read(store).await?);
        signals::WALL_WATCHERS.inc();
        Ok(Watcher {
            position: wall.position,
            first: Some(wall).filter(|wall| Some(wall.position) != position),
            changes,
            _place: place,
            _counted: Counted,
        })
    }

    /// Looks after the watched walls until it is dropped.
    pub async fn run(&self) -> Infallible {
        let mut looks = tokio::time::interval(LOOK_INTERVAL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            if let Err(error) = self.look().await {
                tracing::warn!(%error, "the walls could not be read; trying again");
                tokio::time::sleep(OUTAGE_INTERVAL).await;
            }
        }
    }

    /// Reads the walls that have moved since they were last told.
    async fn look(&self) -> Result<(), LoadError> {
        let told = self.watched();
        if told.is_empty() {
            return Ok(());
        }
        let stores: Vec<&str> = told.keys().map(StoreId::as_str).collect();
        let positions = wall_store::positions(&self.0.pool, &stores).await?;
        for (store, position) in positions {
            if told.get(&store).is_some_and(|told| *told != Some(position)) {
                self.tell(wall_store::read(&self.0.pool, &store).await?);
            }
        }
        Ok(())
    }

    /// The stores somebody watches, with the position last told; the others are forgotten.
    fn watched(&self) -> BTreeMap<StoreId, Option<i64>> {
        let mut watched = self
            .0
            .watched
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        watched.retain(|_, sender| sender.receiver_count() > 0);
        let position = |sender: &watch::Sender<Seen>| {
            let seen = sender.borrow();
            seen.as_ref().map(|wall| wall.position)
        };
        let all = watched.iter();
        all.map(|(store, sender)| (store.clone(), position(sender)))
            .collect()
    }

    fn subscribe(&self, store: &StoreId) -> watch::Receiver<Seen> {
        let mut watched = self
            .0
            .watched
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        watched.entry(store.clone()).or_default().subscribe()
    }

    fn tell(&self, wall: Wall) {
        let watched = self
            .0
            .watched
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = watched.get(&wall.store) {
            sender.send_replace(Some(Arc::new(wall)));
        }
    }
}

// === impl Watcher ===

impl Watcher {
    /// The wall, once it is at a later position than was told before. Pending for ever when nobody looks
    /// after the walls any more.
    pub async fn next(&mut self) -> Arc<Wall> {
        if let Some(first) = self.first.take() {
            return first;
        }
        loop {
            let seen = self.changes.borrow_and_update().clone();
            if let Some(wall) = seen.filter(|wall| wall.position > self.position) {
                self.position = wall.position;
                return wall;
            }
            if self.changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

// === impl Counted ===

impl Drop for Counted {
    fn drop(&mut self) {
        signals::WALL_WATCHERS.dec();
    }
}
