//! Traces: which operation led to which, over all services and the log between them.
//!
//! A span knows its parent from a [`TraceParent`], which travels in gRPC metadata, HTTP headers, outbox
//! rows and record headers. Whether a trace is recorded is decided once, at the edge
//! ([`sample`]); everyone after that reads it from the parent. A span of an order that is not
//! recorded costs two reads of the clock, or nothing at all while no collector is set; should it fail or
//! take long, it is recorded all the same, alone.
//!
//! ```
//! use brewline_telemetry::trace::{Span, names};
//!
//! let mut span = Span::start(&names::RPC_SERVER, None);
//! span.named(|| "brewline.order.v1.OrderService/PlaceOrder".to_owned());
//! span.set(names::attribute::RPC_METHOD, || "brewline.order.v1.OrderService/PlaceOrder");
//! let for_whom_it_calls = span.context();
//! drop(span); // ends it
//! assert_eq!(for_whom_it_calls, None, "no collector is set");
//! ```

mod export;
pub mod names;
mod settings;
mod span;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use brewline_kernel::TraceParent;
use brewline_kernel::system::random;

use crate::otlp::SpanKind;

pub use self::export::{Endpoint, Exporter, InvalidEndpoint};
pub use self::settings::{InvalidRatio, Ratio, Settings};
pub use self::span::{AttributeValue, Span};

/// A span's name in the registry, and which side of what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    id: &'static str,
    kind: SpanKind,
}

/// What every span of this process asks.
#[derive(Debug)]
struct Tracer {
    ratio: Ratio,
    slow_after: Duration,
    queue: export::Queue,
}

/// Beside the tracer, since this is read for every order.
static ON: AtomicBool = AtomicBool::new(false);
static TRACER: OnceLock<Tracer> = OnceLock::new();

tokio::task_local! {
    static CURRENT: TraceParent;
}

/// Starts to record spans, if a collector is set. What is yielded sends them; it has to be run.
#[must_use]
pub fn start(settings: Settings, service: &'static str, instance: &str) -> Option<Exporter> {
    let endpoint = settings.endpoint?;
    let (queue, exporter) = export::new(endpoint, settings.queue_spans_max, service, instance);
    let tracer = Tracer {
        ratio: settings.ratio,
        slow_after: settings.slow_after,
        queue,
    };
    // A second tracer in one process (tests) changes nothing: the first one stays.
    TRACER.set(tracer).ok()?;
    ON.store(true, Ordering::Release);
    Some(exporter)
}

/// Whether spans are recorded at all.
#[must_use]
pub fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// Whether a new trace is to be recorded.
#[must_use]
pub fn sample(trace_id: u128) -> bool {
    tracer().is_some_and(|tracer| tracer.ratio.takes(trace_id))
}

/// A position of its own in the caller's trace, or the first of a new one, about which is decided here
/// whether it is recorded.
#[must_use]
pub fn enter(caller: Option<TraceParent>) -> TraceParent {
    let span_id = random().max(1);
    if let Some(caller) = caller {
        return TraceParent { span_id, ..caller };
    }
    // An id of 0 is no id; one in 2^128 draws is.
    let trace_id = (u128::from(random()) << 64 | u128::from(random())).max(1);
    TraceParent {
        trace_id,
        span_id,
        sampled: sample(trace_id),
    }
}

/// Runs `work` with `trace` on each of its log lines.
pub async fn within<F: Future>(trace: TraceParent, work: F) -> F::Output {
    CURRENT.scope(trace, work).await
}

/// The trace that the running task works for, as far as it was told by [`within`].
#[must_use]
pub fn current() -> Option<TraceParent> {
    CURRENT.try_with(|trace| *trace).ok()
}

fn tracer() -> Option<&'static Tracer> {
    if is_on() { TRACER.get() } else { None }
}

// === impl Name ===

impl Name {
    const fn new(id: &'static str, kind: SpanKind) -> Self {
        Self { id, kind }
    }

    /// As the registry has it.
    #[must_use]
    pub const fn id(&self) -> &'static str {
        self.id
    }
}
