//! What became of deliveries, as events on the wire.

use brewline_kernel::{Envelope, Timestamp};
use brewline_messaging::NewEvent;
use brewline_notification_domain::{Channel, Kind};
use brewline_proto::notification::v1 as wire;
use prost::Message;
use uuid::Uuid;

use super::deliveries::Told;

/// Where deliveries are told.
pub const TOPIC: &str = "brewline.notification.events.v1";

/// How a delivery ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The mail server took it.
    Sent,
    /// It lost its point.
    Expired(String),
    /// It was refused for good.
    Failed(String),
}

/// `NotificationSent` and its kin. Subject: the delivery's id; a delivery ends once.
#[must_use]
pub fn ended(id: Uuid, at: Timestamp, told: &Told, how: &Ended) -> NewEvent {
    let (name, payload) = encode(told, how);
    NewEvent {
        topic: TOPIC,
        aggregate_type: "delivery",
        envelope: Envelope {
            id,
            event_type: format!("brewline.notification.v1.{name}"),
            source: crate::SOURCE.to_owned(),
            subject: told.id.to_string(),
            version: 1,
            time: at,
            correlation_id: told.because.correlation,
            causation_id: Some(told.because.cause),
            traceparent: told.because.traceparent,
        },
        payload: Some(payload.into()),
    }
}

fn encode(told: &Told, how: &Ended) -> (&'static str, Vec<u8>) {
    let (delivery_id, order_id) = (told.id.to_string(), told.order.to_string());
    let (kind, channel) = (kind(told.kind).into(), channel(told.channel).into());
    let attempts = told.attempts;
    match how {
        Ended::Sent => {
            let message = wire::NotificationSent {
                delivery_id,
                order_id,
                kind,
                channel,
                attempts,
            };
            ("NotificationSent", message.encode_to_vec())
        }
        Ended::Expired(reason) => {
            let message = wire::NotificationExpired {
                delivery_id,
                order_id,
                kind,
                channel,
                reason: reason.clone(),
            };
            ("NotificationExpired", message.encode_to_vec())
        }
        Ended::Failed(reason) => {
            let message = wire::NotificationFailed {
                delivery_id,
                order_id,
                kind,
                channel,
                attempts,
                reason: reason.clone(),
            };
            ("NotificationFailed", message.encode_to_vec())
        }
    }
}

/// A kind on the wire.
#[must_use]
pub const fn kind(kind: Kind) -> wire::Kind {
    match kind {
        Kind::Confirmed => wire::Kind::Confirmed,
        Kind::Rejected => wire::Kind::Rejected,
        Kind::Ready => wire::Kind::Ready,
        Kind::Cancelled => wire::Kind::Cancelled,
    }
}

/// A channel on the wire.
#[must_use]
pub const fn channel(channel: Channel) -> wire::Channel {
    match channel {
        Channel::Email => wire::Channel::Email,
    }
}
