//! `down`: stops everything, drained; works as well when the supervisor is dead.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use clap::Args;

use crate::stack::control::{self, Wish};
use crate::stack::folder::FolderLock;
use crate::stack::process::{self, ProcessIdentity};
use crate::stack::{Folder, Stack, leftovers};
use crate::terminal::{self, Progress};

/// The longest stop: every unit's grace, one after the other.
const STOPPED_WITHIN: Duration = Duration::from_secs(150);

/// Arguments of `down`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Remove the data folder too: orders, payments, everything
    #[arg(long)]
    purge: bool,
}

/// Stops the stack.
///
/// # Errors
/// When it does not stop, or its folder cannot be removed.
pub async fn run(arguments: Arguments, stack: &Stack) -> anyhow::Result<ExitCode> {
    let folder = stack.folder();
    if !folder.root().exists() {
        terminal::note(format!("nothing runs on {}", folder.root().display()));
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.purge {
        purge(folder).await?;
    } else {
        terminal::note(stop(folder).await?);
    }
    Ok(ExitCode::SUCCESS)
}

/// Stops what runs on a folder and removes it with everything in it.
///
/// # Errors
/// When a stack runs in a folder below, the stack does not stop, or the folder cannot be removed.
pub async fn purge(folder: &Folder) -> anyhow::Result<()> {
    let shown = folder.root().display();
    if !folder.root().exists() {
        terminal::note(format!("nothing runs on {shown}"));
        return Ok(());
    }
    // Held until everything is gone, so that nothing is started below meanwhile.
    let _locks = lock_inner(folder).await?;
    terminal::note(stop(folder).await?);
    folder.purge()?;
    terminal::note(format!("{shown} is removed"));
    Ok(())
}

/// The locks of the data folders below (`test` and the kill tests have theirs there), with what
/// their killed supervisors had left ended.
async fn lock_inner(folder: &Folder) -> anyhow::Result<Vec<FolderLock>> {
    let mut locks = vec![];
    for inner in folder.inner() {
        let Some(lock) = inner.try_lock()? else {
            let shown = inner.root().display();
            bail!("a stack runs on {shown}: stop it first (`brewline --data {shown} down`)");
        };
        leftovers::end(&inner).await;
        locks.push(lock);
    }
    Ok(locks)
}

/// Stops what runs on a folder and says what that was.
///
/// # Errors
/// When it does not stop in time.
pub async fn stop(folder: &Folder) -> anyhow::Result<String> {
    let mut progress = Progress::default();
    if let Some(report) = control::ask(folder, &Wish::Peek).await? {
        progress.show("stopping");
        let supervisor = ProcessIdentity::of(report.supervisor);
        control::ask(folder, &Wish::Down).await?;
        let gone = match &supervisor {
            Some(identity) => process::wait_gone(identity, STOPPED_WITHIN).await,
            None => true,
        };
        if !gone {
            bail!(
                "the stack did not stop within {} s",
                STOPPED_WITHIN.as_secs()
            );
        }
        return Ok("stopped".to_owned());
    }
    if !folder.is_ours() {
        return Ok(format!("nothing runs on {}", folder.root().display()));
    }
    let Some(_lock) = folder.try_lock()? else {
        bail!(
            "{} is just being started; try again when it is",
            folder.root().display()
        );
    };
    Ok(match leftovers::end(folder).await {
        0 => format!("nothing runs on {}", folder.root().display()),
        count => format!("the supervisor was dead; {count} processes that it had left are stopped"),
    })
}
