//! Inventory's answers into checkouts.

use brewline_kernel::OrderId;
use brewline_messaging::{ConsumerSpec, Delivery, Failure, Handler, TopicKind, TopicSpec};
use brewline_order_domain::checkout::CheckoutEvent;
use brewline_postgres::Transaction;
use brewline_proto::inventory::v1 as wire;
use prost::Message as _;

use crate::app::checkout::{Checkouts, Happening, Moved};
use crate::outbound::store::Cause;

/// The topic.
pub const TOPIC: &str = "brewline.inventory.events.v1";

/// This consumer.
pub const SPEC: ConsumerSpec = ConsumerSpec {
    name: "brewline.order.stock",
    topics: &[TopicSpec {
        name: TOPIC,
        kind: TopicKind::Events,
    }],
};

const PACKAGE: &str = "brewline.inventory.v1.";
/// How many short lines are named in a rejection.
const SHORTAGES_NAMED_MAX: usize = 5;

/// Moves checkouts on.
#[derive(Debug)]
pub struct StockConsumer {
    checkouts: Checkouts,
}

// === impl StockConsumer ===

impl StockConsumer {
    /// Moves `checkouts` on.
    #[must_use]
    pub const fn new(checkouts: Checkouts) -> Self {
        Self { checkouts }
    }
}

impl Handler for StockConsumer {
    type Effect = Moved;

    async fn handle(&self, tx: &Transaction<'_>, batch: &[Delivery]) -> Result<Moved, Failure> {
        let mut happenings = Vec::with_capacity(batch.len());
        for delivery in batch {
            happenings.extend(happening(delivery)?);
        }
        Ok(self.checkouts.dispatch(tx, happenings).await?)
    }

    fn committed(&self, moved: Moved) {
        self.checkouts.committed(moved);
    }
}

/// What `delivery` means for a checkout. Adjustments of stock, and kinds that a later version of
/// inventory adds, mean nothing and are told by their name alone.
fn happening(delivery: &Delivery) -> Result<Option<Happening>, Failure> {
    let name = delivery.envelope.event_type.strip_prefix(PACKAGE);
    let event = match name {
        Some("StockReserved") => CheckoutEvent::StockReserved,
        Some("StockRejected") => CheckoutEvent::StockRejected {
            detail: shortages(delivery)?,
        },
        Some("StockCommitted") => CheckoutEvent::StockCommitted,
        Some("StockReleased") => CheckoutEvent::StockReleased,
        Some("StockReturned") => CheckoutEvent::StockReturned,
        _ => return Ok(None),
    };
    let subject = &delivery.envelope.subject;
    let order_id: OrderId = subject
        .parse()
        .map_err(|_| Failure::poison(format!("the subject `{subject}` is no order id")))?;
    Ok(Some(Happening {
        order_id,
        event,
        cause: Some(Cause::event(&delivery.envelope)),
    }))
}

fn shortages(delivery: &Delivery) -> Result<String, Failure> {
    let body = wire::StockRejected::decode(delivery.payload.clone())
        .map_err(|error| Failure::poison(format!("the body is not a StockRejected: {error}")))?;
    let named = body.shortages.iter().take(SHORTAGES_NAMED_MAX);
    let named: Vec<String> = named
        .map(|short| {
            format!(
                "{}: {} wanted, {} there",
                short.product_id, short.requested, short.available
            )
        })
        .collect();
    Ok(named.join("; "))
}

#[cfg(test)]
mod tests {
    use brewline_test_support::golden_events;

    use super::*;

    fn released() -> impl Iterator<Item = Delivery> {
        golden_events("brewline.inventory.v1")
            .into_iter()
            .map(|(envelope, body)| Delivery {
                topic: "brewline.inventory.events.v1".into(),
                partition: 0,
                offset: 0,
                envelope,
                payload: body.into(),
            })
    }

    #[test]
    fn every_released_event_can_still_be_read() {
        let read = released().map(|delivery| happening(&delivery).unwrap());
        assert_eq!(read.flatten().count(), 5, "events that ask something");
    }
}
