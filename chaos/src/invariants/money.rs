use std::collections::BTreeMap;

use uuid::Uuid;

use super::evidence;
use crate::evidence::{Evidence, LedgerEntry, LedgerKind, Order};
use crate::verdict::{Finding, Judge};

/// What the card processor did for one order.
#[derive(Debug, Default)]
struct Account<'a> {
    entries: Vec<&'a LedgerEntry>,
}

/// I5: by the processor's own ledger, a sold order was charged once and no other order was charged;
/// nothing is left held for a closed order.
pub(super) fn no_double_charge(all: &Evidence, mut judge: Judge) -> Finding {
    let orders = evidence!(judge, all.orders);
    let accounts = accounts(evidence!(judge, all.processor));
    for id in all.judged() {
        let Some(order) = orders.rows.get(&id) else {
            continue;
        };
        judge.subject();
        let nothing = Account::default();
        let account = accounts.get(&id).unwrap_or(&nothing);
        let (captures, net) = (account.count(LedgerKind::Capture), account.net());
        let wanted = if order.sold() { order.total_minor } else { 0 };
        if captures > 1 {
            judge.violation(Some(id), format!("captured {captures} times"));
        }
        if net != wanted {
            let status = &order.status;
            judge.violation(
                Some(id),
                format!("{status}, and charged {net} instead of {wanted}"),
            );
        }
        for open in account.left_open() {
            judge.violation(Some(id), format!("authorisation {open} was left open"));
        }
    }
    for (id, account) in &accounts {
        let held = account.count(LedgerKind::Capture) > 0;
        if held && all.in_scope(*id) && !orders.rows.contains_key(id) {
            judge.violation(Some(*id), "charged for an order that is not there");
        }
    }
    judge.finish()
}

/// I6: each capture and refund is the order's total, in its currency; an order that was never
/// confirmed was never captured; nothing is captured after it was given back.
pub(super) fn right_amount(all: &Evidence, mut judge: Judge) -> Finding {
    let orders = evidence!(judge, all.orders);
    let accounts = accounts(evidence!(judge, all.processor));
    for id in all.judged() {
        let (Some(order), Some(account)) = (orders.rows.get(&id), accounts.get(&id)) else {
            continue;
        };
        judge.subject();
        amounts(id, order, account, &mut judge);
    }
    judge.finish()
}

fn amounts(id: Uuid, order: &Order, account: &Account<'_>, judge: &mut Judge) {
    let mut given_back = false;
    for entry in &account.entries {
        if (entry.amount_minor, entry.currency.as_str()) != (order.total_minor, &*order.currency) {
            judge.violation(
                Some(id),
                format!(
                    "{:?} of {} {}; the order's total is {} {}",
                    entry.kind,
                    entry.amount_minor,
                    entry.currency,
                    order.total_minor,
                    order.currency
                ),
            );
        }
        match entry.kind {
            LedgerKind::Capture if given_back => {
                judge.violation(Some(id), "captured after it was given back");
            }
            LedgerKind::Capture if !order.confirmed => {
                judge.violation(Some(id), "captured, and the order was never confirmed");
            }
            LedgerKind::Void | LedgerKind::Refund => given_back = true,
            LedgerKind::Capture | LedgerKind::Authorise => {}
        }
    }
}

// === impl Account ===

impl Account<'_> {
    fn count(&self, kind: LedgerKind) -> usize {
        self.entries
            .iter()
            .filter(|entry| entry.kind == kind)
            .count()
    }

    fn sum(&self, kind: LedgerKind) -> i64 {
        let of_kind = self.entries.iter().filter(|entry| entry.kind == kind);
        of_kind.map(|entry| entry.amount_minor).sum()
    }

    fn net(&self) -> i64 {
        self.sum(LedgerKind::Capture) - self.sum(LedgerKind::Refund)
    }

    /// Authorisations that were granted and then neither captured nor voided.
    fn left_open(&self) -> Vec<&str> {
        let ended = |id: &str| {
            self.entries.iter().any(|entry| {
                entry.authorisation_id == id
                    && matches!(entry.kind, LedgerKind::Capture | LedgerKind::Void)
            })
        };
        self.entries
            .iter()
            .filter(|entry| entry.kind == LedgerKind::Authorise)
            .map(|entry| entry.authorisation_id.as_str())
            .filter(|id| !ended(id))
            .collect()
    }
}

/// Whether an entry did anything: a capture that the bank declined is in the ledger and moved nothing.
fn took_effect(entry: &LedgerEntry) -> bool {
    let effect = match entry.kind {
        LedgerKind::Authorise => "authorised",
        LedgerKind::Capture => "captured",
        LedgerKind::Void => "voided",
        LedgerKind::Refund => "refunded",
    };
    entry.status == effect
}

fn accounts(ledger: &[LedgerEntry]) -> BTreeMap<Uuid, Account<'_>> {
    let mut accounts: BTreeMap<Uuid, Account<'_>> = BTreeMap::new();
    for entry in ledger.iter().filter(|entry| took_effect(entry)) {
        if let Some(order) = entry.order() {
            accounts.entry(order).or_default().entries.push(entry);
        }
    }
    accounts
}
