//! `./brewline test cluster`: the chart on a real Kubernetes. One case after the other on one release,
//! and each ends with the books balanced.
//!
//! `kubectl` and `helm` are found on the PATH and know their cluster as always (`KUBECONFIG`); the
//! images must be there (`./brewline image --load …`). Arguments are cases to run (part of a name);
//! `--list` names them, `--purge` removes the release, its volumes and its namespace at the end.
//! Settings, all optional:
//!
//! * `BREWLINE_CLUSTER_NAMESPACE` (`brewline`), `BREWLINE_CLUSTER_RELEASE` (`brewline`)
//! * `BREWLINE_CLUSTER_VALUES`: one more file of values
//! * `BREWLINE_CLUSTER_NEXT_TAG`: another tag of the images, which upgrades change to; without it they
//!   change a setting of the services, which replaces the pods all the same
//! * `BREWLINE_CLUSTER_SLOWNESS` (1): how many times as long as on an idle machine things may take; what
//!   is promised in seconds stays as it is
//! * `BREWLINE_CLUSTER_RATE` (10): orders a second while something is done to the platform

#![allow(
    clippy::print_stdout,
    reason = "a test runner speaks on standard output"
)]

mod autoscaling;
mod edges;
mod faults;
mod kube;
mod lifecycle;
mod load;
mod observed;
mod release;
mod rollouts;

use std::fmt;
use std::process::ExitCode;
use std::time::Instant;

use release::Release;

/// One case: what it does says what came of it, in a few words, or that it is [`NotJudged`].
struct Case {
    name: &'static str,
    run: fn(&Release) -> anyhow::Result<String>,
}

/// In this order: each finds the platform as the one before has left it.
const CASES: [Case; 15] = [
    Case {
        name: "it-installs-in-a-restricted-namespace",
        run: lifecycle::install,
    },
    Case {
        name: "helm-test-places-an-order-and-verifies",
        run: lifecycle::helm_test,
    },
    Case {
        name: "only-the-edges-of-the-table-are-open",
        run: edges::only_those_of_the_table,
    },
    Case {
        name: "every-service-restarts-under-load-without-a-failed-request",
        run: rollouts::restart_every_service,
    },
    Case {
        name: "one-service-is-upgraded-alone",
        run: rollouts::upgrade_one,
    },
    Case {
        name: "all-are-upgraded-and-rolled-back-under-load",
        run: rollouts::upgrade_and_roll_back,
    },
    Case {
        name: "a-service-grows-and-shrinks-with-its-load",
        run: autoscaling::by_processor_time,
    },
    Case {
        name: "all-is-watched-and-an-order-leaves-one-trace",
        run: observed::rules_targets_and_a_trace,
    },
    Case {
        name: "a-consumer-that-falls-behind-grows-and-shrinks",
        run: autoscaling::by_seconds_behind,
    },
    Case {
        name: "ten-times-as-many-customers-lose-nothing-that-was-accepted",
        run: faults::spike,
    },
    Case {
        name: "killed-pods-lose-nothing-that-was-accepted",
        run: faults::kill_services,
    },
    Case {
        name: "a-killed-postgres-loses-nothing-that-was-accepted",
        run: faults::kill_postgres,
    },
    Case {
        name: "a-killed-kafka-loses-nothing-that-was-accepted",
        run: faults::kill_kafka,
    },
    Case {
        name: "a-drained-node-comes-back",
        run: lifecycle::drain,
    },
    Case {
        name: "a-reinstalled-release-finds-its-data",
        run: lifecycle::reinstall,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    if has("--list") {
        CASES
            .iter()
            .for_each(|case| println!("{}: test", case.name));
        return ExitCode::SUCCESS;
    }
    let wanted: Vec<&String> = arguments.iter().filter(|a| !a.starts_with("--")).collect();
    let chosen = |case: &&Case| {
        wanted.is_empty() || wanted.iter().any(|part| case.name.contains(part.as_str()))
    };
    let cases: Vec<&Case> = CASES.iter().filter(chosen).collect();
    let release = Release::from_environment();
    let failed = run(&cases, &release);
    if has("--purge")
        && let Err(error) = release.purge()
    {
        println!("purge: {error:#}");
    }
    if failed == 0 && !cases.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// This cluster lacks what a case needs, for the reason that is given.
#[derive(Debug)]
struct NotJudged(String);

// === impl NotJudged ===

impl fmt::Display for NotJudged {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "not judged: {}", self.0)
    }
}

impl std::error::Error for NotJudged {}

#[derive(PartialEq, Eq)]
enum Verdict {
    Passed,
    Failed,
    NotJudged,
}

/// Runs cases and says how many failed.
fn run(cases: &[&Case], release: &Release) -> usize {
    println!("\nrunning {} tests", cases.len());
    let begun = Instant::now();
    let verdicts: Vec<Verdict> = cases.iter().map(|case| judge(case, release)).collect();
    let count = |wanted: Verdict| {
        verdicts
            .iter()
            .filter(|verdict| **verdict == wanted)
            .count()
    };
    let failed = count(Verdict::Failed);
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {word}. {} passed; {failed} failed; {} ignored; 0 measured; {} filtered out; finished in {} s\n",
        count(Verdict::Passed),
        count(Verdict::NotJudged),
        CASES.len() - cases.len(),
        begun.elapsed().as_secs()
    );
    failed
}

fn judge(case: &Case, release: &Release) -> Verdict {
    let begun = Instant::now();
    let result = (case.run)(release).and_then(|note| {
        release.verify()?;
        Ok(note)
    });
    let (name, seconds) = (case.name, begun.elapsed().as_secs());
    match result {
        Ok(note) => {
            println!("test {name} ... ok ({seconds} s; {note})");
            Verdict::Passed
        }
        Err(error) if error.is::<NotJudged>() => {
            println!("test {name} ... ignored, {error}");
            Verdict::NotJudged
        }
        Err(error) => {
            println!("test {name} ... FAILED ({seconds} s)\n    {error:#}");
            Verdict::Failed
        }
    }
}
