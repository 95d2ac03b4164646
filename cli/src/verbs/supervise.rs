//! `supervise`: what `up --detach` and `servers up` leave running.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use crate::stack::options::StackOptions;
use crate::stack::{Stack, boot, leftovers, prepare};

/// Somebody else started a stack on the folder first.
pub const TAKEN: u8 = 75;

/// Arguments of `supervise`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// What to run, as JSON
    #[arg(long)]
    options: String,
}

/// Runs a stack until it is told to end.
///
/// # Errors
/// When the stack cannot be started.
pub async fn run(arguments: Arguments, stack: &Stack) -> anyhow::Result<ExitCode> {
    let options: StackOptions =
        serde_json::from_str(&arguments.options).context("understand --options")?;
    let folder = stack.folder();
    prepare::claim(folder, &options).await?;
    let Some(lock) = folder.try_lock()? else {
        return Ok(ExitCode::from(TAKEN));
    };
    leftovers::end(folder).await;
    boot::run(folder, &options, lock, async || Ok(())).await?;
    Ok(ExitCode::SUCCESS)
}
