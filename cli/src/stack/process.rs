//! What the kernel says about processes, and signals to them.
//!
//! A pid alone proves nothing: numbers are used again. A process is named by its pid together with
//! its start time and the machine's boot, and only then is it safe to signal a remembered one.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};

/// A process that cannot be mistaken for a later one with the same pid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessIdentity {
    /// Its number.
    pub pid: u32,
    /// When it was started, in the kernel's ticks since boot.
    pub start_ticks: u64,
    /// The boot in which those ticks count.
    pub boot_id: String,
}

// === impl ProcessIdentity ===

impl ProcessIdentity {
    /// The process that has this pid now; none when nobody has.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        Some(Self {
            pid,
            start_ticks: start_ticks(pid)?,
            boot_id: boot_id(),
        })
    }

    /// Whether that very process still runs (a zombie does not).
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.boot_id == boot_id()
            && start_ticks(self.pid) == Some(self.start_ticks)
            && state(self.pid) != Some('Z')
    }
}

/// Sends a signal to one process.
///
/// # Errors
/// When there is no such process or it may not be signalled.
pub fn signal(pid: u32, signal: Signal) -> anyhow::Result<()> {
    rustix::process::kill_process(number(pid)?, signal)
        .with_context(|| format!("signal process {pid}"))
}

/// Sends a signal to a process and everything it started, its children first for SIGKILL's sake.
pub fn signal_tree(root: u32, signal_number: Signal) {
    // Workers of PostgreSQL leave their postmaster's process group, so the group would not do.
    for pid in descendants(root).into_iter().chain([root]) {
        if let Err(error) = signal(pid, signal_number) {
            tracing::debug!(pid, %error, "process was gone before the signal");
        }
    }
}

/// Sends SIGKILL to a whole process group.
pub fn kill_group(leader: u32) {
    let Ok(pid) = number(leader) else { return };
    if let Err(error) = rustix::process::kill_process_group(pid, Signal::KILL) {
        tracing::debug!(leader, %error, "process group was gone before the signal");
    }
}

/// A signal by its name, with or without `SIG`, or by its number.
///
/// # Errors
/// When there is no such signal.
pub fn parse_signal(text: &str) -> anyhow::Result<Signal> {
    let upper = text.to_ascii_uppercase();
    let signal = match upper.strip_prefix("SIG").unwrap_or(&upper) {
        "HUP" | "1" => Signal::HUP,
        "INT" | "2" => Signal::INT,
        "QUIT" | "3" => Signal::QUIT,
        "ABRT" | "6" => Signal::ABORT,
        "KILL" | "9" => Signal::KILL,
        "USR1" | "10" => Signal::USR1,
        "USR2" | "12" => Signal::USR2,
        "TERM" | "15" => Signal::TERM,
        "CONT" | "18" => Signal::CONT,
        "STOP" | "19" => Signal::STOP,
        _ => {
            return Err(anyhow!(
                "there is no signal {text} here (KILL, TERM, STOP, CONT, …)"
            ));
        }
    };
    Ok(signal)
}

/// Memory that a process and its descendants hold, in MiB; shared pages are counted once where the
/// kernel tells.
#[must_use]
pub fn memory_mib(root: u32) -> u64 {
    let all = descendants(root).into_iter().chain([root]);
    all.map(memory_kib).sum::<u64>() / 1024
}

/// Waits until a process has ended; false when it has not within `limit`.
pub async fn wait_gone(identity: &ProcessIdentity, limit: Duration) -> bool {
    let deadline = tokio::time::Instant::now() + limit;
    while identity.is_alive() {
        if tokio::time::Instant::now() >= deadline {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    true
}

/// Everything a process started that still runs, at any depth.
#[must_use]
pub fn descendants(root: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = all_pids()
        .into_iter()
        .filter_map(|pid| Some((pid, stat_field(pid, 1)?.parse().ok()?)))
        .collect();
    let mut found = vec![];
    let mut wanted = vec![root];
    while let Some(parent) = wanted.pop() {
        let children = parents.iter().filter(|(_, of)| *of == parent);
        for (pid, _) in children {
            found.push(*pid);
            wanted.push(*pid);
        }
    }
    found
}

fn all_pids() -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return vec![];
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect()
}

fn memory_kib(pid: u32) -> u64 {
    let field = |file: &str, name: &str| -> Option<u64> {
        let text = fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    field("smaps_rollup", "Pss:")
        .or_else(|| field("status", "VmRSS:"))
        .unwrap_or(0)
}

fn number(pid: u32) -> anyhow::Result<Pid> {
    i32::try_from(pid)
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| anyhow!("{pid} is no process number"))
}

/// A field of `/proc/PID/stat`, counted from the state (0), which follows the name in brackets.
fn stat_field(pid: u32, index: usize) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold spaces and brackets of its own: only the last bracket ends it.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(index).map(str::to_owned)
}

fn state(pid: u32) -> Option<char> {
    stat_field(pid, 0)?.chars().next()
}

fn start_ticks(pid: u32) -> Option<u64> {
    stat_field(pid, 19)?.parse().ok()
}

fn boot_id() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.trim().to_owned()
}
