//! Every query of every committed dashboard, against what Prometheus scraped.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::platform::Platform;

/// Scrapes are a second apart here: a minute at rest would be a slow answer, a broken panel never has one.
const DATA_WITHIN: Duration = Duration::from_secs(60);

/// What Grafana fills in; here a scrape is a second.
const RATE_INTERVAL: &str = "10s";

/// What a panel adds so that it shows 0 while no series is there.
const RARE: &str = " or on () vector(0)";

/// What is asked of metrics that have nothing to tell before something goes wrong or is done by hand, and what that is.
const AFTER_A_FAULT: &[(&str, &str)] = &[
    ("ALERTS{", "an alert waits or fires"),
    (
        "brewline_orders_refused_total",
        "a request that makes no sense",
    ),
    (
        "brewline_place_commits_unknown_total",
        "the answer to a commit is lost",
    ),
    ("brewline_saga_overdue_total", "a checkout takes a minute"),
    (
        "brewline_payment_risk_refusals_total",
        "a card that is used as thieves do",
    ),
    ("brewline_trace_spans", "a collector is named"),
    ("brewline_wall_watchers", "somebody watches a wall"),
    (
        "rpc_server_call_duration_seconds_bucket{service=\"leaderboard\"}",
        "somebody looks at boards",
    ),
];

/// A query and where it stands.
struct Query {
    place: String,
    expr: String,
}

/// Waits until every query has data. Yields how many there are.
pub(crate) async fn all_have_data(platform: &Platform) -> anyhow::Result<String> {
    let queries = committed()?;
    let count = queries.len();
    ensure!(count > 100, "only {count} queries were found");
    let (rare, mut empty): (Vec<Query>, Vec<Query>) =
        queries.into_iter().partition(Query::is_after_a_fault);
    for query in &rare {
        // An error is none of the things it may have.
        platform
            .prometheus
            .query(&query.expr)
            .await
            .context(query.place.clone())?;
    }
    let deadline = tokio::time::Instant::now() + DATA_WITHIN;
    while !empty.is_empty() {
        let mut still = vec![];
        for query in empty {
            let found = platform.prometheus.query(&query.expr).await;
            if found.with_context(|| query.place.clone())?.is_empty() {
                still.push(query);
            }
        }
        empty = still;
        let names: Vec<String> = empty
            .iter()
            .map(|query| format!("{}: {}", query.place, query.expr))
            .collect();
        ensure!(
            empty.is_empty() || tokio::time::Instant::now() < deadline,
            "no data within {DATA_WITHIN:?}:\n    {}",
            names.join("\n    ")
        );
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Ok(format!(
        "{count} queries, {} of them only after a fault",
        rare.len()
    ))
}

/// The queries of the files that are installed, not of the code they were made from.
fn committed() -> anyhow::Result<Vec<Query>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/brewline/dashboards");
    let mut queries = vec![];
    for entry in std::fs::read_dir(folder).context("find the dashboards")? {
        let path = entry?.path();
        let text = std::fs::read_to_string(&path)?;
        let dashboard: Value =
            serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        let panels = dashboard["panels"]
            .as_array()
            .context("a dashboard without panels")?;
        for panel in panels {
            for target in panel["targets"].as_array().into_iter().flatten() {
                queries.push(Query::of(&dashboard, panel, target)?);
            }
        }
    }
    Ok(queries)
}

// === impl Query ===

impl Query {
    fn of(dashboard: &Value, panel: &Value, target: &Value) -> anyhow::Result<Self> {
        let expr = target["expr"]
            .as_str()
            .context("a target without a query")?;
        let expr = expr.replace("$__rate_interval", RATE_INTERVAL);
        Ok(Self {
            place: format!("{} / {}", dashboard["title"], panel["title"]),
            expr: expr.strip_suffix(RARE).map(str::to_owned).unwrap_or(expr),
        })
    }

    fn is_after_a_fault(&self) -> bool {
        AFTER_A_FAULT
            .iter()
            .any(|(part, _)| self.expr.contains(part))
    }
}
