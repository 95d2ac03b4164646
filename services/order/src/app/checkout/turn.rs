//! One batch of sagas reacting inside one transaction.

use std::collections::BTreeMap;

use brewline_failpoint as failpoint;
use brewline_kernel::system::random;
use brewline_kernel::{OrderId, Saga as _, Timestamp};
use brewline_order_domain::checkout::{Checkout, CheckoutAction, Phase, Reaction};
use brewline_order_domain::order::{self, Order, OrderCommand};
use brewline_postgres::Transaction;
use brewline_saga::log;
use brewline_saga::timing::{Timing, Wait};
use brewline_telemetry::trace::names::attribute;
use brewline_telemetry::trace::{Span, names};

use super::{Error, Happening, Moved, Notice};
use crate::outbound::payments_client::{Call, CallKind};
use crate::outbound::saga_store::{self, Locked, LogRow, SagaRow};
use crate::outbound::store::{self, Cause, Change, Store};

/// Locked sagas while they react.
pub(super) struct Turn<'a> {
    saga: &'a Checkout,
    timing: &'a Timing,
    now: Timestamp,
    sagas: BTreeMap<OrderId, Moving>,
    log: Vec<LogRow>,
    commands: Vec<(OrderId, OrderCommand, Cause)>,
    moved: Moved,
}

struct Moving {
    row: SagaRow,
    loaded_as: SagaRow,
    wait: Option<Wait>,
}

// === impl Turn ===

impl<'a> Turn<'a> {
    pub(super) fn new(saga: &'a Checkout, timing: &'a Timing, locked: Locked) -> Self {
        let sagas = locked.rows.into_iter().map(|row| {
            let loaded_as = row.clone();
            (
                row.order_id,
                Moving {
                    row,
                    loaded_as,
                    wait: None,
                },
            )
        });
        Self {
            saga,
            timing,
            now: locked.now,
            sagas: sagas.collect(),
            log: Vec::new(),
            commands: Vec::new(),
            moved: Moved::default(),
        }
    }

    /// Lets one saga react.
    pub(super) fn take(&mut self, happening: Happening) {
        let Happening {
            order_id,
            event,
            cause,
        } = happening;
        let Some(moving) = self.sagas.get_mut(&order_id) else {
            tracing::debug!(%order_id, event = event.name(), "there is no saga for this event");
            return;
        };
        let mut cause = cause.unwrap_or_else(|| Cause::request(order_id, moving.row.traceparent));
        let reaction = self.saga.react(&moving.row.state, &event, self.now);
        if moving.row.state.is_step_to(&reaction.state) {
            append_log(&mut self.log, &mut moving.row, &reaction, event.name());
            let step = step_span(order_id, &cause, reaction.state.phase, event.name());
            cause.traceparent = step.context().or(cause.traceparent);
            self.moved.spans.extend(step.is_sampled().then_some(step));
        }
        self.moved.steps.extend(&reaction.path);
        let age = self.now.since(moving.row.state.started_at);
        let ended = reaction.path.iter().filter(|phase| phase.is_closed());
        self.moved.closed.extend(ended.map(|phase| (*phase, age)));
        moving.row.state = reaction.state;
        for action in reaction.actions {
            self.perform(order_id, action, cause);
        }
    }

    /// The one place where a saga's actions become something.
    fn perform(&mut self, order_id: OrderId, action: CheckoutAction, cause: Cause) {
        match action {
            CheckoutAction::Confirm => self.command(order_id, OrderCommand::Confirm, cause),
            CheckoutAction::Reject(rejection) => {
                self.command(order_id, OrderCommand::Reject(rejection), cause);
            }
            CheckoutAction::GiveUp => self.command(order_id, OrderCommand::LosePayment, cause),
            CheckoutAction::Authorise => self.call(order_id, CallKind::Authorise, cause),
            CheckoutAction::Capture => self.call(order_id, CallKind::Capture, cause),
            CheckoutAction::Reverse => self.call(order_id, CallKind::Reverse, cause),
            CheckoutAction::RetryAfterBackoff { attempts } => {
                self.wait(order_id, Wait::Backoff { attempts });
            }
            CheckoutAction::RetryAfterOutage => self.wait(order_id, Wait::Outage),
            CheckoutAction::Alert(phase) => self.notice(Notice::Overdue(order_id, phase)),
            CheckoutAction::Park(reason) => self.notice(Notice::Parked(order_id, reason)),
        }
    }

    fn command(&mut self, order_id: OrderId, command: OrderCommand, cause: Cause) {
        if let Some(moving) = self.sagas.get(&order_id) {
            let age = self.now.since(moving.row.state.started_at);
            let settled = settles(&command).map(|outcome| (outcome, age));
            self.moved.settled.extend(settled);
        }
        self.commands.push((order_id, command, cause));
    }

    fn notice(&mut self, notice: Notice) {
        self.moved.notices.push(notice);
    }

    fn wait(&mut self, order_id: OrderId, wait: Wait) {
        if let Some(moving) = self.sagas.get_mut(&order_id) {
            moving.wait = Some(wait);
        }
    }

    fn call(&mut self, order_id: OrderId, kind: CallKind, cause: Cause) {
        if let Some(moving) = self.sagas.get_mut(&order_id) {
            moving.wait = Some(Wait::Answer);
            let call = Call {
                order_id,
                card: (kind == CallKind::Authorise).then(|| moving.row.card.clone()),
                traceparent: cause.traceparent,
            };
            self.moved.calls.push((kind, call));
        }
    }

    /// Writes what changed: orders, sagas, logs; one statement a table.
    pub(super) async fn write(
        mut self,
        tx: &Transaction<'_>,
        store: &Store,
    ) -> Result<Moved, Error> {
        let changes = self.changes(tx).await?;
        let rows: Vec<SagaRow> = self
            .sagas
            .into_values()
            .filter_map(|moving| moving.finish(self.timing, self.now))
            .collect();
        futures_util::try_join!(
            async { Ok::<_, Error>(saga_store::write(tx, &rows, &self.log).await?) },
            async {
                if !changes.is_empty() {
                    store.append(tx, changes).await?;
                }
                Ok(())
            },
        )?;
        Ok(self.moved)
    }

    async fn changes(&mut self, tx: &Transaction<'_>) -> Result<Vec<Change>, Error> {
        let commands = std::mem::take(&mut self.commands);
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        let mut ids: Vec<OrderId> = commands.iter().map(|(id, ..)| *id).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut orders = store::load_orders(tx, &ids).await?;
        self.moved.orders = ids;
        commands
            .into_iter()
            .map(|(id, command, cause)| decided(id, orders.remove(&id), command, cause, self.now))
            .collect()
    }
}

// === impl Moving ===

impl Moving {
    /// The row to be written; none when nothing about it changed.
    fn finish(mut self, timing: &Timing, now: Timestamp) -> Option<SagaRow> {
        let state = &self.row.state;
        self.row.due_at = match self.wait {
            Some(wait) => timing.due_at(wait, state.deadline_at, now, random()),
            // A call is away, or will be tried again: what was scheduled for it stands.
            None if state.owed_call().is_some() => self.row.due_at,
            None => timing.due_at(Wait::Event, state.deadline_at, now, 0),
        };
        if failpoint::planted("lose-saga-deadline") {
            self.row.due_at = None;
        }
        (self.row != self.loaded_as).then_some(self.row)
    }
}

/// The span of one step; none where the order's trace is not recorded.
fn step_span(order_id: OrderId, cause: &Cause, phase: Phase, trigger: &'static str) -> Span {
    let mut span = Span::of_sampled(&names::SAGA_STEP, cause.traceparent);
    span.named(|| format!("saga {phase}"));
    span.set(attribute::ORDER_ID, || order_id.to_string());
    span.set(attribute::SAGA_STATE, || phase.as_str());
    span.set(attribute::SAGA_TRIGGER, || trigger);
    // Until its transaction is committed, nothing of it has happened.
    span.fail("not-committed");
    span
}

/// What a command settles an order as, where it takes it out of `pending`.
const fn settles(command: &OrderCommand) -> Option<&'static str> {
    match command {
        OrderCommand::Confirm => Some("confirmed"),
        OrderCommand::Reject(_) => Some("rejected"),
        OrderCommand::Place(_)
        | OrderCommand::Cancel { .. }
        | OrderCommand::GrantCancellation
        | OrderCommand::RefuseCancellation { .. }
        | OrderCommand::LosePayment
        | OrderCommand::StartPreparation
        | OrderCommand::MarkReady
        | OrderCommand::Collect => None,
    }
}

fn decided(
    order_id: OrderId,
    order: Option<Order>,
    command: OrderCommand,
    cause: Cause,
    now: Timestamp,
) -> Result<Change, Error> {
    let events = order::decide(order.as_ref(), command, now);
    let events = events.map_err(|rejection| Error::Disagreement {
        order_id,
        rejection,
    })?;
    Ok(Change::new(order, events, cause))
}

fn append_log(
    log: &mut Vec<LogRow>,
    row: &mut SagaRow,
    reaction: &Reaction,
    trigger: &'static str,
) {
    let from = row.state.phase;
    for mut entry in log::entries(from, reaction, trigger, CheckoutAction::describe) {
        if failpoint::planted("saga-skips-state") {
            if entry.to == Phase::Authorising {
                continue;
            }
            if entry.from == Phase::Authorising {
                entry.from = Phase::Reserving;
            }
        }
        row.log_length += 1;
        log.push(LogRow {
            order_id: row.order_id,
            sequence: row.log_length,
            entry,
        });
    }
}
