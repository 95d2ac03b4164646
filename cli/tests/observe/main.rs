//! A platform that is watched: every query of every dashboard has an answer, and alerts fire when something
//! is really broken, and end when it is mended.
//!
//! Real processes, the system's Prometheus; an hour of the rules is a minute. `BREWLINE_PLAIN_BIN_DIR` names the
//! build; `./brewline test` sets it. Among all other tests only the dashboards are asked: the faults take five
//! minutes, and wait for `./brewline test observe` or for one's name. `--all` adds what takes minutes by itself.

#![allow(
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a test runner speaks on standard output; an index into JSON gives null"
)]

mod faults;
mod page;
mod panels;
mod platform;
mod poison;
mod prometheus;

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use faults::{FIRST, Fault, LONG, OTHERS, PATIENT, STAY};
use platform::Platform;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// The longest threshold is a minute, then a few evaluations. What takes minutes has minutes.
const FIRES_WITHIN: Duration = Duration::from_secs(100);
const FIRES_LATE_WITHIN: Duration = Duration::from_secs(420);
/// A mail that was refused for a minute is tried again within the next two; then half an hour of the rules.
const QUIET_WITHIN: Duration = Duration::from_secs(200);
/// What was killed is started again and found again, and what waited is done.
const WHOLE_WITHIN: Duration = Duration::from_secs(60);
/// While one of these waits or fires, a process is away that the next fault may be for.
const BROKEN: [&str; 4] = [
    "ServiceDown",
    "InstanceDown",
    "PostgresUnreachable",
    "KafkaUnreachable",
];
const LOOK: Duration = Duration::from_millis(500);

/// How the checks ended.
#[derive(Debug, Default)]
struct Tally {
    passed: usize,
    failed: usize,
}

fn main() -> ExitCode {
    let mut wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with("--"))
        .collect();
    if wanted.iter().any(|part| part == "observe") {
        wanted = faults::all().map(|fault| fault.name.to_owned()).collect();
    }
    let began = Instant::now();
    let mut tally = Tally::default();
    // There is one platform for everything: it is started when any of this is asked for.
    let is_wanted = |fault: Fault| wanted.iter().any(|part| fault.name.contains(part));
    if wanted.is_empty() || faults::all().any(is_wanted) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build();
        let runtime = runtime.expect("a runtime can be made");
        runtime.block_on(run(&wanted, &mut tally));
    }
    let word = if tally.failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {word}. {} passed; {} failed; 0 ignored; 0 measured; 0 filtered out; finished in {:.2}s\n",
        tally.passed,
        tally.failed,
        began.elapsed().as_secs_f32()
    );
    if tally.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

async fn run(wanted: &[String], tally: &mut Tally) {
    tally.count(
        "the-page-names-each-alert-and-its-fault",
        Instant::now(),
        page::is_current(),
    );
    let began = Instant::now();
    let platform = match Platform::start().await {
        Ok(platform) => platform,
        Err(error) => return tally.count("start", began, Err(error)),
    };
    let began = Instant::now();
    let panels = panels::all_have_data(&platform).await;
    tally.count("every-query-of-every-dashboard-has-data", began, panels);
    all_faults(&platform, wanted, tally).await;
    let began = Instant::now();
    tally.count("alerts-end-when-all-is-well", began, quiet(&platform).await);
    let began = Instant::now();
    let stopped = platform.stop().await;
    tally.count("nothing-is-left", began, stopped.map(|()| String::new()));
}

async fn all_faults(platform: &Platform, wanted: &[String], tally: &mut Tally) {
    let is_long = std::env::args().any(|argument| argument == "--all");
    let chosen = |fault: &Fault| {
        let named = wanted.iter().any(|part| fault.name.contains(part));
        is_long || (named && !fault.is_long)
    };
    if chosen(&FIRST) {
        tally.fault(&FIRST, provoke(platform, &FIRST).await);
    }
    let patient = async {
        let done = chosen(&PATIENT).then_some(provoke(platform, &PATIENT));
        match done {
            Some(done) => Some(done.await),
            None => None,
        }
    };
    let others = async {
        for fault in OTHERS.iter().filter(|fault| chosen(fault)) {
            tally.fault(fault, provoke(platform, fault).await);
        }
    };
    let (patient, ()) = tokio::join!(patient, others);
    if let Some(patient) = patient {
        tally.fault(&PATIENT, patient);
    }
    if chosen(&LONG) {
        tally.fault(&LONG, provoke(platform, &LONG).await);
    }
}

/// Does a fault to a platform that is whole until its alerts have fired, and mends it.
async fn provoke(platform: &Platform, fault: &Fault) -> anyhow::Result<Duration> {
    whole(platform, fault).await?;
    let began = Instant::now();
    let stop = CancellationToken::new();
    let within = if fault.is_long {
        FIRES_LATE_WITHIN
    } else {
        FIRES_WITHIN
    };
    let doing = async {
        let done = (fault.doing)(platform, stop.clone()).await;
        // What could not be done is not waited for.
        stop.cancel();
        done
    };
    let watched = async {
        let seen = tokio::select! {
            biased;
            seen = fires(platform, fault.during, began, within) => seen,
            () = stop.cancelled() => Ok(()),
        };
        stop.cancel();
        seen
    };
    let (done, seen) = tokio::join!(doing, watched);
    done.context(match &seen {
        Ok(()) => "the fault".to_owned(),
        Err(error) => format!("the fault, and {error:#}"),
    })?;
    seen?;
    fires(platform, fault.after, began, within).await?;
    Ok(began.elapsed())
}

/// Waits until nothing of the last fault is left that would be in the way of the next, nor anything fires
/// already that the next is to make fire; but for what goes on for hours.
async fn whole(platform: &Platform, fault: &Fault) -> anyhow::Result<()> {
    let goes_on = |alert: &str| STAY.iter().any(|(name, _)| *name == alert);
    let own = fault.during.iter().chain(fault.after);
    let own: Vec<&str> = own.copied().filter(|alert| !goes_on(alert)).collect();
    let deadline = Instant::now() + WHOLE_WITHIN;
    loop {
        let active = platform.prometheus.active().await?;
        let unwanted = BROKEN.iter().chain(&own);
        let left: BTreeSet<&str> = unwanted
            .copied()
            .filter(|alert| active.contains(*alert))
            .collect();
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            bail!("not begun: {left:?} for {WHOLE_WITHIN:?}");
        }
        sleep(LOOK).await;
    }
}

/// Waits until each of these has fired since.
async fn fires(
    platform: &Platform,
    alerts: &[&str],
    since: Instant,
    within: Duration,
) -> anyhow::Result<()> {
    let deadline = Instant::now() + within;
    loop {
        let seconds = since.elapsed().as_secs().max(1);
        let fired = platform.prometheus.fired(seconds).await?;
        let missing: Vec<&str> = alerts
            .iter()
            .copied()
            .filter(|name| !fired.contains(*name))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            bail!("not within {within:?}: {missing:?}; fired have {fired:?}");
        }
        sleep(LOOK).await;
    }
}

/// Waits until nothing fires any more but what goes on for reasons that are named.
async fn quiet(platform: &Platform) -> anyhow::Result<String> {
    let deadline = Instant::now() + QUIET_WITHIN;
    loop {
        let firing = platform.prometheus.firing().await?;
        let staying: BTreeSet<String> = STAY.iter().map(|(name, _)| (*name).to_owned()).collect();
        let left: Vec<&String> = firing.difference(&staying).collect();
        if left.is_empty() {
            return Ok(format!("{} still judge the hours before", firing.len()));
        }
        if Instant::now() >= deadline {
            bail!("not quiet within {QUIET_WITHIN:?}: {left:?}");
        }
        sleep(LOOK).await;
    }
}

// === impl Tally ===

impl Tally {
    fn fault(&mut self, fault: &Fault, result: anyhow::Result<Duration>) {
        let count = fault.during.len() + fault.after.len();
        let note = result.map(|took| format!("{:.1} s, {count} alerts fired", took.as_secs_f32()));
        self.told(fault.name, note);
    }

    fn count(&mut self, name: &str, began: Instant, result: anyhow::Result<String>) {
        let seconds = began.elapsed().as_secs_f32();
        self.told(name, result.map(|note| format!("{seconds:.1} s; {note}")));
    }

    fn told(&mut self, name: &str, result: anyhow::Result<String>) {
        match result {
            Ok(note) => {
                self.passed += 1;
                println!("test {name} ... ok ({note})");
            }
            Err(error) => {
                self.failed += 1;
                println!("test {name} ... FAILED\n    {error:#}");
            }
        }
    }
}
