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

use std::fmt;
use std::sync::{LazyLock, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
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

/// What is looked up when somebody scrapes, instead of being counted: it must be cheap, and must not
/// wait for anything.
pub trait Scraped: fmt::Debug + Send + Sync + 'static {
    /// Tells each metric once.
    ///
    /// # Errors
    /// When `tell` cannot be written to.
    fn tell(&self, tell: &mut Tell<'_>) -> fmt::Result;
}

/// Where scraped values are told.
#[derive(Debug)]
pub struct Tell<'a>(DescriptorEncoder<'a>);

#[derive(Debug)]
struct AtScrape<S>(S);

/// Has `scraped` asked at each scrape.
pub fn at_scrape(scraped: impl Scraped) {
    let mut registry = REGISTRY.lock().unwrap_or_else(PoisonError::into_inner);
    registry.register_collector(Box::new(AtScrape(scraped)));
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

// === impl Tell ===

impl Tell<'_> {
    /// A gauge with a value for each set of labels.
    ///
    /// # Errors
    /// When the text cannot be written.
    pub fn gauge<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: &[([(&'static str, &str); N], f64)],
    ) -> fmt::Result {
        let mut metric = self
            .0
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in values {
            ConstGauge::new(*value).encode(metric.encode_family(labels)?)?;
        }
        Ok(())
    }

    /// A counter without labels; its name is given without `_total`.
    ///
    /// # Errors
    /// When the text cannot be written.
    pub fn counter(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        let metric = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(value).encode(metric)
    }

    /// Labels that never change; the name is given without `_info`.
    ///
    /// # Errors
    /// When the text cannot be written.
    pub fn info<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        labels: &[(&'static str, &str); N],
    ) -> fmt::Result {
        let mut metric = self
            .0
            .encode_descriptor(name, help, None, MetricType::Info)?;
        metric.encode_info(labels)
    }
}

impl<S: Scraped> Collector for AtScrape<S> {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.0.tell(&mut Tell(encoder))
    }
}
