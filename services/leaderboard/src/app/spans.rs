//! The spans of records whose traces are recorded, with one for their batch.

use brewline_kafka::Received;
use brewline_kernel::TraceParent;
use brewline_telemetry::trace::names::attribute;
use brewline_telemetry::trace::{self, Span, names};

/// Boards are no group of Kafka's, since each replica reads everything; they have a name all the same.
const BOARDS: &str = "brewline.leaderboard.boards";

/// Begins them; they end when they are dropped. Nothing is looked at while nothing is recorded.
pub(super) fn begin(records: &[Received]) -> Vec<Span> {
    if !trace::is_on() {
        return Vec::new();
    }
    let mut sampled: Vec<(&Received, TraceParent)> = Vec::new();
    for record in records {
        let trace = traceparent(record).filter(|trace| trace.sampled);
        sampled.extend(trace.map(|trace| (record, trace)));
    }
    if sampled.is_empty() {
        return Vec::new();
    }
    let mut batch = Span::batch(&names::PROCESS_BATCH, true);
    batch.named(|| format!("process batch {BOARDS}"));
    batch.set(attribute::MESSAGING_CONSUMER_GROUP_NAME, || BOARDS);
    batch.set(attribute::MESSAGING_BATCH_MESSAGE_COUNT, || records.len());
    let spans = sampled.into_iter().map(|(record, trace)| {
        let mut span = Span::of_sampled(&names::PROCESS, Some(trace));
        span.link(&batch);
        span.named(|| format!("process {}", record.topic));
        span.set(attribute::MESSAGING_SYSTEM, || "kafka");
        span.set(attribute::MESSAGING_DESTINATION_NAME, || &*record.topic);
        span.set(attribute::MESSAGING_CONSUMER_GROUP_NAME, || BOARDS);
        span.set(attribute::MESSAGING_KAFKA_OFFSET, || record.offset);
        span
    });
    let mut spans: Vec<Span> = spans.collect();
    spans.push(batch);
    spans
}

fn traceparent(record: &Received) -> Option<TraceParent> {
    std::str::from_utf8(record.header("traceparent")?)
        .ok()?
        .parse()
        .ok()
}
