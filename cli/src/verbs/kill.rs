//! `kill SERVICE[/N]`: sends a signal; the supervisor starts again what dies of it.

use std::process::ExitCode;

use clap::Args;

use crate::stack::Stack;
use crate::stack::control::{self, Wish};
use crate::verbs::{Unknown, given};

/// Arguments of `kill`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The service, or one instance of it
    #[arg(value_name = "SERVICE[/N]", value_parser = given::target)]
    target: String,
    /// The signal, by name or number
    #[arg(long, default_value = "KILL", value_parser = given::signal)]
    signal: String,
}

/// Signals a service.
///
/// # Errors
/// When nothing runs or there is no such service or signal.
pub async fn run(arguments: Arguments, stack: &Stack) -> anyhow::Result<ExitCode> {
    let wish = Wish::Kill {
        target: arguments.target,
        signal: arguments.signal,
    };
    tell(stack, &wish).await
}

/// Asks the supervisor for something that has no answer but yes or no.
///
/// # Errors
/// When nothing runs, or the answer is no.
pub async fn tell(stack: &Stack, wish: &Wish) -> anyhow::Result<ExitCode> {
    match control::ask(stack.folder(), wish).await? {
        Some(_) => Ok(ExitCode::SUCCESS),
        None => Err(nothing_runs(stack)),
    }
}

/// What is said when no supervisor listens.
pub(super) fn nothing_runs(stack: &Stack) -> anyhow::Error {
    let shown = stack.folder().root().display();
    Unknown(format!("nothing runs on {shown}")).into()
}
