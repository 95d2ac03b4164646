//! Kill tests: one running platform under one continuous load. Each scenario does a fault, heals it,
//! waits until everything ordered before has closed, and judges every invariant.
//!
//! Real processes, real PostgreSQL, real Kafka; the build with crash points. Leases and sessions are
//! short, so that a fault costs seconds. `BREWLINE_BIN_DIR` names that build; `./brewline test` sets
//! it. Arguments are scenarios to run (part of a name); `--all` adds the cross product.
//! `BREWLINE_KILL_DATA` and `BREWLINE_KILL_PORT_BASE` move the platform elsewhere.

#![allow(
    clippy::print_stdout,
    reason = "a test runner speaks on standard output"
)]

mod followers;
mod judge;
mod operators;
mod planted;
mod platform;
mod processor;
mod replays;
mod scenarios;
mod visitors;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use brewline_chaos::evidence::EvidenceReader;
use planted::Planted;
use platform::Platform;
use scenarios::Scenario;

/// The judgement of everything that the scenarios did, at their end.
const WHOLE_RUN: &str = "the-whole-run-once-more";

/// How a run of scenarios ended.
#[derive(Debug, Default)]
struct Tally {
    passed: usize,
    failed: Vec<String>,
    filtered: usize,
}

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with("--"))
        .collect();
    if std::env::args().any(|argument| argument == "--list") {
        return list();
    }
    let Some(bin_dir) = std::env::var_os("BREWLINE_BIN_DIR") else {
        say("kill tests need the test build: run them with `./brewline test`");
        return ExitCode::FAILURE;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime can be made");
    runtime.block_on(run(bin_dir.into(), &wanted))
}

fn list() -> ExitCode {
    for name in names() {
        say(&format!("{name}: test"));
    }
    ExitCode::SUCCESS
}

/// Whether the long cross product was asked for.
fn is_long() -> bool {
    std::env::args().any(|argument| argument == "--all")
}

fn names() -> Vec<String> {
    let faults = scenarios::all(is_long())
        .into_iter()
        .map(|scenario| scenario.name.to_owned());
    faults
        .chain([WHOLE_RUN.to_owned()])
        .chain(planted::ALL.iter().map(Planted::name))
        .collect()
}

async fn run(bin_dir: PathBuf, wanted: &[String]) -> ExitCode {
    let chosen = |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(part));
    let faults: Vec<Scenario> = scenarios::all(is_long())
        .into_iter()
        .filter(|s| chosen(s.name))
        .collect();
    let bugs: Vec<&Planted> = planted::ALL
        .iter()
        .filter(|bug| chosen(&bug.name()))
        .collect();
    let count = faults.len() + usize::from(!faults.is_empty()) + bugs.len();
    let mut tally = Tally {
        filtered: names().len() - count,
        ..Tally::default()
    };
    say(&format!("\nrunning {count} tests"));
    let started = Instant::now();
    if !faults.is_empty() {
        on_a_platform(&bin_dir, &mut tally, async |platform, tally| {
            all_faults(platform, &faults, tally).await;
        })
        .await;
    }
    if !bugs.is_empty() {
        // Planted bugs leave broken books behind: they get a platform of their own.
        on_a_platform(&bin_dir, &mut tally, async |platform, tally| {
            all_bugs(platform, &bugs, tally).await;
        })
        .await;
    }
    finish(&tally, started.elapsed())
}

/// Each fault, judged by what was ordered since it; at the end the whole run from its first order.
async fn all_faults(platform: &Platform, faults: &[Scenario], tally: &mut Tally) {
    let mut evidence = EvidenceReader::default();
    for scenario in faults {
        let begun = Instant::now();
        let result = judge::judged(platform, scenario, &mut evidence).await;
        tally.count(scenario.name, begun, result);
    }
    let begun = Instant::now();
    let result = judge::whole(platform).await;
    tally.count(WHOLE_RUN, begun, result);
}

async fn all_bugs(platform: &Platform, bugs: &[&Planted], tally: &mut Tally) {
    let mut evidence = EvidenceReader::default();
    for bug in bugs {
        let begun = Instant::now();
        let result = planted::caught(platform, bug, &mut evidence).await;
        tally.count(&bug.name(), begun, result);
    }
}

async fn on_a_platform(
    bin_dir: &Path,
    tally: &mut Tally,
    work: impl AsyncFnOnce(&Platform, &mut Tally),
) {
    let platform = match Platform::start(bin_dir).await {
        Ok(platform) => platform,
        Err(error) => {
            say(&format!("the platform does not start: {error:#}"));
            tally.failed.push("start".to_owned());
            return;
        }
    };
    work(&platform, tally).await;
    if let Err(error) = platform.stop().await {
        tally.failed.push(format!("stop: {error:#}"));
    }
}

// === impl Tally ===

impl Tally {
    fn count(&mut self, name: &str, begun: Instant, result: anyhow::Result<String>) {
        let seconds = begun.elapsed().as_secs_f32();
        match result {
            Ok(note) => {
                self.passed += 1;
                say(&format!("test {name} ... ok ({seconds:.1} s; {note})"));
            }
            Err(error) => {
                say(&format!(
                    "test {name} ... FAILED ({seconds:.1} s)\n    {error:#}"
                ));
                self.failed.push(name.to_owned());
            }
        }
    }
}

fn finish(tally: &Tally, elapsed: Duration) -> ExitCode {
    let word = if tally.failed.is_empty() {
        "ok"
    } else {
        "FAILED"
    };
    if !tally.failed.is_empty() {
        say(&format!("\nfailures:\n    {}", tally.failed.join("\n    ")));
    }
    say(&format!(
        "\ntest result: {word}. {} passed; {} failed; 0 ignored; 0 measured; {} filtered out; finished in {:.2}s\n",
        tally.passed,
        tally.failed.len(),
        tally.filtered,
        elapsed.as_secs_f32()
    ));
    if tally.failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn say(line: &str) {
    writeln!(std::io::stdout().lock(), "{line}").expect("standard output can be written");
}
