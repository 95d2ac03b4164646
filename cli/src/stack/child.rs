//! One process kept alive: spawn, wait, back off, spawn again.

use std::fs;
use std::rc::Rc;
use std::time::Duration;

use rustix::process::Signal;
use tokio::process::Child;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::backoff::RestartBackoff;
use super::launch::Launch;
use super::process;

/// After SIGKILL a process is gone in an instant, unless the kernel holds it in a disk's wait.
const KILL_GRACE: Duration = Duration::from_secs(10);

/// What a supervisor tells a child's keeper.
#[derive(Clone, Copy, Debug)]
pub enum Order {
    /// Stop it for good.
    Stop,
    /// Stop it and start it again at once.
    Restart,
    /// Send it a signal.
    Signal(Signal),
}

/// What a keeper tells its supervisor.
#[derive(Debug)]
pub struct Event {
    /// The unit.
    pub unit: String,
    /// The instance, from 1.
    pub instance: u16,
    /// What happened.
    pub what: Happened,
}

/// What happened to a process.
#[derive(Debug)]
pub enum Happened {
    /// It runs.
    Started {
        /// Its number.
        pid: u32,
    },
    /// It ended by itself; it is started again after the pause.
    Died {
        /// How, in words.
        how: String,
        /// The pause.
        pause: Duration,
    },
    /// It was stopped in order to be started again.
    Restarting,
    /// It was stopped for good.
    Gone,
}

/// Keeps one process alive until it is told to stop.
pub struct Keeper {
    /// The unit.
    pub unit: String,
    /// The instance, from 1.
    pub instance: u16,
    /// How it is started, asked before every start.
    pub launch: Rc<dyn Fn() -> anyhow::Result<Launch>>,
    /// How long it waits before it starts what died.
    pub backoff: RestartBackoff,
    /// What the supervisor says.
    pub orders: mpsc::Receiver<Order>,
    /// What the supervisor is told.
    pub events: mpsc::Sender<Event>,
}

enum Ended {
    Died(String),
    Restart,
    Stopped,
}

// === impl Keeper ===

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keeper({}/{})", self.unit, self.instance)
    }
}

impl Keeper {
    /// Runs until [`Order::Stop`], or until the supervisor is gone.
    pub async fn run(mut self) {
        loop {
            let began = Instant::now();
            let ended = match self.live_once().await {
                Ok(ended) => ended,
                Err(error) => Ended::Died(format!("{error:#}")),
            };
            let carry_on = match ended {
                Ended::Stopped => false,
                Ended::Restart => {
                    self.tell(Happened::Restarting).await;
                    true
                }
                Ended::Died(how) => {
                    let pause = self.backoff.after(began.elapsed());
                    self.tell(Happened::Died { how, pause }).await;
                    self.wait_before_restart(pause).await
                }
            };
            if !carry_on {
                self.tell(Happened::Gone).await;
                return;
            }
        }
    }

    async fn live_once(&mut self) -> anyhow::Result<Ended> {
        let launch = (self.launch)()?;
        let mut child = launch.spawn()?;
        let pid = child.id().unwrap_or_default();
        self.tell(Happened::Started { pid }).await;
        loop {
            // Taking an order before looking at the exit would signal a number that may belong to
            // nobody; the child is not reaped before `wait` returns, so the number is still its own.
            tokio::select! {
                status = child.wait() => {
                    let how = status.map_or_else(|error| error.to_string(), |s| s.to_string());
                    // What it had started in its group must not outlive it and hold its ports.
                    process::kill_group(pid);
                    return Ok(Ended::Died(how));
                }
                order = self.orders.recv() => match order {
                    Some(Order::Signal(signal)) => send(&self.unit, pid, signal),
                    Some(Order::Restart) => {
                        stop(&mut child, pid, &launch).await;
                        return Ok(Ended::Restart);
                    }
                    Some(Order::Stop) | None => {
                        stop(&mut child, pid, &launch).await;
                        return Ok(Ended::Stopped);
                    }
                }
            }
        }
    }

    /// False when it was told to stop meanwhile.
    async fn wait_before_restart(&mut self, pause: Duration) -> bool {
        let deadline = Instant::now() + pause;
        loop {
            match tokio::time::timeout_at(deadline, self.orders.recv()).await {
                Err(_) | Ok(Some(Order::Restart)) => return true,
                Ok(Some(Order::Stop) | None) => return false,
                Ok(Some(Order::Signal(_))) => {}
            }
        }
    }

    async fn tell(&self, what: Happened) {
        let event = Event {
            unit: self.unit.clone(),
            instance: self.instance,
            what,
        };
        if self.events.send(event).await.is_err() {
            tracing::debug!(unit = self.unit, "supervisor is gone");
        }
    }
}

fn send(unit: &str, pid: u32, signal: Signal) {
    // A frozen postmaster with running workers would be no frozen PostgreSQL.
    let whole_tree = [Signal::STOP, Signal::CONT, Signal::KILL].contains(&signal);
    if whole_tree {
        process::signal_tree(pid, signal);
    } else if let Err(error) = process::signal(pid, signal) {
        tracing::warn!(unit, pid, %error, "signal was not sent");
    }
}

/// Asks the process to stop, waits, and kills its whole group when it has not.
async fn stop(child: &mut Child, pid: u32, launch: &Launch) {
    // A frozen process would sleep through the request.
    for signal in [launch.stop_signal, Signal::CONT] {
        if let Err(error) = process::signal(pid, signal) {
            tracing::debug!(pid, %error, "process was gone before it was asked to stop");
        }
    }
    if let Ok(Ok(_)) = timeout(launch.stop_grace, child.wait()).await {
        process::kill_group(pid);
        keep_what_it_left(launch);
        return;
    }
    process::signal_tree(pid, Signal::KILL);
    process::kill_group(pid);
    if timeout(KILL_GRACE, child.wait()).await.is_err() {
        tracing::error!(pid, "process survived SIGKILL");
    }
}

/// A file that is whole only after a clean exit gets its real name now.
fn keep_what_it_left(launch: &Launch) {
    if let Some((temporary, lasting)) = &launch.left_behind
        && temporary.exists()
        && let Err(error) = fs::rename(temporary, lasting)
    {
        tracing::warn!(%error, "file left by a process was not kept");
    }
}
