//! What must hold, whatever fails. One pure function each.

mod accounted;
mod boards;
mod books;
mod clients;
mod delivery;
mod epochs;
mod erasure;
mod money;
mod sagas;
#[cfg(test)]
mod sample;
mod tickets;
mod told;
mod totals;

use crate::evidence::Evidence;
use crate::verdict::{Finding, Judge, Report};

/// An invariant: its id, its name, and how it is judged.
type Invariant = (&'static str, &'static str, fn(&Evidence, Judge) -> Finding);

/// All of them, in the order they are reported.
const INVARIANTS: [Invariant; 19] = [
    (
        "I1",
        "no acknowledged order lost",
        clients::no_acknowledged_order_lost,
    ),
    ("I2", "no phantom order", clients::no_phantom_order),
    ("I3", "no oversell", books::no_oversell),
    (
        "I4",
        "reservations conserve stock",
        books::reservations_conserve,
    ),
    ("I5", "no double charge", money::no_double_charge),
    (
        "I6",
        "right amount for the right order",
        money::right_amount,
    ),
    ("I7", "no double notification", told::told_once),
    ("I8", "every saga ends in time", sagas::ends_in_time),
    ("I9", "every saga takes a legal path", sagas::legal_path),
    (
        "I10",
        "outbox and log agree",
        delivery::outbox_and_log_agree,
    ),
    ("I11", "each event takes effect once", delivery::effect_once),
    ("I12", "nothing skipped", delivery::nothing_skipped),
    ("I13", "boards are the log", boards::boards_are_the_log),
    ("I14", "one key, one order", clients::one_key_one_order),
    (
        "I15",
        "money conserves across contexts",
        totals::money_conserves,
    ),
    ("I19", "log accounted for", accounted::log_accounted),
    ("I20", "epochs never go down", epochs::never_go_down),
    (
        "tickets",
        "tickets follow orders",
        tickets::tickets_follow_orders,
    ),
    (
        "erasure",
        "nothing personal left",
        erasure::nothing_personal_left,
    ),
];

/// Their ids.
pub fn ids() -> impl Iterator<Item = &'static str> {
    INVARIANTS.iter().map(|(id, ..)| *id)
}

/// Judges all invariants.
#[must_use]
pub fn judge(evidence: &Evidence) -> Vec<Finding> {
    INVARIANTS
        .iter()
        .map(|(id, name, judge)| judge(evidence, Judge::new(id, name)))
        .collect()
}

/// Judges one of them; none when there is no such invariant.
#[must_use]
pub fn judge_one(evidence: &Evidence, wanted: &str) -> Option<Finding> {
    let mut all = INVARIANTS.iter();
    let (id, name, judge) = all.find(|(id, ..)| *id == wanted)?;
    Some(judge(evidence, Judge::new(id, name)))
}

/// Judges all invariants and reports.
#[must_use]
pub fn report(evidence: &Evidence, since: Option<String>) -> Report {
    Report::new(since, judge(evidence))
}

/// Takes a piece of evidence, or ends the judgement as unknown.
macro_rules! evidence {
    ($judge:ident, $source:expr) => {
        match &$source {
            Ok(found) => found,
            Err(why) => return $judge.unknown(why.clone()),
        }
    };
}
use evidence;

/// Takes a piece of evidence that a stack need not have, or ends the judgement: it is not judged
/// where the stack has none of it, and unknown where it has and it could not be read.
macro_rules! offered {
    ($judge:ident, $source:expr, $name:literal) => {
        match &$source {
            Some(Ok(found)) => found,
            Some(Err(why)) => return $judge.unknown(why.clone()),
            None => return $judge.not_judged(concat!("this stack keeps no ", $name)),
        }
    };
}
use offered;
