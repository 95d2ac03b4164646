use std::fmt;
use std::str::FromStr;

use brewline_kernel::Timestamp;

use crate::KeyLifetime;

/// The three things that can be done to an order's money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Hold the amount.
    Authorise,
    /// Take what is held.
    Capture,
    /// Undo whatever has happened.
    Reverse,
}

/// How far an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Recorded; its request may or may not have been made.
    Requested,
    /// Its request was made and gave no definite answer.
    Unknown,
    /// It took effect.
    Done,
    /// The card's bank refused it, for good.
    Declined,
    /// The processor refused it, for good.
    Refused,
}

/// Why a text is no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the state of an operation")]
pub struct UnknownState(String);

/// One operation as it is on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// How far it is.
    pub state: State,
    /// How many requests were made for it.
    pub attempts: u32,
    /// Its request cannot have taken effect before this instant: when it was first made, or when a
    /// look-up found nothing. None before the first.
    pub not_before: Option<Timestamp>,
    /// What was seen last: a decline code, or words for people.
    pub detail: String,
}

/// What may be asked of the processor next, as far as the age of a key decides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The request itself: for the first time, or while the processor knows its key.
    Make,
    /// A look-up: the processor may have forgotten the key of a request that took effect.
    LookUp,
}

// === impl Kind ===

impl Kind {
    /// The name on record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authorise => "authorise",
            Self::Capture => "capture",
            Self::Reverse => "reverse",
        }
    }
}

// === impl State ===

impl State {
    /// The name on record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Unknown => "unknown",
            Self::Done => "done",
            Self::Declined => "declined",
            Self::Refused => "refused",
        }
    }

    /// Whether it will never change again.
    #[must_use]
    pub const fn is_definite(self) -> bool {
        match self {
            Self::Requested | Self::Unknown => false,
            Self::Done | Self::Declined | Self::Refused => true,
        }
    }
}

impl FromStr for State {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [
            Self::Requested,
            Self::Unknown,
            Self::Done,
            Self::Declined,
            Self::Refused,
        ]
        .into_iter()
        .find(|state| state.as_str() == text)
        .ok_or_else(|| UnknownState(text.chars().take(32).collect()))
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl Operation ===

impl Operation {
    /// As it is recorded before anything was asked of the processor.
    #[must_use]
    pub const fn requested() -> Self {
        Self {
            state: State::Requested,
            attempts: 0,
            not_before: None,
            detail: String::new(),
        }
    }

    /// A request that has not taken effect before an instant has a key that is no older than that:
    /// while that is young, a repeat is harmless. Later it is looked up, and when that finds nothing,
    /// the count starts again.
    pub(crate) fn next(&self, now: Timestamp, lifetime: KeyLifetime) -> Next {
        match self.not_before {
            Some(instant) if !lifetime.surely_known(instant, now) => Next::LookUp,
            _ => Next::Make,
        }
    }

    /// Counts a request that is about to leave.
    pub(crate) fn ask(&mut self, now: Timestamp) {
        self.attempts = self.attempts.saturating_add(1);
        self.not_before.get_or_insert(now);
    }

    pub(crate) fn settle(&mut self, state: State, detail: &str) {
        if !self.state.is_definite() {
            self.state = state;
            detail.clone_into(&mut self.detail);
        }
    }

    /// Keeps that a look-up asked for at `asked_at` found no effect.
    pub(crate) fn absent(&mut self, asked_at: Timestamp) {
        self.settle(State::Unknown, "the processor has no record of it yet");
        self.not_before = self.not_before.max(Some(asked_at));
    }

    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }
}
