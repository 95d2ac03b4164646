use std::collections::HashMap;

use super::evidence;
use crate::evidence::{Evidence, LogRecord, Slot, born_ms, topics};
use crate::verdict::{Finding, Judge};

/// Clocks of several machines may differ by so much, in milliseconds.
const CLOCKS_DIFFER_MS: i64 = 1_000;

/// I20: no epoch in the log or a table is above the one in force, none went down while the evidence was
/// read, and nobody went on under an old epoch once a newer one had begun.
pub(super) fn never_go_down(all: &Evidence, mut judge: Judge) -> Finding {
    let log = evidence!(judge, all.log);
    for (service, after) in &all.slots_after {
        let after = evidence!(judge, after);
        let Some(Ok(before)) = all.messaging.get(service).map(|tables| tables.as_ref()) else {
            continue;
        };
        for slot in &before.slots {
            judge.subject();
            let now = after.iter().find(|s| s.slot == slot.slot);
            slot_moved_forward(service, slot, now, &mut judge);
        }
        let own = |record: &&LogRecord| topics().contains(&(record.topic, *service));
        let records: Vec<&LogRecord> = log.iter().filter(own).collect();
        none_above(service, after, &records, &mut judge);
        nobody_went_on(service, &records, &mut judge);
    }
    judge.finish()
}

fn slot_moved_forward(service: &str, before: &Slot, after: Option<&Slot>, judge: &mut Judge) {
    let Some(after) = after else {
        judge.violation(
            None,
            format!("slot {} of {service}'s relay vanished", before.slot),
        );
        return;
    };
    if (after.epoch, after.watermark) < (before.epoch, before.watermark)
        || after.watermark < before.watermark
    {
        judge.violation(
            None,
            format!(
                "slot {} of {service}'s relay went from epoch {} and watermark {} to {} and {}",
                before.slot, before.epoch, before.watermark, after.epoch, after.watermark
            ),
        );
    }
}

fn none_above(service: &str, slots: &[Slot], records: &[&LogRecord], judge: &mut Judge) {
    for record in records {
        let now = slots.iter().find(|slot| slot.slot == record.slot);
        let now = now.map_or(0, |slot| slot.epoch);
        if record.epoch > now {
            judge.violation(
                record.subject.parse().ok(),
                format!(
                    "sent under epoch {} of {service}'s relay, which is at {now}",
                    record.epoch
                ),
            );
        }
    }
}

/// A holder whose lease has passed may still have records on the wire, and they may land late. But an
/// event that is younger than a newer epoch's first record was read after the lease had passed.
fn nobody_went_on(service: &str, records: &[&LogRecord], judge: &mut Judge) {
    let mut began: HashMap<(i16, i64), i64> = HashMap::new();
    for record in records {
        let at = record.at.as_millis();
        let first = began.entry((record.slot, record.epoch)).or_insert(at);
        *first = at.min(*first);
    }
    let ended = ends(&began);
    for record in records {
        let end = ended.get(&(record.slot, record.epoch));
        if end.is_some_and(|end| born_ms(record.id) > end.saturating_add(CLOCKS_DIFFER_MS)) {
            judge.violation(
                record.subject.parse().ok(),
                format!(
                    "{} version {} was sent under epoch {} of {service}'s relay after the next had begun",
                    record.kind, record.version, record.epoch
                ),
            );
        }
    }
}

/// When each epoch was over: a later one had begun.
fn ends(began: &HashMap<(i16, i64), i64>) -> HashMap<(i16, i64), i64> {
    let mut epochs: Vec<(i16, i64)> = began.keys().copied().collect();
    epochs.sort_unstable();
    let (mut ends, mut later) = (HashMap::new(), None::<(i16, i64)>);
    for (slot, epoch) in epochs.into_iter().rev() {
        let end = later.filter(|(of, _)| *of == slot).map(|(_, end)| end);
        ends.extend(end.map(|end| ((slot, epoch), end)));
        let own = began.get(&(slot, epoch)).copied().unwrap_or(i64::MAX);
        later = Some((slot, end.map_or(own, |end| end.min(own))));
    }
    ends
}
