//! The customers' events: our own copy, and what an erasure takes with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use brewline_kernel::{Clock, IdGenerator};
use brewline_messaging::{
    ConsumerSpec, Delivery, Failure, Handler, NewEvent, Outbox, TopicKind, TopicSpec,
};
use brewline_postgres::Transaction;
use brewline_proto::customer::v1 as wire;
use prost::Message as _;

use super::order_consumer::Wake;
use crate::outbound::customers::{self, Customer};
use crate::outbound::deliveries;
use crate::outbound::event_codec::{self, Ended};

/// Reads the customers' events.
pub const CONSUMER: ConsumerSpec = ConsumerSpec {
    name: "brewline.notification.customers",
    topics: &[TopicSpec {
        name: CUSTOMERS,
        kind: TopicKind::Compacted,
    }],
};

/// The customers' topic.
pub const CUSTOMERS: &str = "brewline.customer.events.v1";

/// Keeps the copy of customers.
pub struct CustomerEvents {
    /// Where events go.
    pub outbox: Outbox,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Names events.
    pub ids: Arc<dyn IdGenerator>,
    /// Wakes those who send: somebody may have waited for a customer.
    pub wake: Wake,
}

// === impl CustomerEvents ===

impl Handler for CustomerEvents {
    type Effect = ();

    async fn handle(&self, tx: &Transaction<'_>, batch: &[Delivery]) -> Result<(), Failure> {
        let changed = newest(batch)?;
        customers::save(tx, &changed).await?;
        let gone = changed.iter().filter(|customer| customer.erased);
        let gone: Vec<&str> = gone.map(|customer| customer.customer_id.as_str()).collect();
        if gone.is_empty() {
            return Ok(());
        }
        self.forget(tx, &gone).await
    }

    fn committed(&self, (): ()) {
        self.wake.mails.notify_one();
    }
}

impl CustomerEvents {
    /// All that is left of the erased is their ids.
    async fn forget(&self, tx: &Transaction<'_>, gone: &[&str]) -> Result<(), Failure> {
        customers::forget_wishes(tx, gone).await?;
        customers::forget_letters(tx, CONSUMER.name, gone).await?;
        let dropped = deliveries::erased(tx, gone).await?;
        let how = Ended::Expired("the customer was erased".to_owned());
        let event = |told| event_codec::ended(self.ids.next(), self.clock.now(), told, &how);
        let events: Vec<NewEvent> = dropped.iter().map(event).collect();
        Ok(self.outbox.append(tx, &events).await?)
    }
}

impl std::fmt::Debug for CustomerEvents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CustomerEvents").finish_non_exhaustive()
    }
}

/// The newest state of each customer: a batch may hold several.
pub(super) fn newest(batch: &[Delivery]) -> Result<Vec<Customer>, Failure> {
    let mut changed: BTreeMap<String, Customer> = BTreeMap::new();
    for delivery in batch {
        if let Some(customer) = customer(delivery)? {
            changed.insert(customer.customer_id.clone(), customer);
        }
    }
    Ok(changed.into_values().collect())
}

fn customer(delivery: &Delivery) -> Result<Option<Customer>, Failure> {
    if delivery.envelope.event_type != "brewline.customer.v1.CustomerChanged" {
        return Ok(None);
    }
    let body = wire::CustomerChanged::decode(delivery.payload.as_ref())
        .map_err(|error| Failure::poison(format!("decode CustomerChanged: {error}")))?;
    let kept = |text: String| (!body.erased && !text.is_empty()).then_some(text);
    Ok(Some(Customer {
        name: kept(body.name),
        email: kept(body.email),
        locale: kept(body.locale),
        customer_id: body.customer_id,
        erased: body.erased,
    }))
}

#[cfg(test)]
mod tests {
    use brewline_test_support::golden_events;

    use super::*;

    fn released() -> impl Iterator<Item = Delivery> {
        golden_events("brewline.customer.v1")
            .into_iter()
            .map(|(envelope, body)| Delivery {
                topic: "brewline.customer.events.v1".into(),
                partition: 0,
                offset: 0,
                envelope,
                payload: body.into(),
            })
    }

    #[test]
    fn every_released_event_can_still_be_read() {
        let read = released().map(|delivery| customer(&delivery).unwrap());
        assert_eq!(read.flatten().count(), 1);
    }
}
