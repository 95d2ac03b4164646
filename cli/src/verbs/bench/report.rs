use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::{Closing, Run};
use crate::bench::outcomes::Ended;
use crate::{exit, terminal};

/// The figures, as `--json` prints them. Latencies are in milliseconds. What could not be measured is
/// null, or missing where processes or services are listed.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    offered_per_second: f64,
    accepted_per_second: f64,
    closed_sold_per_second: Option<f64>,
    accepted_latency_ms: Option<Latency>,
    settled_latency_ms: Option<Latency>,
    outcomes: BTreeMap<String, f64>,
    cpu_ms_per_order: Cpu,
    #[serde(rename = "memoryMiB")]
    memory_mib: BTreeMap<String, u64>,
    rows_per_order: BTreeMap<String, f64>,
    wal_bytes_per_order: Option<f64>,
    /// From the end of the load until every order was closed and nobody was behind.
    lag_seconds_after: Option<f64>,
    /// The same, by who was behind: each consumer, the mails, the orders themselves. Who is missing was
    /// still behind, or could not be asked, when waiting ended.
    lag_seconds_after_by: BTreeMap<String, f64>,
    reference: Option<Reference>,
    unplanned_share: Option<f64>,
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
    /// None when a process that counts was started again meanwhile: the rest is no total.
    total: Option<f64>,
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
        let closing = run.closing.as_ref().ok();
        let wal = run.after.wal_bytes.zip(run.before.wal_bytes);
        Self {
            offered_per_second: run
                .open_loop_rate
                .map_or_else(|| count(run.placed.len()) / seconds, count_u64),
            accepted_per_second: count(accepted.len()) / seconds,
            closed_sold_per_second: closing.map(|found| sold_in_time(run, found) / seconds),
            accepted_latency_ms: Latency::of(accepted.iter().map(|p| p.latency.as_micros())),
            settled_latency_ms: closing.and_then(|found| Latency::of(settled(run, found))),
            unplanned_share: closing.map(|_| unplanned_share(&shares, run)),
            outcomes: shares,
            cpu_ms_per_order: Cpu::of(&run.before.cpu_ms, &run.after.cpu_ms, orders),
            memory_mib: run
                .after
                .memory_kib
                .iter()
                .map(|(k, v)| (k.clone(), v / 1024))
                .collect(),
            rows_per_order: rows(run, orders),
            wal_bytes_per_order: wal.map(|(after, before)| signed(after - before) / orders),
            lag_seconds_after: closing.and_then(|found| found.lag.all.map(|all| all.as_secs_f64())),
            lag_seconds_after_by: closing.map(lag_by).unwrap_or_default(),
            reference: run.reference.map(|commits| Reference {
                batched_commits_per_second: commits,
                rows_per_batch: 64,
            }),
        }
    }

    /// No when too much happened that the mix did not plan, unknown when nobody could say.
    pub(super) fn exit_code(&self) -> u8 {
        match self.unplanned_share {
            Some(share) if share <= UNPLANNED_MAX => 0,
            Some(_) => exit::NO,
            None => exit::UNKNOWN,
        }
    }

    pub(super) fn print(&self) {
        let line = |name: &str, text: String| terminal::say(named(name, &text));
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
            figure(self.closed_sold_per_second, 0, " orders/s"),
        );
        line(
            "answer of POST, ms",
            latency(self.accepted_latency_ms.as_ref()),
        );
        line(
            "start to settled, ms",
            latency(self.settled_latency_ms.as_ref()),
        );
        let percent: Vec<_> = self
            .outcomes
            .iter()
            .map(|(name, share)| format!("{name} {:.2} %", share * 100.0))
            .collect();
        line("outcomes", percent.join(", "));
        line(
            "CPU an order, ms",
            figure(self.cpu_ms_per_order.total, 3, ""),
        );
        for (process, ms) in &self.cpu_ms_per_order.by_process {
            let memory = self
                .memory_mib
                .get(process)
                .map_or_else(|| UNMEASURED.to_owned(), u64::to_string);
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
            figure(self.wal_bytes_per_order, 0, " bytes"),
        );
        line(
            "nobody behind after",
            figure(self.lag_seconds_after, 1, " s"),
        );
        for (who, seconds) in &self.lag_seconds_after_by {
            line(&format!("  {who}"), format!("{seconds:.1} s"));
        }
        line("reference", reference(self.reference.as_ref()));
        if let Some(share) = self.unplanned_share.filter(|share| *share > UNPLANNED_MAX) {
            terminal::say(format!("UNPLANNED outcomes: {:.2} %", share * 100.0));
        }
    }
}

/// What stands for a figure that nobody could take.
const UNMEASURED: &str = "unknown";

fn figure(value: Option<f64>, decimals: usize, unit: &str) -> String {
    value.map_or_else(
        || UNMEASURED.to_owned(),
        |value| format!("{value:.decimals$}{unit}"),
    )
}

fn latency(latency: Option<&Latency>) -> String {
    latency.map_or_else(|| UNMEASURED.to_owned(), Latency::text)
}

fn reference(measured: Option<&Reference>) -> String {
    let text = |reference: &Reference| {
        let commits = reference.batched_commits_per_second;
        format!("{commits} commits/s of 64 rows each on this machine, now")
    };
    measured.map_or_else(|| UNMEASURED.to_owned(), text)
}

// === impl Cpu ===

#[allow(clippy::float_arithmetic, reason = "figures for people")]
impl Cpu {
    fn of(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>, orders: f64) -> Self {
        let used = |(name, then): (&String, &u64)| {
            let now = after.get(name)?;
            Some((name.clone(), count_u64(now.saturating_sub(*then)) / orders))
        };
        let by_process: BTreeMap<String, f64> = before.iter().filter_map(used).collect();
        let counted = before.keys().filter(|name| name.as_str() != "bench");
        let total = counted
            .map(|name| by_process.get(name).copied())
            .sum::<Option<f64>>();
        Self { total, by_process }
    }
}

// === impl Latency ===

#[allow(clippy::float_arithmetic, reason = "figures for people")]
impl Latency {
    /// None of nothing.
    fn of(micros: impl Iterator<Item = u128>) -> Option<Self> {
        let mut histogram = Histogram::<u64>::new_with_max(LATENCY_MICROS_MAX, 3).ok()?;
        for value in micros {
            // A value beyond the histogram's range is counted at its end.
            histogram.saturating_record(u64::try_from(value).unwrap_or(u64::MAX));
        }
        let at = |quantile| count_u64(histogram.value_at_quantile(quantile)) / 1e3;
        (!histogram.is_empty()).then(|| Self {
            p50: at(0.5),
            p99: at(0.99),
            p999: at(0.999),
        })
    }

    fn text(&self) -> String {
        format!(
            "p50 {:.1}   p99 {:.1}   p99.9 {:.1}",
            self.p50, self.p99, self.p999
        )
    }
}

/// A figure behind its name, never right at it.
fn named(name: &str, text: &str) -> String {
    format!("{name:<27} {text}")
}

fn lag_by(closing: &Closing) -> BTreeMap<String, f64> {
    let by = closing.lag.by.iter();
    by.map(|(who, took)| (who.clone(), took.as_secs_f64()))
        .collect()
}

fn settled<'a>(run: &'a Run, closing: &'a Closing) -> impl Iterator<Item = u128> + 'a {
    run.placed.iter().filter_map(|placed| {
        let at = closing.ended.get(&placed.order?)?.settled_at?;
        u128::try_from(at.as_micros() - placed.intended_micros).ok()
    })
}

/// Orders that were sold and whose checkout ended while customers were still coming.
fn sold_in_time(run: &Run, closing: &Closing) -> f64 {
    let in_time =
        |ended: &&Ended| ended.sold() && ended.closed_at.is_some_and(|at| at <= run.ended_at);
    count(closing.ended.values().filter(in_time).count())
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
    let Ok(closing) = &run.closing else {
        return "accepted".to_owned();
    };
    match closing.ended.get(&order) {
        None => "lost".to_owned(),
        Some(ended) if ended.closed_at.is_none() => "open".to_owned(),
        Some(ended) if ended.rejection.is_empty() => ended.status.clone(),
        Some(ended) => ended.rejection.clone(),
    }
}

fn unplanned(name: &str, run: &Run) -> bool {
    match name {
        "confirmed" | "preparing" | "ready" | "collected" | "cancelled" | "payment-declined" => {
            false
        }
        "out-of-stock" => !run.planned_rejections,
        _ => true,
    }
}

/// The share of the outcomes that nobody planned.
#[allow(clippy::float_arithmetic, reason = "figures for people")]
fn unplanned_share(shares: &BTreeMap<String, f64>, run: &Run) -> f64 {
    let shares = shares.iter().filter(|(name, _)| unplanned(name, run));
    // The sum of no floats is -0.
    0.0 + shares.map(|(_, share)| share).sum::<f64>()
}

#[allow(clippy::float_arithmetic, reason = "figures for people")]
fn rows(run: &Run, orders: f64) -> BTreeMap<String, f64> {
    let written = |(name, now): (&String, &i64)| {
        let then = run.before.rows.get(name)?;
        Some((name.clone(), signed(now - then) / orders))
    };
    run.after.rows.iter().filter_map(written).collect()
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use brewline_chaos::workload::Placed;
    use brewline_kernel::Timestamp;

    use super::*;
    use crate::bench::lag::Lag;
    use crate::bench::machine::Sample;

    fn run(closing: anyhow::Result<Closing>) -> Run {
        let order = uuid::Uuid::nil();
        Run {
            placed: vec![Placed {
                order: Some(order),
                latency: Duration::from_millis(5),
                intended_micros: 0,
                status: Some(202),
                declined: false,
                cancelled: false,
            }],
            closing,
            began: Timestamp::EPOCH,
            ended_at: Timestamp::from_micros(1_000_000),
            before: Sample::default(),
            after: Sample::default(),
            reference: Some(1),
            open_loop_rate: Some(1),
            planned_rejections: false,
        }
    }

    fn closed(status: &str) -> Closing {
        let at = Some(Timestamp::from_micros(7_000));
        let ended = Ended {
            status: status.to_owned(),
            rejection: String::new(),
            settled_at: at,
            closed_at: at,
        };
        Closing {
            ended: [(uuid::Uuid::nil(), ended)].into(),
            lag: Lag::default(),
        }
    }

    #[test]
    fn a_run_whose_stack_has_gone_keeps_what_its_customers_saw_and_is_unknown() {
        let report = Report::of(&run(Err(anyhow::anyhow!("gone"))));
        assert_eq!(report.exit_code(), exit::UNKNOWN);
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["acceptedPerSecond"], 1.0);
        assert_eq!(json["outcomes"]["accepted"], 1.0);
        assert!(json["acceptedLatencyMs"]["p50"].as_f64().unwrap() > 4.0);
        for unknown in ["closedSoldPerSecond", "settledLatencyMs", "unplannedShare"] {
            assert!(json[unknown].is_null(), "{unknown}");
        }
    }

    #[test]
    fn the_exit_says_whether_all_went_as_planned() {
        let code = |status| Report::of(&run(Ok(closed(status)))).exit_code();
        assert_eq!([code("confirmed"), code("odd")], [0, exit::NO]);
    }

    #[test]
    fn nothing_unplanned_is_a_zero_without_a_sign() {
        let report = Report::of(&run(Ok(closed("confirmed"))));
        let share = report.unplanned_share.unwrap();
        assert!(share == 0.0 && share.is_sign_positive());
    }

    #[test]
    fn a_process_that_was_started_again_is_left_out_and_so_is_the_total() {
        let before = [("order".to_owned(), 10), ("bench".to_owned(), 1)].into();
        let after = [("order".to_owned(), 30), ("bench".to_owned(), 2)].into();
        assert_eq!(Cpu::of(&before, &after, 2.0).total, Some(10.0));
        let without = [("bench".to_owned(), 2)].into();
        let cpu = Cpu::of(&before, &without, 2.0);
        assert_eq!(cpu.total, None);
        assert_eq!(cpu.by_process.keys().collect::<Vec<_>>(), ["bench"]);
    }

    #[test]
    fn a_figure_stands_apart_from_its_name_however_long_that_is() {
        assert_eq!(
            named("reference", "1"),
            format!("reference{}1", " ".repeat(19))
        );
        let long = "  brewline.notification.customers";
        assert_eq!(named(long, "0.6 s"), format!("{long} 0.6 s"));
    }
}
