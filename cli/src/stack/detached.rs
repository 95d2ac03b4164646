//! Starts a supervisor in a session of its own and waits until its stack is ready.

use std::fs::OpenOptions;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::time::sleep;

use super::boot::last_lines;
use super::control::{self, Wish};
use super::folder::Folder;
use super::options::StackOptions;
use super::prepare;
use super::supervisor::StatusReport;
use crate::terminal::Progress;

const POLL: Duration = Duration::from_millis(50);

/// Whether the stack was started or was there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    /// This call started it.
    Started,
    /// It ran, or somebody else was starting it.
    Joined,
}

/// Starts the stack of a folder, or joins the one that runs, and waits until it is ready.
///
/// # Errors
/// When it could not be started.
pub async fn start(folder: &Folder, options: &StackOptions) -> anyhow::Result<Begun> {
    if control::ask(folder, &Wish::Peek).await?.is_some() {
        wait_booted(folder, None).await?;
        return Ok(Begun::Joined);
    }
    prepare::claim(folder, options).await?;
    let mut child = spawn(folder, options)?;
    wait_booted(folder, Some(&mut child)).await?;
    let supervisor = control::ask(folder, &Wish::Peek)
        .await?
        .map(|report| report.supervisor);
    Ok(if supervisor == Some(child.id()) {
        Begun::Started
    } else {
        Begun::Joined
    })
}

/// Waits until the stack of a folder is ready. `child` is its supervisor when this process started
/// it: its end is noticed at once.
///
/// # Errors
/// When the supervisor ends before.
pub async fn wait_booted(
    folder: &Folder,
    mut child: Option<&mut Child>,
) -> anyhow::Result<StatusReport> {
    let mut progress = Progress::default();
    progress.show("preparing");
    loop {
        let report = control::ask(folder, &Wish::Peek).await.unwrap_or_default();
        if let Some(report) = report {
            if report.booted {
                return Ok(report);
            }
            progress.show(&report.phase);
        } else if child.is_none() {
            bail!("the stack was stopped while it started");
        }
        if let Some(started) = child.as_deref_mut()
            && let Some(status) = started.try_wait().context("look after the supervisor")?
        {
            if status.code() != Some(i32::from(crate::verbs::supervise::TAKEN)) {
                bail!(
                    "the stack did not start: {}",
                    last_lines(&folder.supervisor_log(), 15)
                );
            }
            // Another `up` was quicker; its socket appears as soon as it has prepared its servers.
            wait_for_socket(folder).await?;
            child = None;
        }
        sleep(POLL).await;
    }
}

async fn wait_for_socket(folder: &Folder) -> anyhow::Result<()> {
    // The first preparation fetches jars and makes a database: minutes on a slow network.
    for _ in 0..(600_000 / POLL.as_millis()) {
        if control::ask(folder, &Wish::Peek).await?.is_some() {
            return Ok(());
        }
        sleep(POLL).await;
    }
    bail!(
        "another process holds the lock of {} and does not answer",
        folder.root().display()
    )
}

fn spawn(folder: &Folder, options: &StackOptions) -> anyhow::Result<Child> {
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.supervisor_log())
        .context("open the supervisor's log")?;
    // Appending, as the rotation expects, but only this run's lines: an error shows their end.
    log.set_len(0).context("begin the supervisor's log anew")?;
    let options = serde_json::to_string(options).context("write the options")?;
    let program = std::env::current_exe().context("find this program")?;
    // Its own session: it outlives the terminal, and the terminal's signals pass it by.
    Command::new("setsid")
        .arg(program)
        .arg("--data")
        .arg(folder.root())
        .args(["supervise", "--options", &options])
        .stdin(Stdio::null())
        .stdout(log.try_clone().context("share the log")?)
        .stderr(log)
        .spawn()
        .context("start the supervisor")
}
