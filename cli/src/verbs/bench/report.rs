use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::Run;
use crate::bench::outcomes::Ended;
use crate::terminal;

/// The figures, as `--json` prints them. Latencies are in milliseconds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    offered_per_second: f64,
    accepted_per_second: f64,
    closed_sold_per_second: f64,
    accepted_latency_ms: Latency,
    settled_latency_ms: Latency,
    outcomes: BTreeMap<String, f64>,
    cpu_ms_per_order: Cpu,
    #[serde(rename = "memoryMiB")]
    memory_mib: BTreeMap<String, u64>,
    rows_per_order: BTreeMap<String, f64>,
    wal_bytes_per_order: f64,
    lag_seconds_after: f64,
    reference: Reference,
    unplanned_share: f64,
}

/// Three points of a distribution, in milliseconds.
#[derive(Debug, Default, Serialize)]
struct Latency {
    p50: f64,
    p99: f64,
    p999: f64,
}

/// Processor time an order, in milliseconds. The load generator is shown and not counted.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Cpu {
    total: f64,
    by_process: BTreeMap<String, f64>,
}

/// What the figures stand beside.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Reference {
    batched_commits_per_second: u64,
    rows_per_batch: u64,
}

/// Latencies beyond ten minutes count as ten minutes.
const LATENCY_MICROS_MAX: u64 = 600_000_000;

/// The share of outcomes nobody planned above which the run has failed.
const UNPLANNED_MAX: f64 = 0.01;

// === impl Report ===

#[allow(
    clippy::float_arithmetic,
    reason = "figures for people: nothing is decided in money by them"
)]
impl Report {
    pub(super) fn of(run: &Run) -> Self {
        let seconds = micros(run.ended_at.since(run.began).as_micros()) / 1e6;
        let accepted: Vec<_> = run
            .placed
            .iter()
            .filter(|placed| placed.order.is_some())
            .collect();
        let orders = count(accepted.len()).max(1.0);
        let shares = shares(run);
        let unplanned = shares
            .iter()
            .filter(|(name, _)| unplanned(name, run))
            .map(|(_, n)| n)
            .sum();
        let cpu = difference(&run.before.cpu_ms, &run.after.cpu_ms, orders);
        let counted = |(name, _): &(&String, &f64)| name.as_str() != "bench";
        Self {
            offered_per_second: run
                .open_loop_rate
                .map_or_else(|| count(run.placed.len()) / seconds, count_u64),
            accepted_per_second: orders / seconds,
            closed_sold_per_second: sold_in_time(run) / seconds,
            accepted_latency_ms: Latency::of(accepted.iter().map(|p| p.latency.as_micros())),
            settled_latency_ms: Latency::of(settled(run)),
            outcomes: shares,
            cpu_ms_per_order: Cpu {
                total: cpu.iter().filter(counted).map(|(_, ms)| ms).sum(),
                by_process: cpu,
            },
            memory_mib: run
                .after
                .memory_kib
                .iter()
                .map(|(k, v)| (k.clone(), v / 1024))
                .collect(),
            rows_per_order: rows(run, orders),
            wal_bytes_per_order: signed(run.after.wal_bytes - run.before.wal_bytes) / orders,
            lag_seconds_after: run.lag_after.as_secs_f64(),
            reference: Reference {
                batched_commits_per_second: run.reference,
                rows_per_batch: 64,
            },
            unplanned_share: unplanned,
        }
    }

    /// Whether nothing happened that the mix did not plan.
    pub(super) fn as_planned(&self) -> bool {
        self.unplanned_share <= UNPLANNED_MAX
    }

    pub(super) fn print(&self) {
        let line = |name: &str, text: String| terminal::say(format!("{name:<28}{text}"));
        line(
            "offered",
            format!("{:.0} orders/s", self.offered_per_second),
        );
        line(
            "accepted",
            format!("{:.0} orders/s", self.accepted_per_second),
        );
        line(
            "closed and sold",
            format!("{:.0} orders/s", self.closed_sold_per_second),
        );
        line("answer of POST, ms", self.accepted_latency_ms.text());
        line("start to settled, ms", self.settled_latency_ms.text());
        let percent: Vec<_> = self
            .outcomes
            .iter()
            .map(|(name, share)| format!("{name} {:.2} %", share * 100.0))
            .collect();
        line("outcomes", percent.join(", "));
        line(
            "CPU an order, ms",
            format!("{:.3}", self.cpu_ms_per_order.total),
        );
        for (process, ms) in &self.cpu_ms_per_order.by_process {
            let memory = self.memory_mib.get(process).copied().unwrap_or(0);
            let note = if process == "bench" {
                " (not counted)"
            } else {
                ""
            };
            line(
                &format!("  {process}"),
                format!("{ms:.3}   {memory} MiB{note}"),
            );
        }
        for (service, rows) in &self.rows_per_order {
            line(&format!("rows an order, {service}"), format!("{rows:.1}"));
        }
        line(
            "WAL an order",
            format!("{:.0} bytes", self.wal_bytes_per_order),
        );
        line(
            "all closed after",
            format!("{:.1} s", self.lag_seconds_after),
        );
        let reference = self.reference.batched_commits_per_second;
        line(
            "reference",
            format!("{reference} commits/s of 64 rows each on this machine, now"),
        );
        if !self.as_planned() {
            terminal::say(format!(
                "UNPLANNED outcomes: {:.2} %",
                self.unplanned_share * 100.0
            ));
        }
    }
}

// === impl Latency ===

#[allow(clippy::float_arithmetic, reason = "figures for people")]
impl Latency {
    fn of(micros: impl Iterator<Item = u128>) -> Self {
        let Ok(mut histogram) = Histogram::<u64>::new_with_max(LATENCY_MICROS_MAX, 3) else {
            return Self::default();
        };
        for value in micros {
            // A value beyond the histogram's range is counted at its end.
            histogram.saturating_record(u64::try_from(value).unwrap_or(u64::MAX));
        }
        let at = |quantile| count_u64(histogram.value_at_quantile(quantile)) / 1e3;
        Self {
            p50: at(0.5),
            p99: at(0.99),
            p999: at(0.999),
        }
    }

    fn text(&self) -> String {
        format!(
            "p50 {:.1}   p99 {:.1}   p99.9 {:.1}",
            self.p50, self.p99, self.p999
        )
    }
}

fn settled(run: &Run) -> impl Iterator<Item = u128> {
    run.placed.iter().filter_map(|placed| {
        let at = run.ended.get(&placed.order?)?.settled_at?;
        u128::try_from(at.as_micros() - placed.intended_micros).ok()
    })
}

/// Orders that were sold and whose checkout ended while customers were still coming.
fn sold_in_time(run: &Run) -> f64 {
    let in_time = |ended: &&Ended| {
        ended.status == "confirmed" && ended.closed_at.is_some_and(|at| at <= run.ended_at)
    };
    count(run.ended.values().filter(in_time).count())
}

/// The share of each outcome among the orders that were meant to be placed.
#[allow(clippy::float_arithmetic, reason = "figures for people")]
fn shares(run: &Run) -> BTreeMap<String, f64> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for placed in &run.placed {
        *counts.entry(outcome(run, placed)).or_default() += 1;
    }
    let all = count(run.placed.len()).max(1.0);
    counts
        .into_iter()
        .map(|(name, n)| (name, count(n) / all))
        .collect()
}

fn outcome(run: &Run, placed: &brewline_chaos::workload::Placed) -> String {
    let Some(order) = placed.order else {
        return placed
            .status
            .map_or("unanswered".to_owned(), |status| format!("http-{status}"));
    };
    match run.ended.get(&order) {
        None => "lost".to_owned(),
        Some(ended) if ended.closed_at.is_none() => "open".to_owned(),
        Some(ended) if ended.rejection.is_empty() => ended.status.clone(),
        Some(ended) => ended.rejection.clone(),
    }
}

fn unplanned(name: &str, run: &Run) -> bool {
    match name {
        "confirmed" | "cancelled" | "payment-declined" => false,
        "out-of-stock" => !run.planned_rejections,
        _ => true,
    }
}

#[allow(clippy::float_arithmetic, reason = "figures for people")]
fn difference(
    before: &BTreeMap<String, u64>,
    after: &BTreeMap<String, u64>,
    orders: f64,
) -> BTreeMap<String, f64> {
    let used = |(name, now): (&String, &u64)| {
        let then = before.get(name).copied().unwrap_or(0);
        (name.clone(), count_u64(now.saturating_sub(then)) / orders)
    };
    after.iter().map(used).collect()
}

#[allow(clippy::float_arithmetic, reason = "figures for people")]
fn rows(run: &Run, orders: f64) -> BTreeMap<String, f64> {
    let written = |(name, now): (&String, &i64)| {
        let then = run.before.rows.get(name).copied().unwrap_or(0);
        (name.clone(), signed(now - then) / orders)
    };
    run.after.rows.iter().map(written).collect()
}

fn micros(value: u128) -> f64 {
    count_u64(u64::try_from(value).unwrap_or(u64::MAX))
}

fn count(value: usize) -> f64 {
    count_u64(u64::try_from(value).unwrap_or(u64::MAX))
}

#[allow(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "figures for people"
)]
fn count_u64(value: u64) -> f64 {
    value as f64
}

#[allow(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "figures for people"
)]
fn signed(value: i64) -> f64 {
    value as f64
}
