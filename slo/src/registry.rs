//! The registry of metrics, as far as dashboards and rules need it.

use serde::Deserialize;

/// The registry as it was committed.
const METRICS_YAML: &str = include_str!("../../telemetry/registry/metrics.yaml");

/// Names that Prometheus makes by itself, and what a cluster's own agents tell of volumes.
pub const FOREIGN: [&str; 5] = [
    "up",
    "ALERTS",
    "scrape_duration_seconds",
    "kubelet_volume_stats_available_bytes",
    "kubelet_volume_stats_capacity_bytes",
];

/// All metrics.
#[derive(Clone, Debug, Deserialize)]
pub struct Registry {
    /// In the registry's order.
    pub metrics: Vec<Metric>,
}

/// One metric.
#[derive(Clone, Debug, Deserialize)]
pub struct Metric {
    /// Its name as Prometheus scrapes it.
    pub name: String,
    /// What it is.
    pub instrument: Instrument,
    /// Its labels.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Who has it.
    pub services: Vec<String>,
    /// What it tells.
    pub brief: String,
}

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Instrument {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts values by their size.
    Histogram,
    /// Is always 1; its labels tell.
    Info,
}

// === impl Registry ===

impl Registry {
    /// The committed registry.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn committed() -> Result<Self, crate::InvalidPack> {
        serde_saphyr::from_str(METRICS_YAML)
            .map_err(|error| crate::InvalidPack::Unreadable(error.to_string()))
    }

    /// Whether a series of this name can be scraped.
    #[must_use]
    pub fn has(&self, series: &str) -> bool {
        self.metrics.iter().any(|metric| metric.scraped_as(series))
    }
}

// === impl Metric ===

impl Metric {
    /// Whether a series of this name is one of this metric's.
    #[must_use]
    pub fn scraped_as(&self, series: &str) -> bool {
        let Some(rest) = series.strip_prefix(&self.name) else {
            return false;
        };
        match self.instrument {
            Instrument::Histogram => ["_bucket", "_sum", "_count"].contains(&rest),
            Instrument::Counter | Instrument::Gauge | Instrument::Info => rest.is_empty(),
        }
    }
}
