use std::time::Duration;

use brewline_kernel::{Backoff, Timestamp};

use crate::Kind;

/// "Ready" loses its point after this long: the customer has come, or the coffee is cold.
pub const READY_LATE: Duration = Duration::from_secs(30 * 60);

/// A mail that nobody took for so long is given up: news of yesterday is noise.
pub const MAIL_TRIED_FOR: Duration = Duration::from_secs(24 * 3_600);

/// From half a second, for a hiccup, to five minutes, for an outage.
pub const MAIL_BACKOFF: Backoff =
    match Backoff::new(Duration::from_millis(500), Duration::from_secs(300)) {
        Ok(backoff) => backoff,
        Err(_) => panic!("the first wait is not longer than the longest"),
    };

/// What becomes of a message whose turn has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It is sent.
    Send,
    /// It lost its point, for this reason.
    Expire(&'static str),
    /// It was tried for too long.
    GiveUp(&'static str),
}

/// What a mail server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailAnswer {
    /// It has the mail.
    Taken,
    /// Not now, or nobody knows: it may have the mail.
    NotNow(String),
    /// It was not reached: no other mail would get through either.
    Away(String),
    /// Never.
    Never(String),
}

/// What follows from an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Done.
    Sent,
    /// Again, after this long.
    Again {
        /// How long to wait.
        after: Duration,
        /// Why, for people.
        reason: String,
    },
    /// Given up.
    Failed {
        /// Why, for people.
        reason: String,
    },
}

/// Decides over a message about an event of `happened_at` whose turn has come at `now`. `has_address`:
/// whether the customer still has one; who was erased has none.
#[must_use]
pub fn judge(kind: Kind, happened_at: Timestamp, has_address: bool, now: Timestamp) -> Turn {
    let age = now.since(happened_at);
    if !has_address {
        return Turn::Expire("the customer has no address");
    }
    if kind == Kind::Ready && age > READY_LATE {
        return Turn::Expire("too late to tell that the order is ready");
    }
    if age > MAIL_TRIED_FOR {
        return Turn::GiveUp("no mail server took it within a day");
    }
    Turn::Send
}

/// What follows from a mail server's answer to attempt `attempt` (the first is 1); `random` is drawn by
/// the caller, evenly from all of `u64`.
#[must_use]
pub fn after_mail(answer: MailAnswer, attempt: u32, random: u64) -> Next {
    match answer {
        MailAnswer::Taken => Next::Sent,
        MailAnswer::Never(reason) => Next::Failed { reason },
        MailAnswer::NotNow(reason) | MailAnswer::Away(reason) => Next::Again {
            after: MAIL_BACKOFF.delay(attempt.saturating_sub(1), random),
            reason,
        },
    }
}
