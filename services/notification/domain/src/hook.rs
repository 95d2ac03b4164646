//! Calls of webhooks, by the specification "Standard Webhooks" 1.0.0.

use std::time::Duration;

/// How often a call is tried: by the schedule below that is three days and more.
pub const CALL_ATTEMPTS_MAX: u32 = 10;

/// The wait after each attempt, before jitter: quick at first, then up to days, as the specification
/// proposes.
const WAITS_S: [u64; 9] = [5, 30, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000];

/// The longest wait that an endpoint may ask for by `Retry-After`.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 3_600);

/// The types of events that are sent, with the events behind them.
pub const HOOK_TYPES: [(&str, &str); 6] = [
    ("order.placed", "brewline.order.v1.OrderPlaced"),
    ("order.confirmed", "brewline.order.v1.OrderConfirmed"),
    ("order.rejected", "brewline.order.v1.OrderRejected"),
    ("order.ready", "brewline.order.v1.OrderReady"),
    ("order.collected", "brewline.order.v1.OrderCollected"),
    ("order.cancelled", "brewline.order.v1.OrderCancelled"),
];

/// What an endpoint said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallAnswer {
    /// A status, with what it asks callers to wait.
    Status {
        /// The HTTP status.
        status: u16,
        /// `Retry-After`, when it was there.
        retry_after: Option<Duration>,
    },
    /// Nothing that could be understood; why, for people.
    None(String),
    /// It was not called: the address is none that we call. Why, for people.
    Forbidden(String),
}

/// What follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallNext {
    /// Done.
    Delivered,
    /// Again, after this long.
    Again {
        /// How long to wait.
        after: Duration,
        /// Why, for people.
        reason: String,
    },
    /// Given up; an operator may have it delivered again.
    Failed {
        /// Why, for people.
        reason: String,
    },
    /// The endpoint is gone for good: it is disabled.
    Disable,
}

/// The type under which an event is shown outside, if it is.
#[must_use]
pub fn hook_type(event_type: &str) -> Option<&'static str> {
    let found = HOOK_TYPES.iter().find(|(_, event)| *event == event_type);
    found.map(|(name, _)| *name)
}

/// What is signed: the message's id, the attempt's time, the body.
#[must_use]
pub fn signed(id: &str, timestamp_s: i64, payload: &str) -> String {
    format!("{id}.{timestamp_s}.{payload}")
}

/// What follows from the answer to attempt `attempt` (the first is 1); `random` is drawn by the
/// caller, evenly from all of `u64`. A redirect is a failure: it could lead anywhere.
#[must_use]
pub fn after_call(answer: CallAnswer, attempt: u32, random: u64) -> CallNext {
    let (reason, asked) = match answer {
        CallAnswer::Status {
            status: 200..=299, ..
        } => return CallNext::Delivered,
        CallAnswer::Status { status: 410, .. } => return CallNext::Disable,
        CallAnswer::Status {
            status,
            retry_after,
        } => (format!("it answered {status}"), retry_after),
        CallAnswer::None(reason) => (reason, None),
        CallAnswer::Forbidden(reason) => (reason, None),
    };
    if attempt >= CALL_ATTEMPTS_MAX {
        return CallNext::Failed { reason };
    }
    let asked = asked.unwrap_or_default().min(RETRY_AFTER_MAX);
    CallNext::Again {
        after: jittered(attempt, random).max(asked),
        reason,
    }
}

/// Full jitter up to the schedule's wait.
fn jittered(attempt: u32, random: u64) -> Duration {
    let place = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX);
    let cap_s = WAITS_S.get(place).or(WAITS_S.last()).copied();
    let cap_ms = cap_s.unwrap_or_default().saturating_mul(1_000);
    Duration::from_millis(random.checked_rem(cap_ms.saturating_add(1)).unwrap_or(0))
}
