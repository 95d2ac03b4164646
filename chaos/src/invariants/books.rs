use std::collections::BTreeMap;

use uuid::Uuid;

use super::evidence;
use crate::evidence::{Evidence, Level, Movement, Order, Reservation, StockBooks};
use crate::verdict::{Finding, Judge};

/// I3: no prefix of the ledger holds less than nothing or promises more than there is, and its sum
/// is the stock.
pub(super) fn no_oversell(all: &Evidence, mut judge: Judge) -> Finding {
    let books = evidence!(judge, all.stock);
    let mut ledger: BTreeMap<i32, Vec<&Movement>> = BTreeMap::new();
    for movement in &books.ledger {
        ledger.entry(movement.stock_id).or_default().push(movement);
    }
    for (id, level) in &books.levels {
        judge.subject();
        prefixes(
            level,
            ledger.get(id).map_or(&[][..], Vec::as_slice),
            &mut judge,
        );
    }
    for id in ledger.keys().filter(|id| !books.levels.contains_key(id)) {
        judge.violation(
            None,
            format!("the ledger moves stock {id}, which is not there"),
        );
    }
    judge.finish()
}

fn prefixes(level: &Level, ledger: &[&Movement], judge: &mut Judge) {
    let name = &level.name;
    let (mut on_hand, mut reserved) = (0, 0);
    for (expected, entry) in (1..).zip(ledger) {
        on_hand += entry.on_hand.0;
        reserved += entry.reserved.0;
        let at = format!("{name}, entry {} ({})", entry.sequence, entry.kind);
        if entry.sequence != expected {
            judge.violation(
                entry.order,
                format!("{at}: entry {expected} is missing or double"),
            );
            return;
        }
        if (on_hand, reserved) != (entry.on_hand.1, entry.reserved.1) {
            let told = format!(
                "{} on hand and {} reserved",
                entry.on_hand.1, entry.reserved.1
            );
            judge.violation(
                entry.order,
                format!("{at}: it says {told}; the sums are {on_hand} and {reserved}"),
            );
            return;
        }
        if reserved < 0 || reserved > on_hand {
            judge.violation(
                entry.order,
                format!("{at}: {reserved} reserved of {on_hand} on hand"),
            );
        }
    }
    if (on_hand, reserved) != (level.on_hand, level.reserved) {
        judge.violation(
            None,
            format!(
                "{name}: {} on hand and {} reserved; the ledger's sums are {on_hand} and {reserved}",
                level.on_hand, level.reserved
            ),
        );
    }
}

/// I4: each order's reservation ends as the order ends, moving its lines exactly so often.
pub(super) fn reservations_conserve(all: &Evidence, mut judge: Judge) -> Finding {
    let orders = evidence!(judge, all.orders);
    let books = evidence!(judge, all.stock);
    let moved = books.by_order();
    for id in all.judged() {
        let Some(order) = orders.rows.get(&id) else {
            continue;
        };
        judge.subject();
        let movements = moved.get(&id).map_or(&[][..], Vec::as_slice);
        ends_as_the_order(id, order, books, movements, &mut judge);
    }
    judge.finish()
}

fn ends_as_the_order(
    id: Uuid,
    order: &Order,
    books: &StockBooks,
    movements: &[&Movement],
    judge: &mut Judge,
) {
    let Some(reservation) = books.reservations.get(&id) else {
        judge.violation(
            Some(id),
            format!("a closed order ({}) without reservation", order.status),
        );
        return;
    };
    if !fits(order, reservation) {
        let (order, state) = (&order.status, &reservation.state);
        judge.violation(
            Some(id),
            format!("the order is {order}, its reservation {state}"),
        );
    }
    let wanted: &[&str] = match reservation.state.as_str() {
        "committed" => &["reserve", "commit"],
        "returned" => &["reserve", "commit", "return"],
        // An order that ended before it was reserved left a tombstone and moved nothing.
        "released" if movements.is_empty() => &[],
        "released" => &["reserve", "release"],
        "rejected" => &[],
        _ => &["reserve"],
    };
    let mut by_stock: BTreeMap<i32, Vec<&Movement>> = BTreeMap::new();
    for movement in movements {
        by_stock
            .entry(movement.stock_id)
            .or_default()
            .push(movement);
    }
    for entries in by_stock.values() {
        let kinds: Vec<&str> = entries.iter().map(|entry| entry.kind.as_str()).collect();
        if kinds != wanted {
            judge.violation(
                Some(id),
                format!("its stock moved {kinds:?}, not {wanted:?}"),
            );
        }
        let held: i64 = entries.iter().map(|entry| entry.reserved.0).sum();
        if held != 0 {
            judge.violation(
                Some(id),
                format!("{held} are still held for a closed order"),
            );
        }
    }
    if by_stock.is_empty() && !wanted.is_empty() {
        judge.violation(
            Some(id),
            format!("its stock never moved; it should have {wanted:?}"),
        );
    }
}

fn fits(order: &Order, reservation: &Reservation) -> bool {
    let state = reservation.state.as_str();
    match order.status.as_str() {
        "confirmed" | "preparing" | "ready" | "collected" => state == "committed",
        "rejected" => matches!(state, "rejected" | "released"),
        "cancelled" if order.confirmed => state == "returned",
        "cancelled" => matches!(state, "released" | "rejected"),
        _ => false,
    }
}
