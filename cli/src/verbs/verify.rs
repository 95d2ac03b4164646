//! `verify`: do the books balance?

use std::path::PathBuf;
use std::process::ExitCode;

use brewline_chaos::evidence::{self, Evidence};
use brewline_chaos::verdict::{Finding, Report, Verdict};
use brewline_chaos::{invariants, timeline};
use brewline_kernel::Timestamp;
use clap::Args;
use comfy_table::{Cell, Table, presets};

use crate::sources::{self, Scope};
use crate::stack::Stack;
use crate::terminal;
use crate::verbs::{given, why};

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Leave out orders placed before this instant (RFC 3339)
    #[arg(long, value_name = "INSTANT", value_parser = given::instant)]
    since: Option<Timestamp>,
    /// What clients asked for and were told, as `bench --journal` writes it
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Invariants that must be judged; one that cannot be is `unknown`
    #[arg(
        long,
        value_name = "I1,I2,…",
        value_delimiter = ',',
        value_parser = given::invariant(),
        hide_possible_values = true
    )]
    must: Vec<String>,
    /// Everything should have healed by now: a parked saga fails
    #[arg(long)]
    healed: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// How many offending orders have their timeline printed.
const TIMELINES_MAX: usize = 3;

/// Judges the running stack.
///
/// # Errors
/// When no stack runs.
pub async fn run(arguments: Arguments, stack: &Stack) -> anyhow::Result<ExitCode> {
    let logs = stack.folder().logs();
    let scope = Scope {
        since: arguments.since.unwrap_or(Timestamp::EPOCH),
        journal: arguments.journal.as_deref(),
        healing_promised: arguments.healed,
        // In a cluster they are with the pods.
        log_files: logs.is_dir().then_some(logs.as_path()),
        ..Scope::default()
    };
    let sources = sources::of(&stack.endpoints()?, &scope)?;
    let mut progress = terminal::Progress::default();
    progress.show("reading tables, topics and the card processor's ledger");
    let evidence = evidence::collect(sources).await;
    progress.clear();
    let mut findings = invariants::judge(&evidence);
    demand(&mut findings, &arguments.must);
    let report = Report::new(Some(why::instant(evidence.since.as_micros())), findings);
    if arguments.json {
        terminal::say_json(&report)?;
    } else {
        print(&report, &evidence);
    }
    Ok(ExitCode::from(report.exit_code()))
}

/// What must be judged and was not is unknown.
fn demand(findings: &mut [Finding], must: &[String]) {
    let demanded = findings
        .iter_mut()
        .filter(|finding| must.iter().any(|id| id == finding.id));
    for finding in demanded.filter(|finding| finding.verdict == Verdict::NotJudged) {
        finding.verdict = Verdict::Unknown;
        finding.notes.push("it had to be judged".to_owned());
    }
}

fn print(report: &Report, evidence: &Evidence) {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(["", "invariant", "verdict", "subjects"]);
    for finding in &report.invariants {
        let verdict = word(finding.verdict);
        let subjects = Cell::new(finding.subjects);
        table.add_row(vec![
            Cell::new(finding.id),
            Cell::new(finding.name),
            Cell::new(verdict),
            subjects,
        ]);
    }
    terminal::say(table);
    for finding in &report.invariants {
        for note in &finding.notes {
            terminal::say(format!("{}: {note}", finding.id));
        }
        for violation in finding.violations.iter().take(10) {
            let order = violation.order_id.as_deref().unwrap_or("-");
            terminal::say(format!(
                "{} VIOLATED  order {order}: {}",
                finding.id, violation.detail
            ));
        }
    }
    timelines(report, evidence);
    let since = report.since.as_deref().unwrap_or("the beginning");
    terminal::say(format!("since {since}"));
    terminal::say(format!("verdict: {}", word(report.verdict)));
}

fn timelines(report: &Report, evidence: &Evidence) {
    let offending = report
        .invariants
        .iter()
        .flat_map(|finding| &finding.violations);
    let mut orders: Vec<uuid::Uuid> = offending
        .filter_map(|violation| violation.order_id.as_ref()?.parse().ok())
        .collect();
    orders.dedup();
    for order in orders.into_iter().take(TIMELINES_MAX) {
        terminal::say(format!("\norder {order}"));
        why::print(&timeline::of(evidence, order));
    }
}

const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "FAIL",
        Verdict::Unknown => "unknown",
        Verdict::NotJudged => "not judged",
    }
}
