//! One event, one line of JSON. The trace of the running task is on it, so that whoever finds the line
//! finds the order's other lines and spans.

use std::fmt;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::trace;

/// Writes lines.
#[derive(Debug)]
pub(super) struct Lines {
    service: &'static str,
    instance: String,
}

/// Collects an event's fields.
struct Fields<'a>(&'a mut Map<String, Value>);

// === impl Lines ===

impl Lines {
    pub(super) fn new(service: &'static str, instance: &str) -> Self {
        Self {
            service,
            instance: instance.to_owned(),
        }
    }

    fn line(&self, event: &Event<'_>) -> Map<String, Value> {
        let mut line = Map::new();
        let mut time = String::new();
        // Writing to a string does not fail; a line without its time would still be of use.
        if SystemTime.format_time(&mut Writer::new(&mut time)).is_ok() {
            line.insert("timestamp".to_owned(), time.into());
        }
        let level = event.metadata().level().as_str();
        line.insert("level".to_owned(), level.into());
        line.insert("service".to_owned(), self.service.into());
        line.insert("instance".to_owned(), self.instance.as_str().into());
        line.insert("target".to_owned(), event.metadata().target().into());
        if let Some(trace) = trace::current() {
            let trace_id = format!("{:032x}", trace.trace_id);
            line.insert("trace_id".to_owned(), trace_id.into());
            let span_id = format!("{:016x}", trace.span_id);
            line.insert("span_id".to_owned(), span_id.into());
        }
        event.record(&mut Fields(&mut line));
        line
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        super::count(*event.metadata().level());
        let line = serde_json::to_string(&self.line(event)).map_err(|_| fmt::Error)?;
        writeln!(writer, "{line}")
    }
}

// === impl Fields ===

impl Visit for Fields<'_> {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        self.0.insert(field.name().to_owned(), text.into());
    }
}
