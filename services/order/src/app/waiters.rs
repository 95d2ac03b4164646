//! Who waits for an order to change, in this process.
//!
//! A shortcut only: the commit may happen in another replica, so whoever waits also reads again from
//! time to time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use brewline_kernel::OrderId;
use tokio::sync::watch;

/// The orders that are waited for.
#[derive(Debug, Default)]
pub struct Waiters {
    orders: Mutex<HashMap<OrderId, watch::Sender<()>>>,
}

/// One who waits for one order. Register it before reading the order: a change after the registration
/// is then never missed.
#[derive(Debug)]
pub struct Waiter {
    order_id: OrderId,
    waiters: Arc<Waiters>,
    // Present until dropped: it must go before the sender's receivers are counted.
    changes: Option<watch::Receiver<()>>,
}

// === impl Waiters ===

impl Waiters {
    /// Registers one who waits for `order_id`.
    #[must_use]
    pub fn register(self: &Arc<Self>, order_id: OrderId) -> Waiter {
        let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = orders
            .entry(order_id)
            .or_insert_with(|| watch::channel(()).0);
        Waiter {
            order_id,
            waiters: Arc::clone(self),
            changes: Some(sender.subscribe()),
        }
    }

    /// Wakes those who wait for these orders. Call it after the commit that changed them.
    pub fn changed(&self, order_ids: impl IntoIterator<Item = OrderId>) {
        let orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
        for order_id in order_ids {
            if let Some(sender) = orders.get(&order_id) {
                sender.send_replace(());
            }
        }
    }
}

// === impl Waiter ===

impl Waiter {
    /// Ends when the order has changed since the registration or the last call.
    pub async fn changed(&mut self) {
        let Some(changes) = self.changes.as_mut() else {
            return;
        };
        // The sender lives as long as any waiter does.
        if changes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.changes = None;
        let mut orders = self
            .waiters
            .orders
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let unused = |sender: &watch::Sender<()>| sender.receiver_count() == 0;
        if orders.get(&self.order_id).is_some_and(unused) {
            orders.remove(&self.order_id);
        }
    }
}
