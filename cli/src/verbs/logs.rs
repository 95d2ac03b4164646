//! `logs SERVICE [-f]`: a service's log lines.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use anyhow::Context as _;
use clap::Args;

use crate::stack::Stack;
use crate::verbs::{Unknown, given};

/// Arguments of `logs`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The service (`order`, `order/2`, `postgres`, `kafka`, `supervisor`)
    #[arg(value_name = "SERVICE[/N]", value_parser = whose)]
    service: String,
    /// Go on as lines come
    #[arg(short, long)]
    follow: bool,
    /// So many lines from the end
    #[arg(short = 'n', long, default_value_t = 200)]
    lines: u32,
}

/// Shows a log.
///
/// # Errors
/// When there is none.
#[allow(clippy::unused_async, reason = "every verb has the same shape")]
pub async fn run(arguments: Arguments, stack: &Stack) -> anyhow::Result<ExitCode> {
    let (service, instance) = match arguments.service.split_once('/') {
        Some((service, number)) => (service, number.parse().context("read the instance")?),
        None => (arguments.service.as_str(), 1),
    };
    let path = match service {
        "supervisor" => stack.folder().supervisor_log(),
        _ => stack.folder().log(service, instance),
    };
    if !path.is_file() {
        return Err(Unknown(format!("there is no log {}", path.display())).into());
    }
    let mut tail = Command::new("tail");
    tail.args(["-n", &arguments.lines.to_string()]);
    if arguments.follow {
        tail.arg("-F");
    }
    Err(tail.arg(&path).exec()).context("run tail")
}

fn whose(text: &str) -> anyhow::Result<String> {
    match text {
        "supervisor" => Ok(text.to_owned()),
        _ => given::target(text),
    }
}
