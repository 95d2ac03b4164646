//! Order: placing, cancelling, and the checkout saga, in transactions of one or several orders.

use std::time::Duration;

use brewline_chaos::evidence::SagaEntry;
use brewline_failpoint::planted;
use brewline_kernel::OrderId;
use brewline_messaging::Delivery;
use brewline_order_domain::checkout::{CheckoutEvent, ParkReason, Phase, begin};
use brewline_order_domain::order::{
    OrderCommand, OrderEvent, OrderStatus, Placement, Withdrawal, decide,
};

use crate::broker::Service;
use crate::consumer::Effect;
use crate::draft::Draft;
use crate::planted::is_rare;
use crate::process::{After, Pid, Step};
use crate::store::Lock;
use crate::tables::{SagaRow, Tables, Write};
use crate::transactions::Access;
use crate::world::{MS, SECOND, World};

/// Longer than a call may take.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(3);

/// How many due checkouts are taken at once.
const DUE_MAX: usize = 4;

/// How long a request may stay away before its caller stops waiting.
pub const CALL_PATIENCE: i64 = 3 * SECOND;

// === impl World ===

impl World {
    pub(crate) fn order_tables(&self) -> Option<&Tables> {
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
        let mut writes = draft.into_writes();
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
            withdrawal: Withdrawal::AskBarista,
        };
        let events = decide(before.as_ref(), command, self.instant()).unwrap_or_default();
        if events.is_empty() {
            return;
        }
        let asks = |event: &OrderEvent| matches!(event, OrderEvent::CancellationRequested { .. });
        let asks = events.iter().any(asks);
        let mut draft = Draft::default();
        self.change(&mut draft, order, events, None);
        if asks {
            self.ask_barista(order);
        } else {
            self.react(&mut draft, order, &CheckoutEvent::Cancelled, None);
        }
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
            let stored = store.tables.orders.get(order);
            let asking = stored.is_some_and(|order| order.status == OrderStatus::Cancelling);
            let lost = reason == Some(ParkReason::CaptureRefused) && !asking;
            let event = if operator && lost {
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
}
