//! `scale SERVICE N`: runs so many instances.

use std::process::ExitCode;

use clap::Args;

use crate::stack::Stack;
use crate::stack::control::Wish;
use crate::stack::ports::INSTANCES_MAX;
use crate::verbs::given;
use crate::verbs::kill::tell;

/// Arguments of `scale`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The service
    #[arg(value_parser = given::unit(), hide_possible_values = true)]
    service: String,
    /// How many
    #[arg(value_parser = clap::value_parser!(u16).range(1..=i64::from(INSTANCES_MAX)))]
    instances: u16,
}

/// Scales a service.
///
/// # Errors
/// When nothing runs, or the service cannot have so many instances.
pub async fn run(arguments: Arguments, stack: &Stack) -> anyhow::Result<ExitCode> {
    let wish = Wish::Scale {
        service: arguments.service,
        instances: arguments.instances,
    };
    tell(stack, &wish).await
}
