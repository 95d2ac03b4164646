use crate::registry::{Instrument, Metric, Registry};

use super::panel::{Dashboard, Kind, Panel, Query, Row, Unit, legend};

/// Services, each with its own dashboard.
const SERVICES: [&str; 8] = [
    "gateway",
    "order",
    "payment",
    "inventory",
    "barista",
    "notification",
    "leaderboard",
    "sandbox",
];

/// Metrics that the other dashboards show better than a list could.
const GENERAL: [&str; 3] = ["all", "consumers", "database"];

/// A dashboard for each service, made from what the registry says that it has.
pub(super) fn dashboards() -> Vec<Dashboard> {
    // The registry is a part of this program; a test reads it.
    let metrics = Registry::committed().map_or_else(|_| Vec::new(), |registry| registry.metrics);
    SERVICES
        .map(|service| dashboard(service, &metrics))
        .to_vec()
}

fn dashboard(service: &str, metrics: &[Metric]) -> Dashboard {
    let own = metrics.iter().filter(|metric| {
        metric.services.iter().any(|name| name == service)
            && !metric
                .services
                .iter()
                .any(|name| GENERAL.contains(&name.as_str()))
            && metric.instrument != Instrument::Info
    });
    Dashboard {
        uid: format!("brewline-service-{service}"),
        title: format!("brewline: {service}"),
        rows: vec![
            process(service),
            Row::new(
                "Its own work",
                own.map(|metric| panel(service, metric)).collect(),
            ),
        ],
    }
}

fn process(service: &str) -> Row {
    let of = |template: &str| template.replace("SERVICE", service);
    let graph = |title: &str, unit, legend: &str, expr: &str| {
        Panel::graph(title, unit, &[(legend, &of(expr))])
    };
    Row::new(
        "Processes",
        vec![
            graph("answers", Unit::Count, "{{instance}}", "up{job=\"brewline\",service=\"SERVICE\"}"),
            graph("processors used", Unit::Cores, "{{instance}}", "sum by (instance) (rate(process_cpu_time_seconds_total{service=\"SERVICE\"}[$__rate_interval]))"),
            graph("memory", Unit::Bytes, "{{instance}}", "max by (instance) (process_memory_usage_bytes{service=\"SERVICE\"})"),
            graph("log lines", Unit::PerSecond, "{{level}}", "sum by (level) (rate(brewline_log_lines_total{service=\"SERVICE\"}[$__rate_interval]))").rare(),
        ],
    )
}

/// The panel that suits a metric: counters as rates, gauges as they are, histograms by their quantiles.
fn panel(service: &str, metric: &Metric) -> Panel {
    let (name, by) = (&metric.name, metric.labels.join(", "));
    let selected = format!("{name}{{service=\"{service}\"}}");
    let expr = match metric.instrument {
        Instrument::Counter => grouped("sum", &by, &format!("rate({selected}[$__rate_interval])")),
        Instrument::Gauge | Instrument::Info => grouped("max", &by, &selected),
        Instrument::Histogram => {
            let series = format!("{name}_bucket{{service=\"{service}\"}}");
            let panel = Panel::quantiles(&metric.brief, unit(metric), &series, &by);
            return if by.is_empty() { panel } else { panel.rare() };
        }
    };
    let panel = Panel {
        title: metric.brief.clone(),
        kind: Kind::Graph,
        unit: unit(metric),
        queries: vec![Query {
            legend: if by.is_empty() {
                String::new()
            } else {
                legend(&by)
            },
            expr,
        }],
    };
    // A series with labels is there once it has something to tell.
    if by.is_empty() { panel } else { panel.rare() }
}

fn grouped(operator: &str, by: &str, inner: &str) -> String {
    if by.is_empty() {
        format!("{operator}({inner})")
    } else {
        format!("{operator} by ({by}) ({inner})")
    }
}

fn unit(metric: &Metric) -> Unit {
    let name = metric.name.trim_end_matches("_total");
    if metric.instrument == Instrument::Counter {
        Unit::PerSecond
    } else if name.ends_with("_seconds") {
        Unit::Seconds
    } else if name.ends_with("_bytes") {
        Unit::Bytes
    } else {
        Unit::Count
    }
}
