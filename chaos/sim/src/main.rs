//! `brewline-sim`: runs seeds, and tells the story of one that fails.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Instant;

use brewline_sim::{Sum, run, run_many};
use clap::Parser;
use serde_json::json;

/// Runs the services' decisions under seeds over an in-memory log and store.
#[derive(Debug, Parser)]
#[command(name = "brewline-sim", version)]
struct Arguments {
    /// How many seeds, from the first on; 1000 unless a single one is asked for
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: Option<u64>,
    /// The first seed; alone, it is the only one and its story is told
    #[arg(long)]
    seed: Option<u64>,
    /// Tell the result as JSON
    #[arg(long)]
    json: bool,
}

/// How many seeds a run takes that was told nothing: about a second's worth.
const SEEDS: u64 = 1_000;

/// The exit code of wrong usage, as `brewline` has it.
const USAGE: u8 = 64;

fn main() -> anyhow::Result<ExitCode> {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are answers; everything else is wrong usage.
            error.print()?;
            let code = if error.use_stderr() { USAGE } else { 0 };
            return Ok(ExitCode::from(code));
        }
    };
    let code = match (arguments.seed, arguments.seeds) {
        (Some(seed), None) => one(seed, arguments.json)?,
        (base, count) => many(base.unwrap_or(1), count.unwrap_or(SEEDS), arguments.json)?,
    };
    Ok(code)
}

fn one(seed: u64, as_json: bool) -> io::Result<ExitCode> {
    let run = run(seed, true);
    let mut out = io::stdout().lock();
    let digest = format!("{:016x}", run.digest);
    if as_json {
        let told = json!({
            "seed": seed, "digest": digest, "events": run.events, "orders": run.orders,
            "violations": run.violations, "trace": run.trace,
        });
        writeln!(out, "{told}")?;
    } else {
        for line in &run.trace {
            writeln!(out, "{line}")?;
        }
        for violation in &run.violations {
            writeln!(out, "FAIL {violation}")?;
        }
        writeln!(
            out,
            "seed {seed}: {} events, {} orders, digest {digest}",
            run.events, run.orders
        )?;
    }
    Ok(exit_code(run.violations.is_empty()))
}

fn many(base: u64, count: u64, as_json: bool) -> io::Result<ExitCode> {
    let began = Instant::now();
    let sum = run_many(base, count);
    let millis = u64::try_from(began.elapsed().as_millis())
        .unwrap_or(u64::MAX)
        .max(1);
    let per_second = sum.seeds.saturating_mul(1_000) / millis;
    let mut out = io::stdout().lock();
    if as_json {
        writeln!(out, "{}", told_as_json(&sum, per_second))?;
    } else {
        tell(&mut out, &sum, per_second)?;
        if let Some((seed, violations)) = &sum.failure {
            for line in run(*seed, true).trace {
                writeln!(out, "{line}")?;
            }
            for violation in violations {
                writeln!(out, "FAIL {violation}")?;
            }
            let failed = sum.failed;
            writeln!(
                out,
                "{failed} seeds failed; the story above is seed {seed}: brewline-sim --seed {seed}"
            )?;
        }
    }
    Ok(exit_code(sum.failure.is_none()))
}

fn tell(out: &mut impl io::Write, sum: &Sum, per_second: u64) -> io::Result<()> {
    let hours = sum.simulated / 3_600_000_000;
    let faults: u64 = sum.coverage.faults.values().sum();
    writeln!(out, "faults injected, and checkouts met in each phase:")?;
    for (fault, count) in &sum.coverage.faults {
        let met = sum.coverage.met.iter().filter(|((_, met), _)| met == fault);
        let met: Vec<String> = met
            .map(|((phase, _), count)| format!("{phase} {count}"))
            .collect();
        writeln!(out, "  {fault:<38} {count:>9}  {}", met.join(", "))?;
    }
    let endings = sum.coverage.endings.iter();
    let endings: Vec<String> = endings
        .map(|(status, count)| format!("{count} {status}"))
        .collect();
    writeln!(out, "orders: {} ({})", sum.orders, endings.join(", "))?;
    writeln!(
        out,
        "{} seeds, {} events, {faults} faults, {} phases × faults reached, {hours} h simulated, {per_second} seeds/s",
        sum.seeds,
        sum.events,
        sum.coverage.met.len(),
    )
}

fn told_as_json(sum: &Sum, per_second: u64) -> serde_json::Value {
    let met =
        sum.coverage.met.iter().map(
            |((phase, fault), count)| json!({ "phase": phase, "fault": fault, "count": count }),
        );
    json!({
        "verdict": if sum.failure.is_none() { "pass" } else { "fail" },
        "seeds": sum.seeds,
        "failed": sum.failed,
        "events": sum.events,
        "orders": sum.orders,
        "endings": sum.coverage.endings,
        "faults": sum.coverage.faults,
        "met": met.collect::<Vec<_>>(),
        "simulatedSeconds": sum.simulated / 1_000_000,
        "seedsPerSecond": per_second,
        "failure": sum.failure.as_ref().map(|(seed, violations)| json!({ "seed": seed, "violations": violations })),
    })
}

fn exit_code(pass: bool) -> ExitCode {
    if pass {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
