use std::collections::{BTreeMap, BTreeSet};

use brewline_kernel::Timestamp;
use uuid::Uuid;

use super::evidence;
use crate::evidence::{Evidence, LedgerKind, Orders};
use crate::verdict::{Finding, Judge};

/// Minor units by currency.
type Sums = BTreeMap<String, i64>;

/// I15: order by order and in sum, what was sold is what the card processor took, what payment's
/// ledger says and, once nothing is under way, what the boards call revenue.
pub(super) fn money_conserves(all: &Evidence, mut judge: Judge) -> Finding {
    let orders = evidence!(judge, all.orders);
    let judged = all.judged();
    let processor = processor(all, &judged);
    let processor = evidence!(judge, processor);
    let payment = payment(all, &judged);
    let payment = evidence!(judge, payment);
    let sold = sold(orders, &judged);
    for id in &judged {
        judge.subject();
        let of = |net: &BTreeMap<Uuid, Sums>| net.get(id).cloned().unwrap_or_default();
        let (wanted, taken, booked) = (of(&sold), of(processor), of(payment));
        if (&taken, &booked) != (&wanted, &wanted) {
            let (sold, taken, booked) = (shown(&wanted), shown(&taken), shown(&booked));
            judge.violation(
                Some(*id),
                format!("sold for {sold}; the card processor took {taken}, payment's ledger says {booked}"),
            );
        }
    }
    revenue(all, orders, &total(&sold), &mut judge);
    judge.finish()
}

/// The boards count every order there ever was: they can be compared only when all orders are judged
/// and the boards have read all of them.
fn revenue(all: &Evidence, orders: &Orders, sold: &Sums, judge: &mut Judge) {
    let Some(Ok(boards)) = &all.boards else {
        judge.note("without boards, their revenue is not compared");
        return;
    };
    if let Some(why) = not_comparable(all, orders) {
        judge.note(format!("the boards' revenue is not compared: {why}"));
        return;
    }
    let mut revenue = Sums::new();
    for ((_, currency), minor) in &boards.revenue {
        *revenue.entry(currency.clone()).or_default() += minor;
    }
    revenue.retain(|_, minor| *minor != 0);
    if revenue != *sold {
        let (revenue, sold) = (shown(&revenue), shown(sold));
        judge.violation(
            None,
            format!("all that is sold makes {sold}; the boards call {revenue} revenue"),
        );
    }
}

fn not_comparable(all: &Evidence, orders: &Orders) -> Option<&'static str> {
    let (Ok(log), Some(Ok(boards))) = (&all.log, &all.boards) else {
        return Some("the log could not be read");
    };
    let judged = all.judged();
    if orders.rows.keys().any(|id| !judged.contains(id)) {
        return Some("orders are under way");
    }
    let mut of_orders = log.iter().filter(|record| record.topic == ORDERS);
    if of_orders
        .clone()
        .any(|record| before(record.happened, all.since))
    {
        return Some("older orders are left out");
    }
    let unread = of_orders.any(|record| {
        let next = boards.positions.get(&(ORDERS.to_owned(), record.partition));
        next.is_none_or(|next| *next <= record.offset)
    });
    unread.then_some("the boards have not read all of the log")
}

const ORDERS: &str = "brewline.order.events.v1";

fn before(at: Timestamp, since: Timestamp) -> bool {
    at.as_micros() < since.as_micros()
}

fn sold(orders: &Orders, judged: &BTreeSet<Uuid>) -> BTreeMap<Uuid, Sums> {
    let mut sold = BTreeMap::new();
    for id in judged {
        if let Some(order) = orders.rows.get(id).filter(|order| order.sold()) {
            sold.insert(
                *id,
                Sums::from([(order.currency.clone(), order.total_minor)]),
            );
        }
    }
    sold
}

fn processor(all: &Evidence, judged: &BTreeSet<Uuid>) -> Result<BTreeMap<Uuid, Sums>, String> {
    let ledger = all.processor.as_ref().map_err(Clone::clone)?;
    let moved = ledger.iter().filter_map(|entry| {
        let sign = match (entry.kind, entry.status.as_str()) {
            (LedgerKind::Capture, "captured") => 1,
            (LedgerKind::Refund, "refunded") => -1,
            _ => return None,
        };
        Some((entry.order()?, &entry.currency, sign * entry.amount_minor))
    });
    Ok(net(moved, judged))
}

fn payment(all: &Evidence, judged: &BTreeSet<Uuid>) -> Result<BTreeMap<Uuid, Sums>, String> {
    let postings = all.postings.as_ref().map_err(Clone::clone)?;
    let moved = postings.iter();
    Ok(net(
        moved.map(|p| (p.order, &p.currency, p.net_minor)),
        judged,
    ))
}

/// What moved, by order; without what came to nothing.
fn net<'a>(
    moved: impl Iterator<Item = (Uuid, &'a String, i64)>,
    judged: &BTreeSet<Uuid>,
) -> BTreeMap<Uuid, Sums> {
    let mut net: BTreeMap<Uuid, Sums> = BTreeMap::new();
    for (order, currency, minor) in moved.filter(|(order, ..)| judged.contains(order)) {
        *net.entry(order)
            .or_default()
            .entry(currency.clone())
            .or_default() += minor;
    }
    for sums in net.values_mut() {
        sums.retain(|_, minor| *minor != 0);
    }
    net.retain(|_, sums| !sums.is_empty());
    net
}

fn total(by_order: &BTreeMap<Uuid, Sums>) -> Sums {
    let mut total = Sums::new();
    for (currency, minor) in by_order.values().flatten() {
        *total.entry(currency.clone()).or_default() += minor;
    }
    total
}

fn shown(sums: &Sums) -> String {
    if sums.is_empty() {
        return "nothing".to_owned();
    }
    let each = sums
        .iter()
        .map(|(currency, minor)| format!("{minor} {currency}"));
    each.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::sample::{self, damaged};
    use super::*;
    use crate::evidence::Boards;

    fn boards(minor: i64, next: i64) -> Boards {
        Boards {
            positions: BTreeMap::from([((ORDERS.to_owned(), 0), next)]),
            revenue: BTreeMap::from([(("lisbon".to_owned(), "EUR".to_owned()), minor)]),
            ..Boards::default()
        }
    }

    #[test]
    fn a_refund_that_the_ledger_forgets_is_noticed() {
        damaged("I15", "payment's ledger says 900 EUR", |all| {
            all.orders = Ok(sample::orders("cancelled"));
            let refund = all.processor.as_ref().unwrap()[0].clone();
            let refund = crate::evidence::LedgerEntry {
                kind: LedgerKind::Refund,
                status: "refunded".to_owned(),
                ..refund
            };
            all.processor.as_mut().unwrap().push(refund);
        });
    }

    #[test]
    fn another_currency_is_another_sum() {
        damaged("I15", "900 NOK", |all| {
            all.postings.as_mut().unwrap()[0].currency = "NOK".to_owned();
        });
    }

    #[test]
    fn revenue_that_is_not_what_was_sold_is_noticed_once_nothing_is_under_way() {
        damaged("I15", "the boards call 1800 EUR revenue", |all| {
            all.boards = Some(Ok(boards(1_800, 1)));
        });
        for (minor, next) in [(900, 1), (1_800, 0)] {
            let mut all = sample::evidence();
            all.boards = Some(Ok(boards(minor, next)));
            assert_eq!(sample::wrong("I15", &all), Vec::<String>::new());
        }
    }

    #[test]
    fn revenue_is_not_compared_while_orders_are_under_way_or_left_out() {
        let mut all = sample::evidence();
        all.boards = Some(Ok(boards(1_800, 1)));
        all.after = Ok(BTreeMap::new());
        assert_eq!(sample::wrong("I15", &all), Vec::<String>::new());
    }
}
