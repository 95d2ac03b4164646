use uuid::Uuid;

use super::evidence;
use crate::STUCK_AFTER;
use crate::evidence::{Evidence, SagaEntry};
use crate::verdict::{Finding, Judge};

/// The automaton of the checkout, as the rules state it: from, to.
const LEGAL: [(&str, &str); 8] = [
    ("reserving", "authorising"),
    ("reserving", "unwinding"),
    ("authorising", "completing"),
    ("authorising", "unwinding"),
    ("completing", "completed"),
    ("completing", "unwinding"),
    ("completed", "unwinding"),
    ("unwinding", "undone"),
];

/// I8: every checkout ended, or is young enough to be under way.
pub(super) fn ends_in_time(all: &Evidence, mut judge: Judge) -> Finding {
    let orders = evidence!(judge, all.orders);
    let (Ok(_), Ok(_)) = (&all.before, &all.after) else {
        return judge.unknown("the orders' marks could not be read");
    };
    for _ in all.judged() {
        judge.subject();
    }
    for (id, mark) in all.open() {
        judge.subject();
        let age = all.now.since(mark.placed_at.max(mark.updated_at));
        let parked = mark.phase == "parked";
        if parked && !all.healing_promised {
            judge.note(format!("{id} is parked: {}", mark.parked_reason));
        } else if parked {
            judge.violation(Some(id), format!("parked: {}", mark.parked_reason));
        } else if age > STUCK_AFTER {
            let (phase, seconds) = (&mark.phase, age.as_secs());
            judge.violation(Some(id), format!("{phase} since {seconds} s"));
        }
    }
    for id in orders
        .rows
        .keys()
        .filter(|id| !orders.saga_log.contains_key(id))
    {
        judge.violation(Some(*id), "an order without a checkout");
    }
    judge.finish()
}

/// I9: each checkout's log is an unbroken path of the automaton and ends where the checkout stands;
/// an undone one had nothing captured that was not given back.
pub(super) fn legal_path(all: &Evidence, mut judge: Judge) -> Finding {
    let orders = evidence!(judge, all.orders);
    let before = evidence!(judge, all.before);
    let judged = all.judged();
    for (id, entries) in orders.saga_log.iter().filter(|(id, _)| judged.contains(id)) {
        judge.subject();
        unbroken(*id, entries, &mut judge);
        let stands = before.get(id).map_or("", |mark| mark.phase.as_str());
        let ends = entries.last().map_or("", |entry| entry.to.as_str());
        if stands != ends {
            judge.violation(
                Some(*id),
                format!("it stands at {stands}; its log ends at {ends}"),
            );
        }
    }
    judge.finish()
}

fn unbroken(id: Uuid, entries: &[SagaEntry], judge: &mut Judge) {
    let mut at: Option<&str> = None;
    let mut aside: Option<&str> = None;
    for (expected, entry) in (1..).zip(entries) {
        if entry.sequence != expected {
            judge.violation(
                Some(id),
                format!("entry {expected} of its log is missing or double"),
            );
            return;
        }
        if at.is_some_and(|at| entry.from != at) || (at.is_none() && entry.to != "reserving") {
            let here = at.unwrap_or("nowhere");
            judge.violation(
                Some(id),
                format!("from {here}, its log goes on from {}", entry.from),
            );
        } else if at.is_some() && !legal(&entry.from, &entry.to, aside) {
            judge.violation(
                Some(id),
                format!("{} → {} is no step", entry.from, entry.to),
            );
        }
        if entry.to == "parked" && entry.from != "parked" {
            aside = Some(&entry.from);
        }
        at = Some(&entry.to);
    }
}

fn legal(from: &str, to: &str, aside: Option<&str>) -> bool {
    if from == to {
        return true;
    }
    match (from, to) {
        (from, "parked") => from != "undone",
        // It goes on where it stood, or with what that phase allows.
        ("parked", to) => aside.is_some_and(|from| from == to || LEGAL.contains(&(from, to))),
        step => LEGAL.contains(&step),
    }
}
