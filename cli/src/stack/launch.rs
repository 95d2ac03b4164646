//! How a process is started: what, as whom, with which environment, and how it is stopped.
//!
//! The kernel ends it when the supervisor dies, even by SIGKILL. That holds for the process itself,
//! not for children of its own: only PostgreSQL has any, and those end with their postmaster.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::Signal;
use tokio::process::{Child, Command};

/// One process to be.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Added to the supervisor's environment.
    pub environment: BTreeMap<String, String>,
    /// The user to become; none: the supervisor's.
    pub user: Option<String>,
    /// What the kernel sends it when the supervisor dies.
    pub death_signal: &'static str,
    /// What asks it to stop.
    pub stop_signal: Signal,
    /// How long it may take to.
    pub stop_grace: Duration,
    /// Where its output goes.
    pub log: PathBuf,
    /// A file that it writes while it exits, and the name it gets when that went well.
    pub left_behind: Option<(PathBuf, PathBuf)>,
}

// === impl Launch ===

impl Launch {
    /// A process with the usual manners: SIGTERM asks it to stop, and it dies with the supervisor.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>, log: PathBuf) -> Self {
        Self {
            program: program.into(),
            arguments: vec![],
            environment: BTreeMap::new(),
            user: None,
            death_signal: "KILL",
            stop_signal: Signal::TERM,
            stop_grace: Duration::from_secs(15),
            log,
            left_behind: None,
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn arguments<T: Into<String>>(mut self, all: impl IntoIterator<Item = T>) -> Self {
        self.arguments.extend(all.into_iter().map(Into::into));
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.insert(name.to_owned(), value.into());
        self
    }

    /// Starts it. To be called on the supervisor's main thread only: the parent-death signal is
    /// sent when the *thread* ends that called this.
    ///
    /// # Errors
    /// When the log cannot be opened or the program cannot be started.
    pub fn spawn(&self) -> anyhow::Result<Child> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .with_context(|| format!("open {}", self.log.display()))?;
        let mut command = Command::new("setpriv");
        command
            .args(self.privileges())
            .arg("--")
            .arg(&self.program)
            .args(&self.arguments)
            .envs(&self.environment)
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("share the log")?)
            .stderr(log)
            // Its own group: Ctrl-C in the terminal reaches the supervisor alone, which then stops
            // everything in order.
            .process_group(0);
        command
            .spawn()
            .with_context(|| format!("start {}", self.program.display()))
    }

    fn privileges(&self) -> Vec<String> {
        // setpriv sets the death signal last: a change of user would clear it.
        let mut flags = vec!["--pdeathsig".to_owned(), self.death_signal.to_owned()];
        if let Some(user) = &self.user {
            flags.push(format!("--reuid={user}"));
            flags.push(format!("--regid={user}"));
            flags.push("--init-groups".to_owned());
        }
        flags
    }
}
