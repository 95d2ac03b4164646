//! Kill tests: one running platform under one continuous load. Each scenario does a fault, heals it,
//! waits until everything ordered before has closed, and judges every invariant.
//!
//! Real processes, real PostgreSQL, real Kafka; the build with crash points. Leases and sessions are
//! short, so that a fault costs seconds. `BREWLINE_BIN_DIR` names that build; `./brewline test` sets
//! it. Arguments are scenarios to run (part of a name); `--all` adds the cross product.

#![allow(clippy::print_stdout, reason = "a test runner speaks on standard output")]

mod judge;
mod platform;
mod scenarios;

use std::io::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use platform::Platform;
use scenarios::Scenario;

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
    for scenario in scenarios::all() {
        say(&format!("{}: test", scenario.name));
    }
    ExitCode::SUCCESS
}

async fn run(bin_dir: std::path::PathBuf, wanted: &[String]) -> ExitCode {
    let scenarios = scenarios::all();
    let chosen: Vec<&Scenario> = scenarios
        .iter()
        .filter(|s| wanted.is_empty() || wanted.iter().any(|part| s.name.contains(part.as_str())))
        .collect();
    let mut tally = Tally {
        filtered: scenarios.len() - chosen.len(),
        ..Tally::default()
    };
    if chosen.is_empty() {
        return finish(&tally, Duration::ZERO);
    }
    say(&format!("\nrunning {} tests", chosen.len()));
    let started = Instant::now();
    let platform = match Platform::start(&bin_dir).await {
        Ok(platform) => platform,
        Err(error) => {
            say(&format!("the platform does not start: {error:#}"));
            return ExitCode::FAILURE;
        }
    };
    for scenario in chosen {
        one(&platform, scenario, &mut tally).await;
    }
    if let Err(error) = platform.stop().await {
        tally.failed.push(format!("stop: {error:#}"));
    }
    finish(&tally, started.elapsed())
}

async fn one(platform: &Platform, scenario: &Scenario, tally: &mut Tally) {
    let started = Instant::now();
    let result = judge::judged(platform, scenario).await;
    let seconds = started.elapsed().as_secs_f32();
    match result {
        Ok(note) => {
            tally.passed += 1;
            say(&format!(
                "test {} ... ok ({seconds:.1} s; {note})",
                scenario.name
            ));
        }
        Err(error) => {
            say(&format!(
                "test {} ... FAILED ({seconds:.1} s)\n    {error:#}",
                scenario.name
            ));
            tally.failed.push(scenario.name.to_owned());
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
