//! A row on its way to Kafka: its record, and the span it is sent under.

use brewline_kafka::Record;
use brewline_kernel::{Timestamp, TraceParent};
use brewline_telemetry::trace::names::attribute;
use brewline_telemetry::trace::{Span, names};
use bytes::Bytes;

use crate::cloud_events;

/// What is sent for a row.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    pub(super) record: Record,
    pub(super) occurred_at: Timestamp,
    /// The context that was written with the row.
    pub(super) traceparent: Option<TraceParent>,
}

// === impl Outgoing ===

impl Outgoing {
    /// The record, and the span from its event to Kafka's answer. Where the trace is recorded the record
    /// names that span as the parent of whatever consumers do.
    pub(super) fn traced(self) -> (Record, Span) {
        let mut record = self.record;
        let mut span = Span::of_sampled(&names::PUBLISH, self.traceparent).since(self.occurred_at);
        let Some(context) = span.context() else {
            return (record, span);
        };
        let topic = record.topic.clone();
        span.named(|| format!("publish {topic}"));
        span.set(attribute::MESSAGING_SYSTEM, || "kafka");
        span.set(attribute::MESSAGING_OPERATION_TYPE, || "send");
        span.set(attribute::MESSAGING_DESTINATION_NAME, || topic);
        for (header, key) in [
            (cloud_events::ID, attribute::MESSAGING_MESSAGE_ID),
            (cloud_events::TYPE, attribute::CLOUDEVENTS_EVENT_TYPE),
        ] {
            if let Some((_, value)) = record.headers.iter().find(|(name, _)| name == header) {
                span.set(key, || String::from_utf8_lossy(value).into_owned());
            }
        }
        let context = Bytes::from(context.to_string());
        for (name, value) in &mut record.headers {
            if name == cloud_events::TRACEPARENT {
                *value = context.clone();
            }
        }
        (record, span)
    }
}
