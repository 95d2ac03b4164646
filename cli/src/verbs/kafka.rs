//! `kafka TOOL …`: Kafka's own tools, connected as super user.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Args;
use tokio::net::TcpStream;

use crate::stack::Stack;
use crate::stack::kafka_files::{Jars, admin_file};
use crate::verbs::Unknown;

/// Arguments of `kafka`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// topics, consumer-groups, groups, acls, configs, get-offsets, console-consumer,
    /// console-producer, metadata-quorum, features, delete-records, transactions, log-dirs,
    /// dump-log
    #[arg(value_parser = tool)]
    tool: &'static Tool,
    /// Handed on to the tool
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

/// A tool: its name, its class, and whether it talks to a broker.
type Tool = (&'static str, &'static str, bool);

static TOOLS: [Tool; 14] = [
    ("topics", "org.apache.kafka.tools.TopicCommand", true),
    (
        "consumer-groups",
        "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
        true,
    ),
    ("groups", "org.apache.kafka.tools.GroupsCommand", true),
    ("acls", "org.apache.kafka.tools.AclCommand", true),
    ("configs", "kafka.admin.ConfigCommand", true),
    ("get-offsets", "org.apache.kafka.tools.GetOffsetShell", true),
    (
        "console-consumer",
        "org.apache.kafka.tools.consumer.ConsoleConsumer",
        true,
    ),
    (
        "console-producer",
        "org.apache.kafka.tools.ConsoleProducer",
        true,
    ),
    (
        "metadata-quorum",
        "org.apache.kafka.tools.MetadataQuorumCommand",
        true,
    ),
    ("features", "org.apache.kafka.tools.FeatureCommand", true),
    (
        "delete-records",
        "org.apache.kafka.tools.DeleteRecordsCommand",
        true,
    ),
    (
        "transactions",
        "org.apache.kafka.tools.TransactionsCommand",
        true,
    ),
    ("log-dirs", "org.apache.kafka.tools.LogDirsCommand", true),
    ("dump-log", "org.apache.kafka.tools.DumpLogSegments", false),
];

/// Runs a tool.
///
/// # Errors
/// When nothing runs or there is no such tool.
pub async fn run(arguments: Arguments, stack: &Stack) -> anyhow::Result<ExitCode> {
    let (_, class, online) = arguments.tool;
    let mut command = Jars::provide().await?.tool(class);
    if *online {
        let brokers = stack.endpoints()?.kafka.brokers;
        answers(&brokers).await?;
        command.args(["--bootstrap-server", &brokers]);
        let configuration = admin_file(stack.folder());
        if configuration.is_file() {
            command.arg("--command-config").arg(configuration);
        }
    }
    let status = command
        .args(&arguments.rest)
        .status()
        .await
        .context("run the tool")?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn tool(name: &str) -> anyhow::Result<&'static Tool> {
    let asked = name.trim_start_matches("kafka-");
    let found = TOOLS.iter().find(|(name, ..)| *name == asked);
    found.with_context(|| {
        let names: Vec<&str> = TOOLS.iter().map(|(name, ..)| *name).collect();
        format!("there are {}", names.join(", "))
    })
}

/// Against a dead broker Kafka's tools hang for a minute.
async fn answers(brokers: &str) -> anyhow::Result<()> {
    let first = brokers
        .split(',')
        .next()
        .ok_or_else(|| anyhow!("no brokers are known"))?;
    let connect = tokio::time::timeout(Duration::from_secs(2), TcpStream::connect(first)).await;
    match connect {
        Ok(Ok(_)) => Ok(()),
        _ => Err(Unknown(format!("no broker answers at {first}")).into()),
    }
}
