//! Orders and checkouts reacting inside one transaction: what `order` does in a turn.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use brewline_chaos::evidence::SagaEntry;
use brewline_failpoint::planted;
use brewline_kernel::{Envelope, OrderId, Saga as _, Timestamp};
use brewline_order_domain::checkout::{CheckoutAction, CheckoutEvent, Reaction};
use brewline_order_domain::order::{Order, OrderCommand, OrderEvent, decide, evolve};
use brewline_saga::log;
use brewline_saga::timing::{Timing, Wait};

use crate::broker::Service;
use crate::checkout::CALL_TIMEOUT;
use crate::clients::body_of;
use crate::consumer::Effect;
use crate::planted::path;
use crate::process::{After, CallKind, Calls, Pid};
use crate::store::Lock;
use crate::tables::{OrderEventRow, SagaRow, Write};
use crate::world::World;

/// Orders and checkouts while they react.
#[derive(Debug, Default)]
pub struct Draft {
    orders: BTreeMap<OrderId, Order>,
    sagas: BTreeMap<OrderId, Moving>,
    effect: Effect,
}

#[derive(Debug)]
struct Moving {
    row: SagaRow,
    before: SagaRow,
    wait: Option<Wait>,
}

// === impl World ===

impl World {
    /// Writes what a draft came to, in one transaction.
    pub fn submit_draft(
        &mut self,
        pid: Pid,
        draft: Draft,
        orders: Vec<OrderId>,
        after: impl FnOnce(Calls) -> After,
    ) {
        let effect = self.finish(draft);
        let locks = orders.into_iter().map(Lock::Order).collect();
        self.submit(pid, locks, effect.writes, after(effect.calls));
    }

    /// Lets one checkout react.
    pub fn react(
        &mut self,
        draft: &mut Draft,
        order: OrderId,
        event: &CheckoutEvent,
        cause: Option<&Envelope>,
    ) {
        if let Entry::Vacant(free) = draft.sagas.entry(order) {
            let stored = self
                .order_tables()
                .and_then(|tables| tables.sagas.get(&order));
            let Some(row) = stored.cloned() else {
                return;
            };
            let before = row.clone();
            let wait = None;
            free.insert(Moving { row, before, wait });
        }
        let now = self.instant();
        let Some(moving) = draft.sagas.get_mut(&order) else {
            return;
        };
        let reaction = self.setup.checkout.react(&moving.row.state, event, now);
        self.trace.tell(
            self.now,
            format_args!(
                "checkout {order}: {} leads to {}",
                event.name(),
                reaction.state.phase
            ),
        );
        if moving.row.state.is_step_to(&reaction.state) {
            append_log(&mut moving.row, &reaction, event.name(), now);
        }
        moving.row.state = reaction.state;
        for action in reaction.actions {
            self.act(draft, order, action, cause);
        }
    }

    fn act(
        &mut self,
        draft: &mut Draft,
        order: OrderId,
        action: CheckoutAction,
        cause: Option<&Envelope>,
    ) {
        match action {
            CheckoutAction::Confirm => {
                self.command_order(draft, order, OrderCommand::Confirm, cause)
            }
            CheckoutAction::Reject(rejection) => {
                self.command_order(draft, order, OrderCommand::Reject(rejection), cause);
            }
            CheckoutAction::GiveUp => {
                self.command_order(draft, order, OrderCommand::LosePayment, cause);
            }
            CheckoutAction::Authorise => draft.call(order, CallKind::Authorise),
            CheckoutAction::Capture => draft.call(order, CallKind::Capture),
            CheckoutAction::Reverse => draft.call(order, CallKind::Reverse),
            CheckoutAction::RetryAfterBackoff { attempts } => {
                draft.wait(order, Wait::Backoff { attempts });
            }
            CheckoutAction::RetryAfterOutage => draft.wait(order, Wait::Outage),
            CheckoutAction::Alert(_) => self.struck("alert"),
            CheckoutAction::Park(_) => self.struck("parked"),
        }
    }

    fn command_order(
        &mut self,
        draft: &mut Draft,
        order: OrderId,
        command: OrderCommand,
        cause: Option<&Envelope>,
    ) {
        let stored = self
            .order_tables()
            .and_then(|tables| tables.orders.get(&order));
        let current = draft.orders.get(&order).or(stored).cloned();
        match decide(current.as_ref(), command, self.instant()) {
            Ok(events) => self.change(draft, order, events, cause),
            Err(rejection) => {
                self.broken.push(format!(
                    "order {order} and its checkout disagree: {rejection}"
                ));
            }
        }
    }

    pub(crate) fn change(
        &mut self,
        draft: &mut Draft,
        id: OrderId,
        events: Vec<OrderEvent>,
        cause: Option<&Envelope>,
    ) {
        for event in events {
            let stored = self
                .order_tables()
                .and_then(|tables| tables.orders.get(&id));
            let before = draft.orders.get(&id).or(stored).cloned();
            let Some(order) = evolve(before, &event) else {
                return;
            };
            let kind = event.name();
            let envelope = self.envelope(Service::Order, kind, (id, order.version), cause);
            let row = OrderEventRow {
                id: envelope.id,
                kind,
                at: event.at(),
            };
            let body = body_of(&order.lines);
            draft
                .effect
                .writes
                .push(Write::Order(Box::new(order.clone()), row));
            if !planted("outbox-forgotten") || !envelope.id.as_u128().is_multiple_of(16) {
                draft.effect.writes.push(Write::Emit(envelope, body));
            }
            draft.orders.insert(id, order);
        }
    }

    pub(crate) fn finish(&mut self, draft: Draft) -> Effect {
        let (now, timing) = (self.instant(), Timing::new(CALL_TIMEOUT));
        let mut effect = draft.effect;
        for (order, mut moving) in draft.sagas {
            let state = &moving.row.state;
            moving.row.due_at = match moving.wait {
                Some(wait) => timing.due_at(wait, state.deadline_at, now, self.random.next()),
                None if state.owed_call().is_some() => moving.row.due_at,
                None => timing.due_at(Wait::Event, state.deadline_at, now, 0),
            };
            if planted("lose-saga-deadline") {
                moving.row.due_at = None;
            }
            let (row, before) = (&moving.row, &moving.before);
            if row.state != before.state || row.due_at != before.due_at {
                moving.row.version += 1;
                effect.writes.push(Write::Saga(order, Box::new(moving.row)));
            }
        }
        effect
    }
}

// === impl Draft ===

impl Draft {
    /// What is to be written so far.
    #[must_use]
    pub fn into_writes(self) -> Vec<Write> {
        self.effect.writes
    }

    fn call(&mut self, order: OrderId, kind: CallKind) {
        self.wait(order, Wait::Answer);
        self.effect.calls.push((kind, order));
    }

    fn wait(&mut self, order: OrderId, wait: Wait) {
        if let Some(moving) = self.sagas.get_mut(&order) {
            moving.wait = Some(wait);
        }
    }
}

fn append_log(row: &mut SagaRow, reaction: &Reaction, trigger: &'static str, at: Timestamp) {
    let from = row.state.phase;
    let entries = log::entries(from, reaction, trigger, CheckoutAction::describe);
    for entry in path(entries) {
        let sequence = i64::try_from(row.log.len())
            .unwrap_or(i64::MAX)
            .saturating_add(1);
        row.log.push(SagaEntry {
            sequence,
            at,
            from: entry.from.as_str().to_owned(),
            to: entry.to.as_str().to_owned(),
            trigger: entry.trigger.to_owned(),
            actions: entry.actions,
        });
    }
}
