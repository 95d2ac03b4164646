//! What a supervisor that was killed may have left: processes that the kernel has not ended with
//! it, and files that say that something runs.

use std::fs;
use std::time::Duration;

use rustix::process::Signal;

use super::folder::Folder;
use super::process::{self, ProcessIdentity};

/// After SIGKILL a process is gone in an instant.
const GONE_WITHIN: Duration = Duration::from_secs(10);

/// Ends every remembered process that still is the one remembered, and removes the files. To be
/// called under the folder's lock: nobody starts processes meanwhile. Returns how many there were.
pub async fn end(folder: &Folder) -> usize {
    let alive = alive(folder);
    for identity in &alive {
        process::signal_tree(identity.pid, Signal::KILL);
        process::kill_group(identity.pid);
    }
    for identity in &alive {
        if !process::wait_gone(identity, GONE_WITHIN).await {
            tracing::error!(pid = identity.pid, "process survived SIGKILL");
        }
    }
    for path in [
        folder.processes(),
        folder.endpoints(),
        folder.control_socket(),
    ] {
        fs::remove_file(path).ok();
    }
    alive.len()
}

/// Remembered processes that still run. One whose number belongs to another process by now is not
/// among them.
#[must_use]
pub fn alive(folder: &Folder) -> Vec<ProcessIdentity> {
    let text = fs::read(folder.processes()).unwrap_or_default();
    let remembered: Vec<ProcessIdentity> = serde_json::from_slice(&text).unwrap_or_default();
    remembered
        .into_iter()
        .filter(|identity| identity.pid != std::process::id() && identity.is_alive())
        .collect()
}
