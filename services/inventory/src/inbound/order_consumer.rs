//! The orders' events, batch by batch.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use brewline_inventory_domain::{Lines, OrderEvent, ReservationEvent};
use brewline_kernel::{Clock, IdGenerator, OrderId, ProductId, StoreId};
use brewline_messaging::{
    ConsumerSpec, Delivery, Failure, Handler, NewEvent, Outbox, TopicKind, TopicSpec,
};
use brewline_postgres::Transaction;
use brewline_proto::order::v1 as wire;
use futures_util::try_join;
use prost::Message;

use crate::app::settle_orders::{Happened, Ordered, Settled, Unsettled, settle, wanted};
use crate::outbound::event_codec::reservation_event;
use crate::outbound::store::{self, LoadError};
use crate::signals;

/// Reads the orders' events.
pub const CONSUMER: ConsumerSpec = ConsumerSpec {
    name: "brewline.inventory.orders",
    topics: &[TopicSpec {
        name: "brewline.order.events.v1",
        kind: TopicKind::Events,
    }],
};

/// Moves reservations on.
pub struct OrderEvents {
    /// Where events go.
    pub outbox: Outbox,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Names events.
    pub ids: Arc<dyn IdGenerator>,
}

/// How often each outcome came about in a batch.
pub type Outcomes = BTreeMap<&'static str, u64>;

// === impl OrderEvents ===

impl Handler for OrderEvents {
    type Effect = Outcomes;

    async fn handle(&self, tx: &Transaction<'_>, batch: &[Delivery]) -> Result<Outcomes, Failure> {
        let batch = batch
            .iter()
            .filter_map(|delivery| ordered(delivery).transpose())
            .collect::<Result<Vec<_>, _>>()?;
        if batch.is_empty() {
            return Ok(Outcomes::new());
        }
        let settled = load_and_settle(tx, batch).await?;
        self.store(tx, &settled).await?;
        Ok(count(&settled.events))
    }

    fn committed(&self, outcomes: Outcomes) {
        for (outcome, times) in outcomes {
            signals::RESERVATIONS
                .get_or_create(&[("outcome", outcome)])
                .inc_by(times);
        }
    }
}

impl OrderEvents {
    /// One statement a table, all of them on their way before the first has answered.
    async fn store(&self, tx: &Transaction<'_>, settled: &Settled) -> Result<(), Failure> {
        let now = self.clock.now();
        let event = |happened: &Happened| reservation_event(self.ids.next(), now, happened);
        let events: Vec<NewEvent> = settled.events.iter().map(event).collect();
        try_join!(
            store::save_reservations(tx, &settled.reservations, now),
            store::save_stock(tx, &settled.stock),
            store::append_ledger(tx, &settled.ledger, now),
            self.outbox.append(tx, &events),
        )?;
        signals::BATCH.observe(u32::try_from(events.len()).unwrap_or(u32::MAX).into());
        Ok(())
    }
}

impl std::fmt::Debug for OrderEvents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OrderEvents").finish_non_exhaustive()
    }
}

async fn load_and_settle(tx: &Transaction<'_>, batch: Vec<Ordered>) -> Result<Settled, Failure> {
    let orders: BTreeSet<OrderId> = batch.iter().map(|ordered| ordered.order).collect();
    let stored = store::load_reservations(tx, &orders).await?;
    let wanted = wanted(&batch, &stored);
    let shelf = store::shelf(store::lock_stock(tx, &wanted).await?);
    Ok(settle(batch, &stored, shelf)?)
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Database(error) => Self::Database(error),
            LoadError::Corrupt(corrupt) => Self::poison(corrupt.to_string()),
        }
    }
}

impl From<Unsettled> for Failure {
    fn from(unsettled: Unsettled) -> Self {
        Self::poison(unsettled.to_string())
    }
}

fn count(events: &[Happened]) -> Outcomes {
    let mut outcomes = Outcomes::new();
    for happened in events {
        let outcome = match happened.event {
            ReservationEvent::Reserved { .. } => "reserved",
            ReservationEvent::Rejected { .. } => "rejected",
            ReservationEvent::Committed { .. } => "committed",
            ReservationEvent::Released { .. } => "released",
            ReservationEvent::Returned { .. } => "returned",
        };
        *outcomes.entry(outcome).or_default() += 1;
    }
    outcomes
}

/// What a delivery asks of the stock; nothing for the events that ask nothing.
fn ordered(delivery: &Delivery) -> Result<Option<Ordered>, Failure> {
    let envelope = &delivery.envelope;
    let event = match envelope.event_type.as_str() {
        "brewline.order.v1.OrderPlaced" => placed(&decode(delivery)?)?,
        "brewline.order.v1.OrderConfirmed" => OrderEvent::Confirmed,
        "brewline.order.v1.OrderRejected" => {
            let message: wire::OrderRejected = decode(delivery)?;
            let store = parse("store_id", &message.store_id)?;
            OrderEvent::Rejected { store }
        }
        "brewline.order.v1.OrderCancelled" => {
            let message: wire::OrderCancelled = decode(delivery)?;
            let store = parse("store_id", &message.store_id)?;
            OrderEvent::Cancelled { store }
        }
        _ => return Ok(None),
    };
    Ok(Some(Ordered {
        order: parse("subject", &envelope.subject)?,
        event,
        cause: envelope.id,
        correlation: envelope.correlation_id,
        traceparent: envelope.traceparent,
    }))
}

fn placed(message: &wire::OrderPlaced) -> Result<OrderEvent, Failure> {
    let store: StoreId = parse("store_id", &message.store_id)?;
    let line = |line: &wire::OrderLine| {
        let product: ProductId = parse("product_id", &line.product_id)?;
        Ok((product, line.quantity))
    };
    let lines = message
        .lines
        .iter()
        .map(line)
        .collect::<Result<Vec<_>, Failure>>()?;
    let lines = Lines::new(lines).map_err(|error| Failure::poison(error.to_string()))?;
    Ok(OrderEvent::Placed { store, lines })
}

fn decode<M: Message + Default>(delivery: &Delivery) -> Result<M, Failure> {
    M::decode(delivery.payload.as_ref()).map_err(|error| {
        let event_type = &delivery.envelope.event_type;
        Failure::poison(format!("decode {event_type}: {error}"))
    })
}

fn parse<T: std::str::FromStr>(field: &str, text: &str) -> Result<T, Failure>
where
    T::Err: std::fmt::Display,
{
    text.parse()
        .map_err(|error| Failure::poison(format!("{field}: {error}")))
}

#[cfg(test)]
mod tests {
    use brewline_test_support::golden_events;

    use super::*;

    fn released() -> impl Iterator<Item = Delivery> {
        golden_events("brewline.order.v1")
            .into_iter()
            .map(|(envelope, body)| Delivery {
                topic: "brewline.order.events.v1".into(),
                partition: 0,
                offset: 0,
                envelope,
                payload: body.into(),
            })
    }

    #[test]
    fn every_released_event_can_still_be_read() {
        let read = released().map(|delivery| ordered(&delivery).unwrap());
        assert_eq!(read.flatten().count(), 4, "events that ask something");
    }
}
