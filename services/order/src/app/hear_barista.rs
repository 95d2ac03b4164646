//! Hear what the barista tells: work has begun, work is done, a cancellation is granted or refused.
//!
//! A granted cancellation cancels the order and turns its checkout back in the same commit.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use brewline_kernel::{Clock, OrderId};
use brewline_messaging::Failure;
use brewline_order_domain::order::{self, BaristaNews, Order};
use brewline_postgres::Transaction;

use crate::Parts;
use crate::app::checkout::{Checkouts, Happening, Moved};
use crate::app::waiters::Waiters;
use crate::outbound::store::{self, Cause, Change, Store};

/// Something the barista tells of one order.
#[derive(Debug, Clone)]
pub struct Heard {
    /// The order.
    pub order_id: OrderId,
    /// What it tells.
    pub news: BaristaNews,
    /// The event that tells it.
    pub cause: Cause,
}

/// What remains to be done after the commit: hand it to [`HearBarista::committed`].
#[derive(Debug, Default)]
#[must_use = "hand it to `HearBarista::committed` after the commit"]
pub struct Effect {
    moved: Moved,
    orders: Vec<OrderId>,
}

/// Hears the barista.
#[derive(Clone)]
pub struct HearBarista {
    store: Store,
    checkouts: Checkouts,
    waiters: Arc<Waiters>,
    clock: Arc<dyn Clock>,
}

// === impl HearBarista ===

impl HearBarista {
    /// Writes what `parts` hold.
    #[must_use]
    pub fn new(parts: &Parts) -> Self {
        Self {
            store: parts.store.clone(),
            checkouts: parts.checkouts.clone(),
            waiters: Arc::clone(&parts.waiters),
            clock: Arc::clone(&parts.clock),
        }
    }

    /// Applies everything in `heard`, which is in order where it is about the same order.
    ///
    /// # Errors
    /// When the database fails, or the barista contradicts itself.
    pub async fn hear(&self, tx: &Transaction<'_>, heard: Vec<Heard>) -> Result<Effect, Failure> {
        let cancelled: Vec<Happening> = heard.iter().filter_map(cancellation).collect();
        let sagas: Vec<OrderId> = cancelled.iter().map(|h| h.order_id).collect();
        let mut waiting: BTreeMap<OrderId, VecDeque<Heard>> = BTreeMap::new();
        for one in heard {
            waiting.entry(one.order_id).or_default().push_back(one);
        }
        let orders = waiting.keys().copied().collect();
        // Sagas before orders, as everybody does who moves both.
        if !sagas.is_empty() {
            self.checkouts.lock(tx, &sagas).await?;
        }
        // Each event names its own cause, so an order takes its news one at a time.
        while !waiting.is_empty() {
            let turn = waiting.values_mut().filter_map(VecDeque::pop_front);
            self.take(tx, turn.collect()).await?;
            waiting.retain(|_, rest| !rest.is_empty());
        }
        let moved = self.checkouts.dispatch(tx, cancelled).await?;
        if !sagas.is_empty() {
            brewline_failpoint::hit("order.withdrawal-before-commit");
        }
        Ok(Effect { moved, orders })
    }

    /// At most one piece of news for each order.
    async fn take(&self, tx: &Transaction<'_>, turn: Vec<Heard>) -> Result<(), Failure> {
        let ids: Vec<OrderId> = turn.iter().map(|heard| heard.order_id).collect();
        let mut orders = store::load_orders(tx, &ids).await?;
        let changes = turn.into_iter().map(|heard| {
            let order = orders.remove(&heard.order_id);
            self.change(order, heard)
        });
        let changes: Vec<Change> = changes.collect::<Result<_, Failure>>()?;
        self.store.append(tx, changes).await?;
        Ok(())
    }

    fn change(&self, order: Option<Order>, heard: Heard) -> Result<Change, Failure> {
        let Heard {
            order_id,
            news,
            cause,
        } = heard;
        let order =
            order.ok_or_else(|| Failure::poison(format!("there is no order {order_id}")))?;
        let forgotten = brewline_failpoint::planted("refusal-forgotten")
            && matches!(news, BaristaNews::Refused { .. });
        let events = if forgotten {
            Vec::new()
        } else {
            order::hear(&order, news, self.clock.now())
                .map_err(|rejection| Failure::poison(format!("order {order_id}: {rejection}")))?
        };
        Ok(Change::new(Some(order), events, cause))
    }

    /// Does what remains after the commit. Never blocks.
    pub fn committed(&self, effect: Effect) {
        self.checkouts.committed(effect.moved);
        self.waiters.changed(effect.orders);
    }
}

impl std::fmt::Debug for HearBarista {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HearBarista").finish_non_exhaustive()
    }
}

/// What a granted cancellation means for the checkout. One whose order was given up before is unwinding
/// already, and hears nothing new in it.
fn cancellation(heard: &Heard) -> Option<Happening> {
    let granted = heard.news == BaristaNews::Withdrawn;
    granted.then(|| Happening {
        cause: Some(heard.cause),
        ..Happening::cancelled(heard.order_id)
    })
}
