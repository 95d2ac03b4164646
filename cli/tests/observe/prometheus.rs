use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;

/// Prometheus is on this machine and asked for little.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// What Prometheus has seen.
#[derive(Debug)]
pub(crate) struct Prometheus {
    base: String,
    http: reqwest::Client,
}

// === impl Prometheus ===

impl Prometheus {
    pub(crate) fn at(base: String) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().no_proxy().timeout(ANSWER_WITHIN);
        Ok(Self {
            base,
            http: http.build().context("make an HTTP client")?,
        })
    }

    /// The series that an expression gives now.
    pub(crate) async fn query(&self, expr: &str) -> anyhow::Result<Vec<Value>> {
        let mut url = reqwest::Url::parse(&format!("{}/api/v1/query", self.base))?;
        url.query_pairs_mut().append_pair("query", expr);
        let answer = self.http.get(url).send().await.context("ask Prometheus")?;
        let answer: Value = answer.json().await.context("understand Prometheus")?;
        if answer["status"] != "success" {
            bail!("{expr}: {}", answer["error"]);
        }
        let result = answer["data"]["result"].as_array();
        Ok(result.cloned().unwrap_or_default())
    }

    /// The alerts that fire now.
    pub(crate) async fn firing(&self) -> anyhow::Result<BTreeSet<String>> {
        self.alerts("ALERTS{alertstate=\"firing\"}").await
    }

    /// The alerts that fire now, or wait to.
    pub(crate) async fn active(&self) -> anyhow::Result<BTreeSet<String>> {
        self.alerts("ALERTS").await
    }

    /// The alerts that fired at any moment of the last so many seconds.
    pub(crate) async fn fired(&self, seconds: u64) -> anyhow::Result<BTreeSet<String>> {
        self.alerts(&format!(
            "max_over_time(ALERTS{{alertstate=\"firing\"}}[{seconds}s])"
        ))
        .await
    }

    async fn alerts(&self, expr: &str) -> anyhow::Result<BTreeSet<String>> {
        let series = self.query(expr).await?;
        let name = |series: &Value| Some(series["metric"]["alertname"].as_str()?.to_owned());
        Ok(series.iter().filter_map(name).collect())
    }
}
