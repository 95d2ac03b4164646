//! From an empty folder to a running stack.

use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use anyhow::bail;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep};

use super::control;
use super::folder::{Folder, FolderLock};
use super::observe::PROMETHEUS;
use super::options::StackOptions;
use super::prepare::{Prepared, Servers, prepare};
use super::services::SERVICES;
use super::supervisor::{Handle, Request, Supervisor};
use crate::terminal;

/// A process that is not ready after this long will not be.
const READY_WITHIN: Duration = Duration::from_secs(120);
const READY_POLL: Duration = Duration::from_millis(30);

/// Runs a stack until it is told to end. `ready` runs once everything is; when it or the boot
/// fails, everything is stopped again.
///
/// # Errors
/// When the stack cannot be prepared or started.
pub async fn run(
    folder: &Folder,
    options: &StackOptions,
    _lock: FolderLock,
    ready: impl AsyncFnOnce() -> anyhow::Result<()> + 'static,
) -> anyhow::Result<()> {
    let prepared = prepare(folder, options).await?;
    let local = LocalSet::new();
    let (folder, terms) = (folder.clone(), options.terms.clone());
    let work = local.run_until(async move {
        let Prepared { plan, servers } = prepared;
        let units: Vec<String> = plan.units.iter().map(|unit| unit.name.clone()).collect();
        let (supervisor, handle) = Supervisor::new(folder.clone(), plan, terms);
        let _control = control::listen(&folder, handle.clone())?;
        let failure = Rc::new(RefCell::new(None));
        let reported = Rc::clone(&failure);
        let boot = tokio::task::spawn_local(async move {
            let start = Start {
                handle: &handle,
                folder: &folder,
                units: &units,
            };
            let started = async {
                start.servers(servers).await?;
                start.services().await?;
                handle.ask(Request::Booted).await?;
                ready().await
            };
            if let Err(error) = started.await {
                // Kept before the stop: the supervisor ends without waiting for this task.
                *reported.borrow_mut() = Some(error);
                handle.ask(Request::Down).await.ok();
            }
        });
        supervisor.run().await?;
        boot.abort();
        let failed = failure.borrow_mut().take();
        failed.map_or(Ok(()), Err)
    });
    work.await
}

/// Starts units in order.
struct Start<'a> {
    handle: &'a Handle,
    folder: &'a Folder,
    units: &'a [String],
}

// === impl Start ===

impl Start<'_> {
    async fn servers(&self, servers: Option<Servers>) -> anyhow::Result<()> {
        self.phase("starting PostgreSQL and Kafka").await?;
        // The sandbox needs neither, and is up when the first service calls it.
        let early: Vec<&String> = self
            .units
            .iter()
            .filter(|name| !needs_servers(name))
            .collect();
        for name in &early {
            self.handle.ask(Request::Start((*name).clone())).await?;
        }
        let Some(servers) = servers else {
            return Ok(());
        };
        let postgres = async {
            self.wait_ready("postgres").await?;
            servers.provision_postgres().await
        };
        let kafka = async {
            self.wait_ready("kafka").await?;
            servers.provision_kafka().await
        };
        tokio::try_join!(postgres, kafka)?;
        Ok(())
    }

    async fn services(&self) -> anyhow::Result<()> {
        let late: Vec<&String> = self
            .units
            .iter()
            .filter(|name| needs_servers(name))
            .collect();
        for name in late {
            self.handle.ask(Request::Start(name.clone())).await?;
        }
        for name in self.units {
            self.phase(&format!("waiting for {name}")).await?;
            self.wait_ready(name).await?;
        }
        Ok(())
    }

    async fn phase(&self, text: &str) -> anyhow::Result<()> {
        terminal::step(text);
        self.handle.ask(Request::Phase(text.to_owned())).await?;
        Ok(())
    }

    /// Waits until all instances of a unit are ready; a unit that is not in the plan is.
    async fn wait_ready(&self, name: &str) -> anyhow::Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            let report = self.handle.ask(Request::Peek).await?;
            let mut mine = report
                .processes
                .iter()
                .filter(|process| process.service == name);
            let Some(slow) = mine.find(|process| !process.ready) else {
                return Ok(());
            };
            if Instant::now() >= deadline {
                let seconds = READY_WITHIN.as_secs();
                let log = self.folder.log(name, slow.instance);
                let end = slow.last_end.as_deref().unwrap_or("it runs");
                bail!(
                    "{name} was not ready within {seconds} s ({end}); the end of {}:\n{}",
                    log.display(),
                    last_lines(&log, 10)
                );
            }
            sleep(READY_POLL).await;
        }
    }
}

/// Prometheus needs none, but whom it asks does.
fn needs_servers(name: &str) -> bool {
    name == PROMETHEUS || (SERVICES.contains(&name) && name != "sandbox")
}

/// The end of a file, for an error's sake.
#[must_use]
pub fn last_lines(path: &Path, count: usize) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let start = lines.len().saturating_sub(count);
    lines.get(start..).unwrap_or_default().join("\n")
}
