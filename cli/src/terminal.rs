//! What the commands print. Data goes to standard output, everything about the work itself to
//! standard error; progress is shown on a terminal only.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};

use anyhow::Context as _;
use serde::Serialize;

/// A line of data. A closed pipe (`| head`) is no fault.
pub fn say(line: impl Display) {
    writeln!(io::stdout().lock(), "{line}").ok();
}

/// A line about the work.
pub fn note(line: impl Display) {
    writeln!(io::stderr().lock(), "{line}").ok();
}

/// A line about the work's progress; nothing when nobody watches.
pub fn step(line: impl Display) {
    if io::stderr().is_terminal() {
        note(format!("  {line} …"));
    }
}

/// Data as JSON on one line.
///
/// # Errors
/// When it has no form in JSON.
pub fn say_json(data: &impl Serialize) -> anyhow::Result<()> {
    say(serde_json::to_string(data).context("write JSON")?);
    Ok(())
}

/// Shows what goes on as one line that replaces itself; nothing when output is no terminal.
#[derive(Debug, Default)]
pub struct Progress {
    shown: String,
}

// === impl Progress ===

impl Progress {
    /// Shows another text.
    pub fn show(&mut self, text: &str) {
        if self.shown == text || !io::stderr().is_terminal() {
            return;
        }
        text.clone_into(&mut self.shown);
        let mut out = io::stderr().lock();
        write!(out, "\r\x1b[K  {text} …").ok();
        out.flush().ok();
    }

    /// Wipes the line.
    pub fn clear(&mut self) {
        if !self.shown.is_empty() {
            write!(io::stderr().lock(), "\r\x1b[K").ok();
            self.shown.clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}
