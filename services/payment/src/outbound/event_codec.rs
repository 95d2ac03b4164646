//! Events as they go to the log.

use brewline_kernel::{Envelope, Money, OrderId, Timestamp, TraceParent};
use brewline_messaging::NewEvent;
use brewline_payment_domain::Event;
use brewline_proto::money::v1 as money;
use brewline_proto::payment::v1 as proto;
use prost::Message as _;
use uuid::Uuid;

/// The topic that only this service writes.
pub const TOPIC: &str = "brewline.payment.events.v1";

/// What the log is told about an event, beside what happened.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) id: Uuid,
    pub(crate) order_id: OrderId,
    pub(crate) version: i64,
    pub(crate) amount: Money,
    pub(crate) authorisation_id: String,
    pub(crate) at: Timestamp,
    pub(crate) traceparent: Option<TraceParent>,
}

/// An event's name and body on the wire.
pub(crate) fn encode(event: &Event, told: Told) -> NewEvent {
    let order_id = told.order_id.to_string();
    let amount = Some(money_to_wire(told.amount));
    let authorisation_id = told.authorisation_id;
    let (name, body) = match event {
        Event::Authorised => (
            "PaymentAuthorised",
            proto::PaymentAuthorised {
                order_id,
                amount,
                authorisation_id,
            }
            .encode_to_vec(),
        ),
        Event::Declined { code } => (
            "PaymentDeclined",
            proto::PaymentDeclined {
                order_id,
                amount,
                decline_code: code.clone(),
            }
            .encode_to_vec(),
        ),
        Event::Captured => (
            "PaymentCaptured",
            proto::PaymentCaptured {
                order_id,
                amount,
                authorisation_id,
            }
            .encode_to_vec(),
        ),
        Event::Voided => (
            "PaymentVoided",
            proto::PaymentVoided {
                order_id,
                amount,
                authorisation_id,
            }
            .encode_to_vec(),
        ),
        Event::Refunded => (
            "PaymentRefunded",
            proto::PaymentRefunded {
                order_id,
                amount,
                authorisation_id,
            }
            .encode_to_vec(),
        ),
    };
    NewEvent {
        topic: TOPIC,
        aggregate_type: "payment",
        envelope: Envelope {
            id: told.id,
            event_type: format!("brewline.payment.v1.{name}"),
            source: "brewline/payment".to_owned(),
            subject: told.order_id.to_string(),
            version: told.version,
            time: told.at,
            // All that happens to an order's money was set in motion by the order.
            correlation_id: told.order_id.as_uuid(),
            causation_id: None,
            traceparent: told.traceparent,
        },
        payload: Some(body.into()),
    }
}

fn money_to_wire(amount: Money) -> money::Money {
    money::Money {
        amount_minor: amount.minor,
        currency: amount.currency.to_string(),
    }
}
