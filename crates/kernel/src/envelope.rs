use uuid::Uuid;

use crate::{Timestamp, TraceParent};

/// What is said about an event beside its body: the attributes of `CloudEvents` 1.0 and brewline's
/// extensions to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Names this event; the same wherever and however often it is published.
    pub id: Uuid,
    /// The full name of the message in the body, such as `brewline.order.v1.OrderPlaced`.
    pub event_type: String,
    /// The service that wrote it, such as `brewline/order`.
    pub source: String,
    /// The aggregate it is about: the record's key.
    pub subject: String,
    /// The aggregate's version after it; the first is 1.
    pub version: i64,
    /// When it happened.
    pub time: Timestamp,
    /// Shared by everything that one request set in motion.
    pub correlation_id: Uuid,
    /// The event that led to this one; none when a request did.
    pub causation_id: Option<Uuid>,
    /// The trace it belongs to.
    pub traceparent: Option<TraceParent>,
}
