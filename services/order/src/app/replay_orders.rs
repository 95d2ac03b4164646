//! Orders made anew from their own events, for a view that is rebuilt: the statements that wrote them the
//! first time, without telling anybody.

use std::collections::BTreeMap;

use brewline_kernel::OrderId;
use brewline_kernel::system::SystemIds;
use brewline_messaging::{Delivery, Failure, Handler};
use brewline_order_domain::order::OrderEvent;
use brewline_postgres::Transaction;

use crate::outbound::event_codec;
use crate::outbound::store::{self, Cause, Change};

/// Writes the orders that events tell of into whatever tables the transaction's names mean.
#[derive(Debug)]
pub struct ReplayOrders;

// === impl ReplayOrders ===

impl Handler for ReplayOrders {
    type Effect = ();

    async fn handle(&self, tx: &Transaction<'_>, batch: &[Delivery]) -> Result<(), Failure> {
        let mut told: BTreeMap<OrderId, (Vec<OrderEvent>, Cause)> = BTreeMap::new();
        for delivery in batch {
            let (order_id, event) = read(delivery)?;
            let cause = || (Vec::new(), Cause::event(&delivery.envelope));
            told.entry(order_id).or_insert_with(cause).0.push(event);
        }
        let ids: Vec<OrderId> = told.keys().copied().collect();
        let mut before = store::load_orders(tx, &ids).await?;
        let change =
            |(order_id, (events, cause))| Change::new(before.remove(&order_id), events, cause);
        let changes = told.into_iter().map(change).collect();
        Ok(store::replay(tx, changes, &SystemIds).await?)
    }

    fn committed(&self, (): ()) {}
}

fn read(delivery: &Delivery) -> Result<(OrderId, OrderEvent), Failure> {
    let envelope = &delivery.envelope;
    let order_id = envelope
        .subject
        .parse()
        .map_err(|error| Failure::poison(format!("subject: {error}")))?;
    let event = event_codec::decode(&envelope.event_type, &delivery.payload, envelope.time);
    let event = event.map_err(|error| Failure::poison(error.to_string()))?;
    Ok((order_id, event))
}
