//! Watch an order: its events from some version on, as they come, until it is final.
//!
//! Who watches is woken by commits of this replica and looks by itself too, since most commits may be
//! another's.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use brewline_kernel::OrderId;
use brewline_proto::order::v1 as wire;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::Parts;
use crate::app::change_order::Error;
use crate::app::waiters::Waiter;
use crate::outbound::{event_codec, order_view, store};

/// How often a watcher looks by itself. A thousand of them then cost the database some two thousand
/// look-ups a second by primary key.
const LOOK: Duration = Duration::from_millis(500);

/// How many may watch, and until when. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Watchers {
    places: Arc<Semaphore>,
    shutdown: CancellationToken,
}

/// One who watches an order.
#[derive(Debug)]
pub struct Watch {
    parts: Parts,
    order_id: OrderId,
    waiter: Waiter,
    seen: i64,
    has_seen_too_much: bool,
    ahead: VecDeque<wire::WatchOrderResponse>,
    is_final: bool,
    shutdown: CancellationToken,
    _place: OwnedSemaphorePermit,
}

// === impl Watchers ===

impl Watchers {
    /// At most `max` at a time, all of them gone soon after `shutdown`.
    #[must_use]
    pub fn new(max: usize, shutdown: CancellationToken) -> Self {
        Self {
            places: Arc::new(Semaphore::new(max)),
            shutdown,
        }
    }

    /// One more, who has seen all versions up to `seen`; none when there are too many.
    ///
    /// # Errors
    /// When there is no such order, or the database fails.
    pub async fn watch(
        &self,
        parts: &Parts,
        order_id: OrderId,
        seen: i64,
    ) -> Result<Option<Watch>, Error> {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return Ok(None);
        };
        let mut watch = Watch {
            // Registered before the first look: what is committed in between wakes it.
            waiter: parts.waiters.register(order_id),
            parts: parts.clone(),
            order_id,
            seen,
            has_seen_too_much: false,
            ahead: VecDeque::new(),
            is_final: false,
            shutdown: self.shutdown.clone(),
            _place: place,
        };
        watch.look().await?;
        Ok(Some(watch))
    }
}

// === impl Watch ===

impl Watch {
    /// Whether its caller claims to have seen what has not happened yet: waiting for it to come would
    /// leave out what comes first.
    #[must_use]
    pub const fn has_seen_too_much(&self) -> bool {
        self.has_seen_too_much
    }

    /// Whether there is nothing left to be told, now or ever.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.is_final && self.ahead.is_empty()
    }

    /// The next event; none once the order is final, or the process ends.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn next(&mut self) -> Result<Option<wire::WatchOrderResponse>, Error> {
        loop {
            if let Some(event) = self.ahead.pop_front() {
                return Ok(Some(event));
            }
            if self.is_final {
                return Ok(None);
            }
            tokio::select! {
                () = self.shutdown.cancelled() => return Ok(None),
                () = self.waiter.changed() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
            self.look().await?;
        }
    }

    /// Reads what is new. The order's standing is read first: it is final only when nothing can come
    /// after the events that are read then.
    async fn look(&mut self) -> Result<(), Error> {
        let connection = self.parts.pool.get().await?;
        let standing = order_view::standing(&connection, self.order_id).await?;
        let standing = standing.ok_or(Error::NotFound)?;
        self.has_seen_too_much = standing.version < self.seen;
        if standing.version > self.seen {
            let history = store::history(&connection, self.order_id).await?;
            for (event, order) in history {
                if order.version > self.seen {
                    self.seen = order.version;
                    self.ahead.push_back(wire::WatchOrderResponse {
                        event_type: event_codec::type_name(&event),
                        order: Some(order_view::as_of(&order, standing.payment)),
                    });
                }
            }
        }
        self.is_final = standing.is_final;
        Ok(())
    }
}
