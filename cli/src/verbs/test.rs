//! `test`: placeholder until the suite is wired.

use std::process::ExitCode;

use clap::Args;

use crate::stack::Stack;

/// Arguments of `test`.
#[derive(Debug, Args)]
pub struct Arguments {}

/// Runs the suite.
///
/// # Errors
/// When it cannot be started.
#[allow(clippy::unused_async, reason = "every verb has the same shape")]
pub async fn run(_arguments: Arguments, _stack: &Stack) -> anyhow::Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
