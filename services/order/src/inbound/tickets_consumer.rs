//! The barista's events into orders.

use brewline_messaging::{ConsumerSpec, Delivery, Failure, Handler, TopicKind, TopicSpec};
use brewline_order_domain::order::BaristaNews;
use brewline_postgres::Transaction;
use brewline_proto::fulfilment::v1 as wire;
use prost::Message;

use crate::app::hear_barista::{Effect, HearBarista, Heard};
use crate::outbound::store::Cause;

/// The topic.
pub const TOPIC: &str = "brewline.fulfilment.events.v1";

/// This consumer.
pub const SPEC: ConsumerSpec = ConsumerSpec {
    name: "brewline.order.tickets",
    topics: &[TopicSpec {
        name: TOPIC,
        kind: TopicKind::Events,
    }],
};

const PACKAGE: &str = "brewline.fulfilment.v1.";

/// Moves orders on.
#[derive(Debug)]
pub struct TicketsConsumer {
    orders: HearBarista,
}

// === impl TicketsConsumer ===

impl TicketsConsumer {
    /// Moves `orders` on.
    #[must_use]
    pub const fn new(orders: HearBarista) -> Self {
        Self { orders }
    }
}

impl Handler for TicketsConsumer {
    type Effect = Effect;

    async fn handle(&self, tx: &Transaction<'_>, batch: &[Delivery]) -> Result<Effect, Failure> {
        let mut heard = Vec::with_capacity(batch.len());
        for delivery in batch {
            heard.extend(read(delivery)?);
        }
        // Most of what a barista tells is about single tickets.
        if heard.is_empty() {
            return Ok(Effect::default());
        }
        Box::pin(self.orders.hear(tx, heard)).await
    }

    fn committed(&self, effect: Effect) {
        self.orders.committed(effect);
    }
}

/// What `delivery` tells of an order as a whole; single tickets, and kinds that a later version of the
/// barista adds, mean nothing here.
fn read(delivery: &Delivery) -> Result<Option<Heard>, Failure> {
    let news = match delivery.envelope.event_type.strip_prefix(PACKAGE) {
        Some("PreparationStarted") => BaristaNews::Started,
        Some("PreparationCompleted") => BaristaNews::Completed,
        Some("WithdrawalRefused") => BaristaNews::Refused {
            reason: body::<wire::WithdrawalRefused>(delivery)?.reason,
        },
        Some("TicketsWithdrawn") => match body::<wire::TicketsWithdrawn>(delivery)?.reason() {
            wire::WithdrawalReason::Customer => BaristaNews::Withdrawn,
            // An operator gave the order up before the barista was told.
            wire::WithdrawalReason::PaymentLost => return Ok(None),
            wire::WithdrawalReason::Unspecified => {
                return Err(Failure::poison("a withdrawal without a reason"));
            }
        },
        _ => return Ok(None),
    };
    let subject = &delivery.envelope.subject;
    let order_id = subject
        .parse()
        .map_err(|_| Failure::poison(format!("the subject `{subject}` is no order id")))?;
    Ok(Some(Heard {
        order_id,
        news,
        cause: Cause::event(&delivery.envelope),
    }))
}

fn body<M: Message + Default>(delivery: &Delivery) -> Result<M, Failure> {
    M::decode(delivery.payload.clone())
        .map_err(|error| Failure::poison(format!("the body cannot be read: {error}")))
}

#[cfg(test)]
mod tests {
    use brewline_test_support::golden_events;

    use super::*;

    fn released() -> impl Iterator<Item = Delivery> {
        golden_events("brewline.fulfilment.v1")
            .into_iter()
            .map(|(envelope, body)| Delivery {
                topic: "brewline.fulfilment.events.v1".into(),
                partition: 0,
                offset: 0,
                envelope,
                payload: body.into(),
            })
    }

    #[test]
    fn every_released_event_can_still_be_read() {
        let read = released().map(|delivery| read(&delivery).unwrap());
        assert_eq!(read.flatten().count(), 4, "events that ask something");
    }
}
