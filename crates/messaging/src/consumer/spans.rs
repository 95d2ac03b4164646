//! The spans of a batch: one of its own, and one in the trace of each record whose trace is recorded.

use std::time::{Duration, Instant};

use brewline_telemetry::trace::names::attribute;
use brewline_telemetry::trace::{self, Span, names};

use crate::Delivery;

/// Spans of records that are being applied together; they end when this is dropped.
#[derive(Debug)]
pub(super) struct Spans {
    batch: Span,
    records: Vec<Span>,
    begun: Instant,
}

// === impl Spans ===

impl Spans {
    /// Begins them. From here on each delivery's context is its own span, so that whatever its handling
    /// leads to becomes a part of it.
    pub(super) fn begin(consumer: &'static str, deliveries: &mut [Delivery]) -> Self {
        let sampled = trace::is_on() && deliveries.iter().any(is_sampled);
        let mut batch = Span::batch(&names::PROCESS_BATCH, sampled);
        describe_batch(&mut batch, consumer, deliveries.len());
        let mut records = Vec::new();
        if sampled {
            for delivery in deliveries
                .iter_mut()
                .filter(|delivery| is_sampled(delivery))
            {
                let mut span = Span::of_sampled(&names::PROCESS, delivery.envelope.traceparent);
                describe(&mut span, consumer, delivery);
                span.link(&batch);
                delivery.envelope.traceparent = span.context();
                records.push(span);
            }
        }
        Self {
            batch,
            records,
            begun: Instant::now(),
        }
    }

    pub(super) fn took(&self) -> Duration {
        self.begun.elapsed()
    }

    /// All ended so.
    pub(super) fn outcome(&mut self, outcome: &'static str) {
        for span in &mut self.records {
            span.set(attribute::OUTCOME, || outcome);
        }
    }

    /// None of it stays.
    pub(super) fn fail(&mut self, class: &'static str, consumer: &'static str, records: usize) {
        self.batch.fail(class);
        describe_batch(&mut self.batch, consumer, records);
        for span in &mut self.records {
            span.fail(class);
        }
    }
}

/// A record is given up: recorded, whether its trace is or not.
pub(super) fn given_up(consumer: &'static str, delivery: &Delivery) -> Span {
    let mut span = Span::start(&names::PROCESS, delivery.envelope.traceparent);
    span.fail("dead-letter");
    describe(&mut span, consumer, delivery);
    span.set(attribute::OUTCOME, || "dead-letter");
    span
}

fn is_sampled(delivery: &Delivery) -> bool {
    delivery
        .envelope
        .traceparent
        .is_some_and(|trace| trace.sampled)
}

fn describe_batch(span: &mut Span, consumer: &'static str, records: usize) {
    span.named(|| format!("process batch {consumer}"));
    span.set(attribute::MESSAGING_SYSTEM, || "kafka");
    span.set(attribute::MESSAGING_OPERATION_TYPE, || "process");
    span.set(attribute::MESSAGING_CONSUMER_GROUP_NAME, || consumer);
    span.set(attribute::MESSAGING_BATCH_MESSAGE_COUNT, || records);
}

fn describe(span: &mut Span, consumer: &'static str, delivery: &Delivery) {
    let (topic, envelope) = (&*delivery.topic, &delivery.envelope);
    span.named(|| format!("process {topic}"));
    span.set(attribute::MESSAGING_SYSTEM, || "kafka");
    span.set(attribute::MESSAGING_OPERATION_TYPE, || "process");
    span.set(attribute::MESSAGING_DESTINATION_NAME, || topic);
    span.set(attribute::MESSAGING_CONSUMER_GROUP_NAME, || consumer);
    span.set(attribute::MESSAGING_DESTINATION_PARTITION_ID, || {
        delivery.partition.to_string()
    });
    span.set(attribute::MESSAGING_KAFKA_OFFSET, || delivery.offset);
    span.set(attribute::MESSAGING_MESSAGE_ID, || envelope.id.to_string());
    span.set(attribute::CLOUDEVENTS_EVENT_TYPE, || {
        envelope.event_type.clone()
    });
}
