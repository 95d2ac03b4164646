//! `toolbox`: keeps a container alive in which people and jobs run the other verbs.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use crate::terminal;

/// Arguments of `toolbox`.
#[derive(Clone, Copy, Debug, Args)]
pub struct Arguments {}

/// Waits for SIGTERM or SIGINT.
///
/// # Errors
/// When signals cannot be watched.
pub async fn run() -> anyhow::Result<ExitCode> {
    let mut term = signal(SignalKind::terminate()).context("watch SIGTERM")?;
    let mut int = signal(SignalKind::interrupt()).context("watch SIGINT")?;
    terminal::note("run verbs in this container: brewline --help");
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    Ok(ExitCode::SUCCESS)
}
