//! What clients asked for and what they were told.
//!
//! A journal is a file of JSON lines. Each request is written before it is sent (`invoke`) and again
//! when it ends: `ok` (it was answered with success), `fail` (it was refused for good, so it must
//! have had no effect) or `info` (nobody knows: a timeout, a reset, a 5xx). Calling an `info` a
//! `fail` would turn a lost order into a pass; so anything not certain is `info`.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// About to be sent.
    Invoke,
    /// Answered with success.
    Ok,
    /// Refused for good.
    Fail,
    /// Nobody knows.
    Info,
}

/// One line of a journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// Microseconds since 1970, by the client's clock.
    pub at_micros: i64,
    /// How it stands.
    pub phase: Phase,
    /// `place` or `cancel`.
    pub operation: String,
    /// The store the order is for.
    pub store_id: String,
    /// The idempotency key.
    pub key: String,
    /// The order, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<Uuid>,
    /// The HTTP status, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Names the body, so that a repeat with another one can be told.
    #[serde(default)]
    pub body: u64,
}

/// Writes a journal. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Journal(Arc<Mutex<File>>);

/// Everything a journal says about one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Story {
    /// The store asked.
    pub store_id: String,
    /// The bodies sent under this key.
    pub bodies: Vec<u64>,
    /// The orders named in successful answers, each with the body it answered.
    pub accepted: Vec<(u64, Uuid)>,
    /// Whether every attempt was refused for good.
    pub refused: bool,
    /// Attempts that ended without a certain answer, or never ended.
    pub open: u64,
}

/// A journal as read: place-order requests by key.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// By idempotency key.
    pub placed: BTreeMap<String, Story>,
    /// The stores that only the journal's clients order from.
    pub stores: Vec<String>,
}

// === impl Journal ===

impl Journal {
    /// Appends to the file at `path`, which is made when missing.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self(Arc::new(Mutex::new(file))))
    }

    /// Writes a line. It is with the operating system when this returns, so that it outlives this
    /// process; a journal need not outlive the machine, which no test here takes away.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, line: &Line) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write_all(&text)
    }
}

// === impl History ===

impl History {
    /// Reads a journal. A torn last line, left by a client that was killed, is skipped.
    ///
    /// # Errors
    /// When the file cannot be read, or a line other than the last makes no sense.
    pub fn read(path: &Path) -> io::Result<Self> {
        let lines = BufReader::new(File::open(path)?)
            .lines()
            .collect::<Result<Vec<_>, _>>()?;
        let last = lines.len().saturating_sub(1);
        let mut parsed = Vec::with_capacity(lines.len());
        for (index, text) in lines.iter().enumerate() {
            match serde_json::from_str::<Line>(text) {
                Ok(line) => parsed.push(line),
                Err(_) if index == last => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Self::of(&parsed))
    }

    /// The history that `lines` tell.
    #[must_use]
    pub fn of(lines: &[Line]) -> Self {
        let mut history = Self::default();
        for line in lines.iter().filter(|line| line.operation == "place") {
            history
                .placed
                .entry(line.key.clone())
                .or_default()
                .take(line);
            if !history.stores.contains(&line.store_id) {
                history.stores.push(line.store_id.clone());
            }
        }
        history
    }
}

// === impl Story ===

impl Story {
    fn take(&mut self, line: &Line) {
        self.store_id.clone_from(&line.store_id);
        match line.phase {
            Phase::Invoke => {
                self.bodies.push(line.body);
                self.open += 1;
            }
            Phase::Ok => {
                self.open = self.open.saturating_sub(1);
                self.accepted
                    .extend(line.order_id.map(|order| (line.body, order)));
            }
            Phase::Fail => {
                self.open = self.open.saturating_sub(1);
                self.refused = true;
            }
            // An uncertain end leaves the attempt open for good.
            Phase::Info => {}
        }
    }

    /// Whether it is certain that no order may exist under this key.
    #[must_use]
    pub const fn must_be_absent(&self) -> bool {
        self.refused && self.open == 0 && self.accepted.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(phase: Phase, key: &str) -> Line {
        Line {
            at_micros: 0,
            phase,
            operation: "place".to_owned(),
            store_id: "s".to_owned(),
            key: key.to_owned(),
            order_id: (phase == Phase::Ok).then(Uuid::nil),
            status: None,
            body: 7,
        }
    }

    #[test]
    fn only_a_certain_refusal_demands_absence() {
        use Phase::{Fail, Info, Invoke, Ok};
        let of = |phases: &[Phase]| {
            let lines: Vec<_> = phases.iter().map(|phase| line(*phase, "k")).collect();
            History::of(&lines).placed["k"].must_be_absent()
        };
        assert!(of(&[Invoke, Fail]));
        assert!(!of(&[Invoke, Info]));
        assert!(!of(&[Invoke]));
        assert!(
            !of(&[Invoke, Info, Invoke, Fail]),
            "the first attempt may have landed"
        );
        assert!(!of(&[Invoke, Ok, Invoke, Fail]));
    }
}
