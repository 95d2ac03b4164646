//! Metrics, as typed families in one registry per process.
//!
//! A component declares its metrics once, in its `signals.rs`:
//!
//! ```
//! use std::sync::LazyLock;
//! use brewline_telemetry::metrics::{self, Counter};
//!
//! static PLACED: LazyLock<Counter> =
//!     LazyLock::new(|| metrics::register("brewline_orders_placed", "Orders accepted.", Counter::default()));
//!
//! PLACED.inc();
//! assert!(metrics::encode().contains("brewline_orders_placed_total 1"));
//! ```

use std::sync::{LazyLock, Mutex, PoisonError};

use prometheus_client::registry::{Metric, Registry};

pub use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
pub use prometheus_client::metrics::counter::Counter;
pub use prometheus_client::metrics::family::{Family, MetricConstructor};
pub use prometheus_client::metrics::gauge::Gauge;
pub use prometheus_client::metrics::histogram::Histogram;

/// A gauge of a fraction or of seconds.
pub type FloatGauge = Gauge<f64, std::sync::atomic::AtomicU64>;

/// Bounds for durations in seconds: from a fast in-memory answer to a deadline of an order.
const SECONDS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// Bounds for sizes of batches, in items.
const ITEMS: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

static REGISTRY: LazyLock<Mutex<Registry>> = LazyLock::new(Mutex::default);

/// Registers a metric under its name. A counter's name is given without `_total`, which the
/// text format appends.
pub fn register<M: Metric + Clone>(name: &str, help: &str, metric: M) -> M {
    let mut registry = REGISTRY.lock().unwrap_or_else(PoisonError::into_inner);
    // The library ends the help text with a full stop of its own.
    registry.register(name, help.trim_end_matches('.'), metric.clone());
    metric
}

/// A histogram of durations in seconds.
#[must_use]
pub fn histogram_seconds() -> Histogram {
    Histogram::new(SECONDS)
}

/// A histogram of batch sizes in items.
#[must_use]
pub fn histogram_items() -> Histogram {
    Histogram::new(ITEMS)
}

/// Everything registered, in the text format that Prometheus scrapes.
#[must_use]
pub fn encode() -> String {
    let mut text = String::new();
    let registry = REGISTRY.lock().unwrap_or_else(PoisonError::into_inner);
    // Writing to a string cannot fail; what was written before any failure is still of use.
    if prometheus_client::encoding::text::encode(&mut text, &registry).is_err() {
        tracing::error!("metrics could not be written as text");
    }
    text
}
