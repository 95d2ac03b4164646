//! Order's side of the calls to payment: batches from the executor, answers, and patience.

use std::collections::BTreeMap;

use brewline_kernel::OrderId;
use brewline_order_domain::checkout::{CheckoutEvent, Effect, Outcome};
use brewline_payment_domain as payment;
use brewline_payment_domain::TokenHash;

use crate::broker::Service;
use crate::checkout::CALL_PATIENCE;
use crate::draft::Draft;
use crate::planted;
use crate::process::{After, Away, CallKind, Calls, Command, Pid, Step};
use crate::processor::Card;
use crate::store::Lock;
use crate::transactions::Access;
use crate::world::{MS, World};

// === impl World ===

impl World {
    /// Calls that were recorded and committed are made, as far as there is room.
    pub fn make_calls(&mut self, pid: Pid, calls: Calls) {
        if self.trouble(5) && !calls.is_empty() {
            self.struck("crash between record and call");
            self.crash(pid);
            return;
        }
        let Some(process) = self.processes.get_mut(&pid) else {
            return;
        };
        for (kind, order) in calls {
            // A full queue costs time: the checkout's row falls due.
            process.executor.record(kind, order);
        }
        self.send_calls(pid);
    }

    fn send_calls(&mut self, pid: Pid) {
        loop {
            let process = self.processes.get_mut(&pid);
            let Some(batch) = process.and_then(|process| process.executor.next_batch()) else {
                return;
            };
            self.send_batch(pid, batch.kind, batch.calls);
        }
    }

    fn send_batch(&mut self, pid: Pid, kind: CallKind, orders: Vec<OrderId>) {
        let name = self.name();
        let replica = u8::from(self.random.chance(500));
        let incarnation = self
            .processes
            .get(&pid)
            .map_or(0, |process| process.incarnation);
        for order in &orders {
            let Some(command) = self.command_of(kind, *order) else {
                continue;
            };
            if planted::forgets(kind) {
                let nothing = Outcome::Done(Effect::Nothing);
                self.soon(pid, (MS, MS), Step::Outcome(name, *order, nothing));
                continue;
            }
            let command = Command {
                order: *order,
                kind,
                command,
                caller: (pid, incarnation),
                batch: name,
            };
            if self.trouble(self.setup.loss) {
                self.struck("call lost");
            } else {
                self.soon(
                    (Service::Payment, replica),
                    (MS / 2, 4 * MS),
                    Step::Command(command),
                );
            }
        }
        let outcomes: BTreeMap<_, _> = orders.into_iter().map(|order| (order, None)).collect();
        if let Some(process) = self.processes.get_mut(&pid) {
            process.away.insert(name, Away { kind, outcomes });
        }
        self.soon(pid, (CALL_PATIENCE, CALL_PATIENCE), Step::Overdue(name));
    }

    fn command_of(&self, kind: CallKind, order: OrderId) -> Option<payment::Command> {
        let store = self.stores.get(&Service::Order)?;
        Some(match kind {
            CallKind::Authorise => {
                let amount = planted::amount(store.tables.orders.get(&order)?.total);
                let card = self.cards.get(&order).copied().unwrap_or(Card::Good);
                payment::Command::Authorise {
                    amount,
                    token: card.token().to_owned(),
                    token_hash: TokenHash([1; 32]),
                }
            }
            CallKind::Capture => payment::Command::Capture,
            CallKind::Reverse => payment::Command::Reverse,
        })
    }

    /// Payment answers one call.
    pub fn outcome(&mut self, pid: Pid, batch: u64, order: OrderId, outcome: Outcome) {
        let Some(process) = self.processes.get_mut(&pid) else {
            return;
        };
        let Some(away) = process.away.get_mut(&batch) else {
            return;
        };
        if let Some(known) = away.outcomes.get_mut(&order) {
            *known = Some(outcome);
        }
        if away.outcomes.values().all(Option::is_some) {
            self.write_outcomes(pid, batch);
        }
    }

    /// A batch has waited long enough: what is not known is unknown.
    pub fn overdue(&mut self, pid: Pid, batch: u64) {
        let away = self
            .processes
            .get_mut(&pid)
            .and_then(|p| p.away.get_mut(&batch));
        if let Some(away) = away {
            for outcome in away.outcomes.values_mut() {
                outcome.get_or_insert(Outcome::Unknown);
            }
            self.struck("call without an answer");
            self.write_outcomes(pid, batch);
        }
    }

    /// Writes the outcomes of a batch in one transaction.
    pub fn write_outcomes(&mut self, pid: Pid, batch: u64) {
        let Some(away) = self
            .processes
            .get_mut(&pid)
            .and_then(|p| p.away.remove(&batch))
        else {
            return;
        };
        let orders: Vec<OrderId> = away.outcomes.keys().copied().collect();
        let locks: Vec<Lock> = orders.iter().map(|order| Lock::Order(*order)).collect();
        match self.access(Service::Order, &locks) {
            Access::Busy => {
                if let Some(process) = self.processes.get_mut(&pid) {
                    process.away.insert(batch, away);
                }
                return self.soon(pid, (5 * MS, 80 * MS), Step::Write(batch));
            }
            // What cannot be written is asked for again when the rows fall due.
            Access::Down => return self.calls_ended(pid, away.kind),
            Access::Free => {}
        }
        let kind = away.kind;
        let mut draft = Draft::default();
        for (order, outcome) in away.outcomes {
            let outcome = outcome.unwrap_or(Outcome::Unknown);
            let event = match kind {
                CallKind::Authorise => CheckoutEvent::AuthoriseOutcome(outcome),
                CallKind::Capture => CheckoutEvent::CaptureOutcome(outcome),
                CallKind::Reverse => CheckoutEvent::ReverseOutcome(outcome),
            };
            self.react(&mut draft, order, &event, None);
        }
        self.submit_draft(pid, draft, orders, |calls| After::Outcomes(kind, calls));
    }

    /// A batch is back, whatever came of it.
    pub fn calls_ended(&mut self, pid: Pid, kind: CallKind) {
        if let Some(process) = self.processes.get_mut(&pid) {
            process.executor.ended(kind);
        }
        self.send_calls(pid);
    }
}
