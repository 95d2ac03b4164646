//! Dashboards of Grafana, made from code: each query is a value that tests can read.

mod journey;
mod json;
mod messages;
mod panel;
mod platform;
mod promises;
mod sagas;
mod service;

pub use panel::{Dashboard, Kind, Panel, Query, Row, Unit};

/// All dashboards.
#[must_use]
pub fn all() -> Vec<Dashboard> {
    let mut all = vec![
        platform::dashboard(),
        journey::dashboard(),
        messages::dashboard(),
        sagas::dashboard(),
        promises::dashboard(),
    ];
    all.extend(service::dashboards());
    all
}

/// A query as Prometheus takes it, with Grafana's own window filled in.
#[must_use]
pub fn runnable(expr: &str, window: &str) -> String {
    expr.replace("$__rate_interval", window)
}
