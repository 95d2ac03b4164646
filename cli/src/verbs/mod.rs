//! The verbs: one file each, with its `Arguments` and its `run`.

use std::process::ExitCode;

pub mod bench;
pub mod down;
pub mod events;
pub mod kafka;
pub mod kill;
pub mod logs;
pub mod order;
pub mod psql;
pub mod restart;
pub mod saga;
pub mod scale;
pub mod servers;
pub mod sim;
pub mod status;
pub mod supervise;
pub mod test;
pub mod up;
pub mod verify;
pub mod why;

/// It could not be told: what was asked did not answer.
pub const UNKNOWN: u8 = 2;
/// Wrong usage.
pub const USAGE: u8 = 64;

/// An error that says "could not tell" rather than "no".
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unknown(pub String);

/// The exit code of a failed verb.
#[must_use]
pub fn exit_code(error: &anyhow::Error) -> ExitCode {
    let unanswered = error.chain().any(|cause| {
        let timed_out = |error: &reqwest::Error| error.is_connect() || error.is_timeout();
        cause.is::<Unknown>() || cause.downcast_ref().is_some_and(timed_out)
    });
    if unanswered {
        ExitCode::from(UNKNOWN)
    } else {
        ExitCode::FAILURE
    }
}
