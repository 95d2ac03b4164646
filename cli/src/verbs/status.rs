//! `status`: each process, and how far each consumer is behind.

use std::process::ExitCode;
use std::time::Duration;

use brewline_proto::operator::v1::ListPositionsRequest;
use brewline_proto::operator::v1::operator_service_client::OperatorServiceClient;
use clap::Args;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use futures_util::future::join_all;
use serde::Serialize;
use tokio::time::timeout;

use crate::stack::Stack;
use crate::stack::control::{self, Wish};
use crate::stack::supervisor::{ProcessReport, StatusReport};
use crate::terminal;

mod elsewhere;

/// Services that consume and so have positions.
const CONSUMING: [&str; 5] = [
    "order",
    "inventory",
    "barista",
    "notification",
    "leaderboard",
];

/// A service that takes longer to say how far it is has more to tell by its readiness.
const POSITIONS_WITHIN: Duration = Duration::from_secs(2);

/// Arguments of `status`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The whole answer.
#[derive(Debug, Serialize)]
struct Status {
    ready: bool,
    phase: String,
    processes: Vec<ProcessReport>,
    consumers: Vec<Consumer>,
}

/// One consumer in one partition.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Consumer {
    group: String,
    topic: String,
    partition: i32,
    seconds_behind: i64,
    records: i64,
}

/// Shows the status: 0 when everything is ready, 1 when something is not, 2 when nothing runs.
///
/// # Errors
/// When the supervisor does not answer as it should.
pub async fn run(arguments: Arguments, stack: &Stack) -> anyhow::Result<ExitCode> {
    // Together, so that one that is frozen costs its own patience and no more.
    let (report, consumers) = tokio::join!(report(stack), consumers(stack));
    let report = report?;
    let code = if report.ready {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    };
    let status = Status {
        ready: report.ready,
        phase: report.phase,
        processes: report.processes,
        consumers,
    };
    if arguments.json {
        terminal::say_json(&status)?;
    } else {
        print(&status);
    }
    Ok(code)
}

async fn report(stack: &Stack) -> anyhow::Result<StatusReport> {
    if stack.is_elsewhere() {
        return Ok(elsewhere::report(&stack.endpoints()?).await);
    }
    control::ask(stack.folder(), &Wish::Status)
        .await?
        .ok_or_else(|| {
            let shown = stack.folder().root().display();
            super::Unknown(format!("nothing runs on {shown}")).into()
        })
}

/// How far every consumer is. A service that does not answer in time is seen among the processes;
/// its positions are missing.
async fn consumers(stack: &Stack) -> Vec<Consumer> {
    let asked = CONSUMING.map(|service| timeout(POSITIONS_WITHIN, positions(stack, service)));
    let answers = join_all(asked).await.into_iter().flatten().flatten();
    let mut consumers: Vec<Consumer> = answers.flatten().collect();
    consumers
        .sort_by(|a, b| (&a.group, &a.topic, a.partition).cmp(&(&b.group, &b.topic, b.partition)));
    consumers
}

async fn positions(stack: &Stack, service: &str) -> anyhow::Result<Vec<Consumer>> {
    let mut client = OperatorServiceClient::new(stack.channel(service)?);
    let answer = client
        .list_positions(ListPositionsRequest {})
        .await?
        .into_inner();
    let consumers = answer.positions.into_iter().map(|position| Consumer {
        group: position.group,
        topic: position.topic,
        partition: position.partition,
        seconds_behind: position.behind_ms / 1000,
        records: (position.end_offset - position.next_offset).max(0),
    });
    Ok(consumers.collect())
}

fn print(status: &Status) {
    let mut processes = Table::new();
    processes.load_style(NOTHING);
    processes.set_header([
        "service", "pid", "port", "ready", "version", "MiB", "restarts",
    ]);
    for process in &status.processes {
        processes.add_row([
            format!("{}/{}", process.service, process.instance),
            process.pid.to_string(),
            process
                .port
                .map_or_else(|| "-".to_owned(), |port| port.to_string()),
            if process.ready { "yes" } else { "no" }.to_owned(),
            process.version.clone(),
            process.memory_mib.to_string(),
            process.restarts.to_string(),
        ]);
    }
    terminal::say(processes);
    if !status.consumers.is_empty() {
        let mut consumers = Table::new();
        consumers.load_style(NOTHING);
        consumers.set_header([
            "consumer",
            "topic",
            "partition",
            "records behind",
            "seconds behind",
        ]);
        for consumer in &status.consumers {
            consumers.add_row([
                consumer.group.clone(),
                consumer.topic.clone(),
                consumer.partition.to_string(),
                consumer.records.to_string(),
                consumer.seconds_behind.to_string(),
            ]);
        }
        terminal::say(format!("\n{consumers}"));
    }
    terminal::say(format!("\n{}", in_words(status)));
}

fn in_words(status: &Status) -> String {
    if status.ready {
        return "ready".to_owned();
    }
    let missing = status.processes.iter().filter(|process| !process.ready);
    let names: Vec<String> = missing
        .map(|process| format!("{}/{}", process.service, process.instance))
        .collect();
    match names.as_slice() {
        [] => status.phase.clone(),
        names => format!("{}; not ready: {}", status.phase, names.join(", ")),
    }
}
