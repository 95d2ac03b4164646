//! `restart SERVICE[/N]`: stops it, drained, and starts it again.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use clap::Args;
use tokio::time::{Instant, sleep};

use crate::stack::Stack;
use crate::stack::control::{self, Wish};
use crate::stack::supervisor::{StatusReport, Target};
use crate::verbs::given;
use crate::verbs::kill::{nothing_runs, tell};

/// How long a restart may take: what is in hand is finished, and a start follows, maybe on a busy machine.
const BACK_WITHIN: Duration = Duration::from_secs(120);
/// How often it is looked whether it is back.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Arguments of `restart`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The service, or one instance of it; waits until it is ready again, for 120 s at most
    #[arg(value_name = "SERVICE[/N]", value_parser = given::target)]
    target: String,
}

/// Restarts a service and waits until it is ready again.
///
/// # Errors
/// When nothing runs, there is no such service, or it is not ready in time.
pub async fn run(arguments: Arguments, stack: &Stack) -> anyhow::Result<ExitCode> {
    let target: Target = arguments.target.parse()?;
    let before = look(stack).await?;
    let wish = Wish::Restart {
        target: arguments.target,
    };
    tell(stack, &wish).await?;
    let deadline = Instant::now() + BACK_WITHIN;
    loop {
        let away = away(&target, &before, &look(stack).await?);
        if away.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        if Instant::now() >= deadline {
            let (away, seconds) = (away.join(", "), BACK_WITHIN.as_secs());
            bail!(
                "{away} not ready within {seconds} s; `logs {}` may say why",
                target.unit
            );
        }
        sleep(LOOK_EVERY).await;
    }
}

async fn look(stack: &Stack) -> anyhow::Result<StatusReport> {
    let report = control::ask(stack.folder(), &Wish::Peek).await?;
    report.ok_or_else(|| nothing_runs(stack))
}

/// Which of the instances that were there are not ready again, each as a process of its own.
fn away(target: &Target, before: &StatusReport, now: &StatusReport) -> Vec<String> {
    let wanted = before.processes.iter().filter(|was| {
        was.service == target.unit && target.instance.is_none_or(|n| n == was.instance)
    });
    let away = wanted.filter(|was| {
        !now.processes.iter().any(|is| {
            is.service == was.service
                && is.instance == was.instance
                && is.ready
                && is.pid != was.pid
        })
    });
    away.map(|was| format!("{}/{}", was.service, was.instance))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::supervisor::ProcessReport;

    /// Service, instance, process, readiness.
    type Seen = (&'static str, u16, u32, bool);

    fn report(processes: &[Seen]) -> StatusReport {
        let processes = processes.iter().map(|(service, instance, pid, ready)| {
            let service = (*service).to_owned();
            ProcessReport {
                service,
                instance: *instance,
                pid: *pid,
                ready: *ready,
                ..ProcessReport::default()
            }
        });
        StatusReport {
            processes: processes.collect(),
            ..StatusReport::default()
        }
    }

    #[test]
    fn it_is_back_once_each_instance_is_another_process_and_ready() {
        let before = report(&[("a", 1, 10, true), ("a", 2, 20, true), ("b", 1, 30, true)]);
        let not_yet: [(&[Seen], &[&str]); 4] = [
            (&[("a", 1, 10, true), ("a", 2, 20, true)], &["a/1", "a/2"]),
            (&[("a", 1, 11, true), ("a", 2, 0, false)], &["a/2"]),
            (&[("a", 1, 11, false), ("a", 2, 21, true)], &["a/1"]),
            (&[("a", 1, 11, true), ("a", 2, 21, true)], &[]),
        ];
        for (now, missing) in not_yet {
            let target = "a".parse().unwrap();
            assert_eq!(away(&target, &before, &report(now)), missing, "{now:?}");
        }
        let one = "a/2".parse().unwrap();
        let now = report(&[("a", 1, 10, true), ("a", 2, 21, true)]);
        assert!(away(&one, &before, &now).is_empty(), "the other stays");
    }
}
