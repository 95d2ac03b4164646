//! Order: placing, cancelling, and the checkout saga, in transactions of one or several orders.

use std::collections::BTreeMap;
use std::time::Duration;

use brewline_chaos::evidence::SagaEntry;
use brewline_failpoint::planted;
use brewline_kernel::{Envelope, OrderId, Saga as _};
use brewline_messaging::Delivery;
use brewline_order_domain::checkout::{
    CheckoutAction, CheckoutEvent, ParkReason, Phase, Reaction, begin,
};
use brewline_order_domain::order::{
    Order, OrderCommand, OrderEvent, Placement, Withdrawal, decide, evolve,
};
use brewline_saga::log;
use brewline_saga::timing::{Timing, Wait};

use crate::broker::Service;
use crate::clients::body_of;
use crate::consumer::Effect;
use crate::planted::{is_rare, path};
use crate::process::{After, CallKind, Pid, Step};
use crate::store::{Lock, OrderEventRow, SagaRow, Tables, Write};
use crate::world::{Access, MS, SECOND, World};

/// Longer than a call may take.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(3);

/// How many due checkouts are taken at once.
const DUE_MAX: usize = 4;

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
    fn order_tables(&self) -> Option<&Tables> {
        self.stores.get(&Service::Order).map(|store| &store.tables)
    }

    /// A customer wants an order: a new one, or the one that its key has made.
    pub fn place(&mut self, pid: Pid, client: usize, attempt: u32) {
        let Some(key) = self.clients.get(client).map(|client| client.key.clone()) else {
            return;
        };
        match self.access(Service::Order, &[Lock::Key(key.clone())]) {
            Access::Busy => return self.soon(pid, (5 * MS, 80 * MS), Step::Place(client, attempt)),
            Access::Down => return,
            Access::Free => {}
        }
        let known = self
            .order_tables()
            .and_then(|tables| tables.keys.get(&key).copied());
        if let Some(order) = known.filter(|_| !planted("idempotency-ignores-key")) {
            return self.placed(client, attempt, order);
        }
        let order = OrderId::new(self.id());
        let Some(placement) = self.placement(client, order) else {
            return;
        };
        let now = self.instant();
        let mut draft = Draft::default();
        if planted("phantom-order") && is_rare(order) {
            self.place_phantom(&mut draft, placement.clone());
        }
        let decided = decide(None, OrderCommand::Place(placement), now).unwrap_or_default();
        self.change(&mut draft, order, decided, None);
        let state = begin(&self.setup.checkout.policy, now);
        let first = SagaEntry {
            sequence: 1,
            at: now,
            from: String::new(),
            to: Phase::Reserving.as_str().to_owned(),
            trigger: "order-placed".to_owned(),
            actions: Vec::new(),
        };
        let saga = SagaRow {
            due_at: state.deadline_at,
            state,
            version: 1,
            log: vec![first],
        };
        let mut writes = draft.effect.writes;
        writes.push(Write::Key(key.clone(), order));
        writes.push(Write::Saga(order, Box::new(saga)));
        let locks = vec![Lock::Key(key), Lock::Order(order)];
        if planted("lose-acked-order") && is_rare(order) {
            return self.placed(client, attempt, order);
        }
        self.submit(pid, locks, writes, After::Placed(client, attempt, order));
    }

    fn place_phantom(&mut self, draft: &mut Draft, mut placement: Placement) {
        placement.order_id = OrderId::new(self.id());
        let id = placement.order_id;
        let at = self.instant();
        self.change(draft, id, vec![OrderEvent::Placed { placement, at }], None);
    }

    /// A customer wants an order cancelled.
    pub fn cancel(&mut self, pid: Pid, order: OrderId) {
        match self.access(Service::Order, &[Lock::Order(order)]) {
            Access::Busy => return self.soon(pid, (5 * MS, 80 * MS), Step::Cancel(order)),
            Access::Down => return,
            Access::Free => {}
        }
        let before = self
            .order_tables()
            .and_then(|tables| tables.orders.get(&order).cloned());
        let command = OrderCommand::Cancel {
            reason: "changed my mind".to_owned(),
            withdrawal: Withdrawal::AtOnce,
        };
        let events = decide(before.as_ref(), command, self.instant()).unwrap_or_default();
        if events.is_empty() {
            return;
        }
        let mut draft = Draft::default();
        self.change(&mut draft, order, events, None);
        self.react(&mut draft, order, &CheckoutEvent::Cancelled, None);
        self.submit_draft(pid, draft, vec![order], After::Moved);
    }

    /// Looks for checkouts that are due.
    pub fn timers(&mut self, pid: Pid) {
        self.soon(pid, (200 * MS, 500 * MS), Step::Timers);
        if self.access(Service::Order, &[]) == Access::Down {
            return;
        }
        let (now, operator) = (self.instant(), self.random.chance(200));
        let Some(store) = self.stores.get(&Service::Order) else {
            return;
        };
        let mut due = Vec::new();
        for (order, saga) in &store.tables.sagas {
            let reason = saga.state.parked.map(|parked| parked.reason);
            let event = if operator && reason == Some(ParkReason::CaptureRefused) {
                CheckoutEvent::OperatorCompensate
            } else if saga.due_at.is_none_or(|due| due > now) {
                continue;
            } else if saga.state.is_overdue(now) {
                CheckoutEvent::DeadlineReached
            } else {
                CheckoutEvent::RetryDue
            };
            // `skip locked`.
            if due.len() < DUE_MAX && store.is_free(&[Lock::Order(*order)]) {
                due.push((*order, event));
            }
        }
        if due.is_empty() {
            return;
        }
        let mut draft = Draft::default();
        for (order, event) in &due {
            self.react(&mut draft, *order, event, None);
        }
        let orders = due.into_iter().map(|(order, _)| order).collect();
        self.submit_draft(pid, draft, orders, After::Moved);
    }

    /// News of the stock.
    ///
    /// # Errors
    /// Never: the signature is the handlers'.
    pub fn take_stock_news(&mut self, fresh: &[Delivery]) -> Result<Effect, String> {
        let mut draft = Draft::default();
        for delivery in fresh {
            let event = match delivery.envelope.event_type.rsplit('.').next() {
                Some("StockReserved") => CheckoutEvent::StockReserved,
                Some("StockRejected") => CheckoutEvent::StockRejected {
                    detail: "too little".to_owned(),
                },
                Some("StockCommitted") => CheckoutEvent::StockCommitted,
                Some("StockReleased") => CheckoutEvent::StockReleased,
                Some("StockReturned") => CheckoutEvent::StockReturned,
                _ => continue,
            };
            if let Ok(order) = delivery.envelope.subject.parse::<OrderId>() {
                self.react(&mut draft, order, &event, Some(&delivery.envelope));
            }
        }
        Ok(self.finish(draft))
    }

    /// Writes what a draft came to, in one transaction.
    pub fn submit_draft(
        &mut self,
        pid: Pid,
        draft: Draft,
        orders: Vec<OrderId>,
        after: impl FnOnce(crate::process::Calls) -> After,
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
        let stored = self
            .order_tables()
            .and_then(|tables| tables.sagas.get(&order));
        if !draft.sagas.contains_key(&order) {
            let Some(row) = stored.cloned() else { return };
            let before = row.clone();
            let wait = None;
            draft.sagas.insert(order, Moving { row, before, wait });
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

    fn change(
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

    fn finish(&mut self, draft: Draft) -> Effect {
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

fn append_log(
    row: &mut SagaRow,
    reaction: &Reaction,
    trigger: &'static str,
    at: brewline_kernel::Timestamp,
) {
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

/// How long a request may stay away before its caller stops waiting.
pub const CALL_PATIENCE: i64 = 3 * SECOND;
