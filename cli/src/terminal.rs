//! What the commands print. Data goes to standard output, everything about the work itself to
//! standard error; progress is shown on a terminal only.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsFd;

use anyhow::Context as _;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use serde::Serialize;
use tokio::sync::oneshot;

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

/// Ends once nobody reads standard output any more: a command that only prints has no more to do then. A
/// thread that ends with the process does the waiting, so that no other event is needed to find out.
pub async fn unread() {
    let (tell, told) = oneshot::channel();
    std::thread::spawn(move || {
        if wait_unread(io::stdout()) {
            tell.send(()).ok();
        }
    });
    if told.await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Waits until the other end of a pipe is closed; false when that cannot be seen.
fn wait_unread(out: impl AsFd) -> bool {
    loop {
        // Asked for nothing, it tells of errors alone.
        match poll(&mut [PollFd::new(&out, PollFlags::empty())], None) {
            Ok(_) => return true,
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_closed_pipe_is_noticed_although_nothing_is_written() {
        let (reader, writer) = io::pipe().unwrap();
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || tell.send(wait_unread(writer)));
        let early = told.recv_timeout(Duration::from_millis(50));
        assert!(early.is_err(), "somebody still reads");
        drop(reader);
        let noticed = told.recv_timeout(Duration::from_secs(10));
        assert_eq!(noticed, Ok(true));
    }
}
