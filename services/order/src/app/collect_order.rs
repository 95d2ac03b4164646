//! Hand an order to its customer.

use brewline_kernel::OrderId;
use brewline_order_domain::order::{self, OrderCommand};
use brewline_proto::order::v1 as wire;

use crate::Parts;
use crate::app::change_order::{Error, Tries};
use crate::outbound::order_view;
use crate::outbound::store::{self, Cause, Change};

/// Collects an order that is ready; one that is collected stays so. Answers the order after it.
///
/// # Errors
/// When there is none, its status does not allow it, or it cannot be stored.
pub async fn collect(parts: &Parts, order_id: OrderId) -> Result<wire::Order, Error> {
    let mut tries = Tries::default();
    loop {
        match attempt(parts, order_id).await {
            Err(Error::Database(error)) if tries.again(&error) => {}
            done => return done,
        }
    }
}

async fn attempt(parts: &Parts, order_id: OrderId) -> Result<wire::Order, Error> {
    let mut connection = parts.pool.get().await?;
    let tx = connection.transaction().await?;
    let before = store::load_orders(&tx, &[order_id])
        .await?
        .remove(&order_id);
    let events = order::decide(before.as_ref(), OrderCommand::Collect, parts.clock.now())?;
    if !events.is_empty() {
        let change = Change::new(before, events, Cause::request(order_id, None));
        parts.store.append(&tx, vec![change]).await?;
    }
    tx.commit().await?;
    parts.waiters.changed([order_id]);
    let order = order_view::get(&connection, order_id).await?;
    order.ok_or(Error::NotFound)
}
