use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::evidence;
use crate::evidence::{Evidence, Orders};
use crate::history::{History, Story};
use crate::verdict::{Finding, Judge};

/// I1: what was answered with success is there, with the same id; what was refused for good is not.
pub(super) fn no_acknowledged_order_lost(all: &Evidence, mut judge: Judge) -> Finding {
    let Some(history) = &all.history else {
        return judge.not_judged("no client journal was given");
    };
    let history = evidence!(judge, *history);
    let orders = evidence!(judge, all.orders);
    let by_key = orders_by_key(orders);
    for (key, story) in &history.placed {
        judge.subject();
        for (_, order) in &story.accepted {
            if all.in_scope(*order) && !orders.rows.contains_key(order) {
                judge.violation(
                    Some(*order),
                    format!("acknowledged under key {key}, and lost"),
                );
            }
        }
        if let (true, Some(orders)) = (story.must_be_absent(), by_key.get(key.as_str())) {
            for order in orders {
                judge.violation(
                    Some(*order),
                    format!("refused under key {key}, and yet placed"),
                );
            }
        }
    }
    judge.finish()
}

/// I2: every order in the journal's stores was asked for by one of its requests.
pub(super) fn no_phantom_order(all: &Evidence, mut judge: Judge) -> Finding {
    let Some(history) = &all.history else {
        return judge.not_judged("no client journal was given");
    };
    let history = evidence!(judge, *history);
    let orders = evidence!(judge, all.orders);
    let asked: BTreeSet<Uuid> = orders
        .keys
        .iter()
        .filter(|key| history.placed.contains_key(&key.key))
        .filter_map(|key| key.order)
        .collect();
    for (id, order) in &orders.rows {
        if !history.stores.contains(&order.store_id) || order.placed_at < all.since {
            continue;
        }
        judge.subject();
        if !asked.contains(id) {
            judge.violation(Some(*id), "no client asked for this order");
        }
    }
    judge.finish()
}

/// I14: a key names one order; its answers agree; another body under it is refused.
pub(super) fn one_key_one_order(all: &Evidence, mut judge: Judge) -> Finding {
    let orders = evidence!(judge, all.orders);
    let mut keys_of: BTreeMap<Uuid, Vec<&str>> = BTreeMap::new();
    for key in &orders.keys {
        let Some(order) = key.order else { continue };
        judge.subject();
        keys_of.entry(order).or_default().push(&key.key);
        if all.in_scope(order) && !orders.rows.contains_key(&order) {
            judge.violation(
                Some(order),
                format!("key {} names an order that is not there", key.key),
            );
        }
    }
    for id in orders.rows.keys() {
        let keys = keys_of.get(id).map_or(0, Vec::len);
        if keys != 1 {
            judge.violation(
                Some(*id),
                format!("{keys} idempotency keys name this order, not 1"),
            );
        }
    }
    if let Some(history) = &all.history {
        let history = evidence!(judge, *history);
        answers_agree(history, &mut judge);
        answers_are_on_record(all, history, orders, &mut judge);
    }
    judge.finish()
}

fn answers_agree(history: &History, judge: &mut Judge) {
    for (key, story) in &history.placed {
        let orders: BTreeSet<Uuid> = story.accepted.iter().map(|(_, order)| *order).collect();
        if orders.len() > 1 {
            let some = orders.first().copied();
            judge.violation(
                some,
                format!("key {key} was answered with {} orders", orders.len()),
            );
        }
        if accepted_bodies(story).len() > 1 {
            let some = orders.first().copied();
            judge.violation(some, format!("key {key} was accepted with two bodies"));
        }
    }
}

/// An answer that was given stands under its very key: a repeat would otherwise be a new order.
fn answers_are_on_record(all: &Evidence, history: &History, orders: &Orders, judge: &mut Judge) {
    let by_key = orders_by_key(orders);
    for (key, story) in &history.placed {
        let on_record = by_key.get(key.as_str()).map_or(&[][..], Vec::as_slice);
        for (_, order) in &story.accepted {
            if all.in_scope(*order) && !on_record.contains(order) {
                judge.violation(
                    Some(*order),
                    format!("answered under key {key}, not on record under it"),
                );
            }
        }
    }
}

fn accepted_bodies(story: &Story) -> BTreeSet<u64> {
    story.accepted.iter().map(|(body, _)| *body).collect()
}

fn orders_by_key(orders: &Orders) -> BTreeMap<&str, Vec<Uuid>> {
    let mut by_key: BTreeMap<&str, Vec<Uuid>> = BTreeMap::new();
    for key in &orders.keys {
        by_key.entry(&key.key).or_default().extend(key.order);
    }
    by_key
}
