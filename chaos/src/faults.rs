//! Faults that can be done to a running system, and undone: signals to processes, crash points in a
//! test build, misbehaviour of the card processor.

use std::time::Duration;

use hyper::Method;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::workload::{self, Client};

/// How long a switch may take to answer.
const SWITCH_WITHIN: Duration = Duration::from_secs(5);

/// Why a fault could not be done. Then nothing was proved: the verdict is unknown.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such process.
    #[error("process {pid}: {why}")]
    Process {
        /// The process.
        pid: u32,
        /// What the kernel says.
        why: String,
    },
    /// A switch did not answer.
    #[error("no answer: {0}")]
    NoAnswer(#[from] workload::Error),
    /// A switch refused.
    #[error("refused: {0}")]
    Refused(String),
}

/// Ends a process at once, without any clean-up.
///
/// # Errors
/// When there is no such process.
pub fn kill(pid: u32) -> Result<(), Error> {
    signal(pid, Signal::KILL)
}

/// Stops a process where it stands, as a long pause of its machine would.
///
/// # Errors
/// When there is no such process.
pub fn freeze(pid: u32) -> Result<(), Error> {
    signal(pid, Signal::STOP)
}

/// Lets a stopped process go on.
///
/// # Errors
/// When there is no such process.
pub fn thaw(pid: u32) -> Result<(), Error> {
    signal(pid, Signal::CONT)
}

fn signal(pid: u32, signal: Signal) -> Result<(), Error> {
    let error = |why: String| Error::Process { pid, why };
    let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let process = raw.ok_or_else(|| error("no process id".to_owned()))?;
    kill_process(process, signal).map_err(|why| error(why.to_string()))
}

/// Arms crash points of the process whose admin port is at `admin`: `name=kill;other=pause:500`. An
/// empty plan disarms all.
///
/// # Errors
/// When the process does not answer or has no crash points.
pub async fn arm(admin: &str, plan: &str) -> Result<(), Error> {
    put(admin, "/failpoints", plan.to_owned()).await
}

/// Makes the card processor behind `processor` misbehave in `what` (`authorise`, `capture`, `void`,
/// `refund`, `keys`).
///
/// # Errors
/// When it does not answer or does not know such a behaviour.
pub async fn misbehave(processor: &str, what: &str, how: &Value) -> Result<(), Error> {
    put(processor, &format!("/behaviour/{what}"), how.to_string()).await
}

/// Switches a planted bug on in the process whose admin port is at `admin`; an empty name, all off.
///
/// # Errors
/// When the process does not answer or holds no bugs.
pub async fn plant(admin: &str, bug: &str) -> Result<(), Error> {
    put(admin, "/planted-bug", bug.to_owned()).await
}

/// Makes the card processor behave again.
///
/// # Errors
/// When it does not answer.
pub async fn behave(processor: &str) -> Result<(), Error> {
    switch(processor, Method::DELETE, "/behaviour", String::new()).await
}

async fn put(base: &str, path: &str, body: String) -> Result<(), Error> {
    switch(base, Method::PUT, path, body).await
}

async fn switch(base: &str, method: Method, path: &str, body: String) -> Result<(), Error> {
    let answer = Client::new(base, SWITCH_WITHIN)
        .send(method, path, None, body)
        .await?;
    if answer.status.is_success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&answer.body);
    Err(Error::Refused(format!(
        "{path} answered {}: {text}",
        answer.status
    )))
}
