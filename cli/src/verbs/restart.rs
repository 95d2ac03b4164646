//! `restart SERVICE[/N]`: stops it, drained, and starts it again.

use std::process::ExitCode;

use clap::Args;

use crate::stack::Stack;
use crate::stack::control::Wish;
use crate::verbs::given;
use crate::verbs::kill::tell;

/// Arguments of `restart`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The service, or one instance of it
    #[arg(value_name = "SERVICE[/N]", value_parser = given::target)]
    target: String,
}

/// Restarts a service.
///
/// # Errors
/// When nothing runs or there is no such service.
pub async fn run(arguments: Arguments, stack: &Stack) -> anyhow::Result<ExitCode> {
    let wish = Wish::Restart {
        target: arguments.target,
    };
    tell(stack, &wish).await
}
