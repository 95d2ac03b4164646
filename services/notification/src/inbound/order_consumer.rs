//! The orders' events, batch by batch: messages to customers, and the log that is shown outside.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use brewline_failpoint::planted;
use brewline_kernel::{Clock, IdGenerator};
use brewline_messaging::{
    ConsumerSpec, Delivery, Failure, Handler, NewEvent, Outbox, TopicKind, TopicSpec,
};
use brewline_notification_domain::{Channel, Kind, hook_type};
use brewline_postgres::Transaction;
use brewline_proto::order::v1 as wire;
use prost::Message;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::outbound::customers::{self, Standing};
use crate::outbound::deliveries::{self, Because, NewDelivery};
use crate::outbound::event_codec::{self, Ended};
use crate::outbound::event_log::{self, OutsideEvent};

/// Reads the orders' events.
pub const CONSUMER: ConsumerSpec = ConsumerSpec {
    name: "brewline.notification.orders",
    topics: &[TopicSpec {
        name: ORDERS,
        kind: TopicKind::Events,
    }],
};

/// The orders' topic.
pub const ORDERS: &str = "brewline.order.events.v1";

/// Turns orders' events into messages.
pub struct OrderEvents {
    /// Where events go.
    pub outbox: Outbox,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Names events and deliveries.
    pub ids: Arc<dyn IdGenerator>,
    /// How long a message waits for its customer.
    pub customer_wait: Duration,
    /// Wakes those who send.
    pub wake: Wake,
}

/// Wakes the workers of this process once there is work. A hint: they look by themselves as well.
#[derive(Clone, Debug, Default)]
pub struct Wake {
    /// Of those who send mails.
    pub mails: Arc<Notify>,
    /// Of those who call webhooks.
    pub calls: Arc<Notify>,
}

/// Whom there is work for after a batch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Work {
    mails: bool,
    calls: bool,
}

/// An event that somebody is told.
#[derive(Debug)]
struct Notice {
    kind: Kind,
    customer: String,
    detail: String,
}

/// The fields every event of an order has; each message numbers them the same.
#[derive(Clone, PartialEq, Message)]
struct Head {
    #[prost(string, tag = "2")]
    store_id: String,
    #[prost(string, tag = "3")]
    customer_id: String,
}

// === impl OrderEvents ===

impl Handler for OrderEvents {
    type Effect = Work;

    async fn handle(&self, tx: &Transaction<'_>, batch: &[Delivery]) -> Result<Work, Failure> {
        let (mut new, mut log) = (Vec::new(), Vec::new());
        let (mut notices, mut collected) = (Vec::new(), Vec::new());
        for delivery in batch {
            let order = order_of(delivery)?;
            if delivery.envelope.event_type == "brewline.order.v1.OrderCollected" {
                collected.push(order);
            }
            notices.extend(notice(delivery)?.map(|notice| (order, delivery, notice)));
            log.extend(outside(delivery, order)?);
        }
        let standing = standing(tx, &notices).await?;
        for (order, delivery, notice) in notices {
            new.extend(self.wanted(&standing, order, delivery, notice));
        }
        deliveries::insert(tx, &new, self.customer_wait).await?;
        let expired = deliveries::collected(tx, &collected).await?;
        self.tell(tx, &expired).await?;
        event_log::append(tx, &log).await?;
        Ok(Work {
            mails: !new.is_empty(),
            calls: !log.is_empty(),
        })
    }

    fn committed(&self, work: Work) {
        if work.mails {
            self.wake.mails.notify_one();
        }
        if work.calls {
            self.wake.calls.notify_one();
        }
    }
}

impl OrderEvents {
    /// The delivery of a notice, when its customer wants it or is not known yet.
    fn wanted(
        &self,
        standing: &BTreeMap<String, Standing>,
        order: Uuid,
        delivery: &Delivery,
        notice: Notice,
    ) -> Option<NewDelivery> {
        let customer = standing.get(&notice.customer)?;
        let wants = customer.wishes.include(notice.kind, Channel::Email);
        if customer.erased || !wants || forgotten(order) {
            return None;
        }
        let envelope = &delivery.envelope;
        Some(NewDelivery {
            id: self.ids.next(),
            order,
            customer: notice.customer,
            kind: notice.kind,
            channel: Channel::Email,
            waits: !customer.known,
            happened_at: envelope.time,
            because: Because {
                cause: envelope.id,
                correlation: envelope.correlation_id,
                traceparent: envelope.traceparent,
            },
            detail: notice.detail,
        })
    }

    async fn tell(
        &self,
        tx: &Transaction<'_>,
        expired: &[deliveries::Told],
    ) -> Result<(), Failure> {
        let how = Ended::Expired("the order was collected".to_owned());
        let event = |told| event_codec::ended(self.ids.next(), self.clock.now(), told, &how);
        let events: Vec<NewEvent> = expired.iter().map(event).collect();
        Ok(self.outbox.append(tx, &events).await?)
    }
}

impl std::fmt::Debug for OrderEvents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OrderEvents").finish_non_exhaustive()
    }
}

/// Planted: one order in eight is told nothing.
fn forgotten(order: Uuid) -> bool {
    planted("mail-forgotten") && order.as_u128() & 7 == 0
}

async fn standing(
    tx: &Transaction<'_>,
    notices: &[(Uuid, &Delivery, Notice)],
) -> Result<BTreeMap<String, Standing>, Failure> {
    let customers: BTreeSet<&str> = notices.iter().map(|(.., n)| n.customer.as_str()).collect();
    if customers.is_empty() {
        return Ok(BTreeMap::new());
    }
    let customers: Vec<&str> = customers.into_iter().collect();
    Ok(customers::standing(tx, &customers).await?)
}

fn order_of(delivery: &Delivery) -> Result<Uuid, Failure> {
    let subject = &delivery.envelope.subject;
    Uuid::try_parse(subject).map_err(|error| Failure::poison(format!("subject: {error}")))
}

fn notice(delivery: &Delivery) -> Result<Option<Notice>, Failure> {
    let Some(kind) = Kind::of_event(&delivery.envelope.event_type) else {
        return Ok(None);
    };
    let detail = match kind {
        Kind::Rejected => decode::<wire::OrderRejected>(delivery)?.detail,
        // What a customer wrote when cancelling they know themselves.
        Kind::Confirmed | Kind::Ready | Kind::Cancelled => String::new(),
    };
    Ok(Some(Notice {
        kind,
        customer: decode::<Head>(delivery)?.customer_id,
        detail,
    }))
}

fn outside(delivery: &Delivery, order: Uuid) -> Result<Option<OutsideEvent>, Failure> {
    let envelope = &delivery.envelope;
    let Some(kind) = hook_type(&envelope.event_type) else {
        return Ok(None);
    };
    Ok(Some(OutsideEvent {
        id: envelope.id,
        order,
        kind: kind.to_owned(),
        store: decode::<Head>(delivery)?.store_id,
        at: envelope.time,
        payload: delivery.payload.clone(),
    }))
}

fn decode<M: Message + Default>(delivery: &Delivery) -> Result<M, Failure> {
    M::decode(delivery.payload.as_ref()).map_err(|error| {
        let event_type = &delivery.envelope.event_type;
        Failure::poison(format!("decode {event_type}: {error}"))
    })
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
        let (mut notices, mut told) = (0, 0);
        for delivery in released() {
            notices += usize::from(notice(&delivery).unwrap().is_some());
            told += usize::from(outside(&delivery, Uuid::nil()).unwrap().is_some());
        }
        assert_eq!((notices, told), (4, 6), "mails and webhooks");
    }
}
