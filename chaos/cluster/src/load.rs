//! Customers: `bench` in the toolbox, while something is done to the platform.

use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use crate::kube;
use crate::release::Release;

/// Orders begin within this: the shop of the load has to be opened first.
const BEGUN_WITHIN: Duration = Duration::from_secs(120);

/// Making customers takes time at each beginning. So many are enough up to as many orders a second.
const CUSTOMERS_MIN: u64 = 50;

/// Opening the shop takes a few orders; more than these mean that its customers have come.
const ORDERS_UNDER_WAY: usize = 15;

/// Orders being placed.
pub(crate) struct Load<'a> {
    release: &'a Release,
    process: Child,
    before: Vec<String>,
}

/// What customers saw.
pub(crate) struct Seen {
    outcomes: Vec<(String, f64)>,
    accepted_per_second: f64,
    p99_ms: f64,
    /// Beside what failed it tells a slow platform from a broken connection.
    p999_ms: f64,
    /// From the last order until every one of this load was closed.
    closed_after: Option<f64>,
    /// The same, until nobody was behind with anybody's.
    caught_up_after: Option<f64>,
}

// === impl Load ===

impl<'a> Load<'a> {
    /// Orders for `seconds`; returns once they are being accepted.
    pub(crate) fn begin(release: &'a Release, seconds: u64) -> anyhow::Result<Self> {
        Self::at_rate(release, release.rate, seconds)
    }

    /// The same at another rate.
    pub(crate) fn at_rate(release: &'a Release, rate: u64, seconds: u64) -> anyhow::Result<Self> {
        let toolbox = release.deployment("toolbox");
        let customers = rate.max(CUSTOMERS_MIN).to_string();
        let (rate, duration) = (rate.to_string(), seconds.to_string());
        let arguments = release.in_namespace(&[
            "exec",
            &toolbox,
            "--",
            "brewline",
            "bench",
            "--json",
            "--warm-up",
            "0",
            "--customers",
            &customers,
            "--rate",
            &rate,
            "--duration",
            &duration,
        ]);
        let before = newest(release)?;
        let process = kube::start("kubectl", &arguments)?;
        let load = Self {
            release,
            process,
            before,
        };
        load.until_under_way()?;
        Ok(load)
    }

    fn until_under_way(&self) -> anyhow::Result<()> {
        let under_way = || {
            let now = newest(self.release)?;
            let is_new = |placed: &String| !self.before.contains(placed);
            Ok(now.len() == ORDERS_UNDER_WAY && now.iter().all(is_new))
        };
        let within = BEGUN_WITHIN.saturating_mul(self.release.slowness);
        kube::until("orders come", within, under_way).map(drop)
    }

    /// Waits for the last order, and until all of them are closed.
    pub(crate) fn end(self) -> anyhow::Result<Seen> {
        let output = self
            .process
            .wait_with_output()
            .context("wait for the load")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let Some(line) = text.lines().rfind(|line| line.starts_with('{')) else {
            bail!(
                "the load ended without a report: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        };
        Seen::read(line)
    }
}

/// When the newest orders were placed, the newest first.
fn newest(release: &Release) -> anyhow::Result<Vec<String>> {
    let limit = ORDERS_UNDER_WAY.to_string();
    let list = release.brewline(&["order", "list", "--limit", &limit, "--json"])?;
    let list: Value = serde_json::from_str(&list).context("understand the list of orders")?;
    let orders = list.get("items").and_then(Value::as_array);
    let placed = |order: &Value| Some(order.get("placedAt")?.as_str()?.to_owned());
    Ok(orders.into_iter().flatten().filter_map(placed).collect())
}

// === impl Seen ===

impl Seen {
    fn read(line: &str) -> anyhow::Result<Self> {
        let report: Value = serde_json::from_str(line).context("understand the load's report")?;
        let number = |path: &str| report.pointer(path).and_then(Value::as_f64);
        let outcomes = report.get("outcomes").and_then(Value::as_object);
        let outcomes = outcomes.context("the load's report names no outcomes")?;
        Ok(Self {
            outcomes: outcomes
                .iter()
                .map(|(name, share)| (name.clone(), share.as_f64().unwrap_or_default()))
                .collect(),
            accepted_per_second: number("/acceptedPerSecond").unwrap_or_default(),
            p99_ms: number("/acceptedLatencyMs/p99").unwrap_or_default(),
            p999_ms: number("/acceptedLatencyMs/p999").unwrap_or_default(),
            closed_after: number("/lagSecondsAfterBy/orders"),
            caught_up_after: number("/lagSecondsAfter"),
        })
    }

    /// No request failed, and nothing that was accepted is missing.
    pub(crate) fn nothing_failed(&self) -> anyhow::Result<String> {
        let failed = |name: &str| is_lost(name) || is_unanswered(name);
        self.without(failed)?;
        Ok(format!(
            "0 failed at {:.0} orders/s, p99 {:.0} ms",
            self.accepted_per_second, self.p99_ms
        ))
    }

    /// Nothing that was accepted is missing.
    pub(crate) fn nothing_lost(&self) -> anyhow::Result<String> {
        self.without(is_lost)?;
        let refused: f64 = self
            .outcomes
            .iter()
            .filter(|(name, _)| is_unanswered(name))
            .fold(0.0, |sum, (_, share)| f64::max(sum, *share));
        Ok(format!(
            "0 lost at {:.0} orders/s; refused meanwhile at most {:.1} % of a kind",
            self.accepted_per_second,
            percent(refused)
        ))
    }

    /// How soon all of these orders were closed.
    pub(crate) fn closed(&self) -> anyhow::Result<String> {
        let seconds = self.closed_after.context("some orders are still open")?;
        Ok(format!("all closed {seconds:.1} s after the last"))
    }

    /// How soon nobody was behind.
    pub(crate) fn caught_up(&self) -> anyhow::Result<String> {
        let seconds = self.caught_up_after.context("somebody is still behind")?;
        Ok(format!("nobody behind {seconds:.1} s after the last order"))
    }

    fn without(&self, bad: impl Fn(&str) -> bool) -> anyhow::Result<()> {
        let found: Vec<String> = self
            .outcomes
            .iter()
            .filter(|(name, _)| bad(name))
            .map(|(name, share)| format!("{name} {:.2} %", percent(*share)))
            .collect();
        ensure!(
            found.is_empty(),
            "outcomes: {}; of the accepted p99 {:.0} ms, p99.9 {:.0} ms",
            found.join(", "),
            self.p99_ms,
            self.p999_ms
        );
        Ok(())
    }
}

#[allow(clippy::float_arithmetic, reason = "a figure for people")]
fn percent(share: f64) -> f64 {
    share * 100.0
}

fn is_lost(name: &str) -> bool {
    matches!(name, "lost" | "open")
}

fn is_unanswered(name: &str) -> bool {
    name == "unanswered" || name.starts_with("http-")
}

/// How long something took, in tenths of a second.
pub(crate) fn seconds_since(begun: Instant) -> String {
    let elapsed = begun.elapsed();
    format!("{}.{} s", elapsed.as_secs(), elapsed.subsec_millis() / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(outcomes: &str) -> Seen {
        Seen::read(&format!(
            r#"{{"outcomes":{outcomes},"acceptedPerSecond":10.0,"acceptedLatencyMs":{{"p99":5.0}}}}"#
        ))
        .unwrap()
    }

    #[test]
    fn an_unanswered_request_is_a_failed_one_but_not_a_lost_order() {
        let refused = seen(r#"{"confirmed":0.9,"http-503":0.1}"#);
        assert!(refused.nothing_failed().is_err());
        assert!(refused.nothing_lost().is_ok());
    }

    #[test]
    fn an_accepted_order_that_is_missing_or_open_is_lost() {
        for outcome in ["lost", "open"] {
            let seen = seen(&format!(r#"{{"confirmed":0.9,"{outcome}":0.1}}"#));
            assert!(seen.nothing_lost().is_err(), "{outcome}");
            assert!(seen.nothing_failed().is_err(), "{outcome}");
        }
    }

    #[test]
    fn what_was_still_behind_when_waiting_ended_has_no_time() {
        let with = |lag: &str| {
            let report = format!(r#"{{"outcomes":{{"confirmed":1.0}},{lag}}}"#);
            Seen::read(&report).unwrap()
        };
        let done = with(r#""lagSecondsAfter":2.0,"lagSecondsAfterBy":{"orders":1.5}"#);
        assert_eq!(done.closed().unwrap(), "all closed 1.5 s after the last");
        assert!(done.caught_up().is_ok());
        let behind = with(r#""lagSecondsAfter":null,"lagSecondsAfterBy":{}"#);
        assert!(behind.closed().is_err() && behind.caught_up().is_err());
    }

    #[test]
    fn what_the_mix_plans_is_no_failure() {
        let planned = seen(r#"{"confirmed":0.8,"payment-declined":0.1,"cancelled":0.1}"#);
        assert!(planned.nothing_failed().is_ok());
    }
}
