//! Bounds the log files of processes that know nothing of files.
//!
//! They append to an inherited descriptor, so a file cannot be renamed away under them: it is
//! copied and cut. What is written between the two is lost; logs are no evidence.

use std::fs::{self, OpenOptions};
use std::path::Path;
use std::time::Duration;

/// A file this long is copied to `NAME.1` and begun anew.
pub const LOG_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// How often lengths are looked at.
pub const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// Cuts every log of a folder that has grown too long.
pub fn rotate(folder: &Path, bytes_max: u64) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.filter_map(Result::ok) {
        let path = entry.path();
        let is_log = path.extension().is_some_and(|extension| extension == "log");
        let length = entry.metadata().map_or(0, |metadata| metadata.len());
        if is_log
            && length > bytes_max
            && let Err(error) = cut(&path)
        {
            tracing::warn!(path = %path.display(), %error, "log was not rotated");
        }
    }
}

fn cut(path: &Path) -> std::io::Result<()> {
    let mut older = path.as_os_str().to_owned();
    older.push(".1");
    fs::copy(path, older)?;
    OpenOptions::new().write(true).open(path)?.set_len(0)
}
