//! A barista begins with a ticket, or is done with it.

use std::sync::Arc;

use brewline_barista_domain::{Command, PreparationEvent, Rejection, TicketId};
use brewline_kernel::{Clock, IdGenerator, OrderId, TraceParent};
use brewline_messaging::{NewEvent, Outbox};
use brewline_postgres::{Pool, Transaction};
use futures_util::try_join;

use super::prepare::{Asked, Happened, Preparations, Prepared, prepare};
use super::show_tickets::Changes;
use crate::error::{Corrupt, Error};
use crate::outbound::event_codec::fulfilment_event;
use crate::outbound::store::{self, TicketRow};
use crate::outbound::wall_store;
use crate::signals;

/// Where tickets are worked on.
#[derive(Clone)]
pub struct Bench {
    /// The service's own database.
    pub pool: Pool,
    /// Where events go.
    pub outbox: Outbox,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Names events.
    pub ids: Arc<dyn IdGenerator>,
}

/// A ticket after it was worked on.
#[derive(Clone, Debug)]
pub struct Worked {
    /// The ticket as it is now.
    pub ticket: TicketRow,
    /// The version of its order's last event.
    pub version: i64,
    /// How many of the order's tickets are still to be done.
    pub remaining: i32,
}

// === impl Bench ===

impl Bench {
    /// Begins with a ticket.
    ///
    /// # Errors
    /// When there is none of this id, it is over already, or the database fails.
    pub async fn start(
        &self,
        ticket: TicketId,
        trace: Option<TraceParent>,
    ) -> Result<Worked, Error> {
        self.work(ticket, Command::Start(ticket), trace).await
    }

    /// Finishes a ticket.
    ///
    /// # Errors
    /// When there is none of this id, nobody began with it, it was withdrawn, or the database fails.
    pub async fn finish(
        &self,
        ticket: TicketId,
        trace: Option<TraceParent>,
    ) -> Result<Worked, Error> {
        self.work(ticket, Command::Finish(ticket), trace).await
    }

    /// The row of the order is locked before anything is looked at: a withdrawal that is being decided
    /// meanwhile is waited for, and decides.
    async fn work(
        &self,
        ticket: TicketId,
        command: Command,
        traceparent: Option<TraceParent>,
    ) -> Result<Worked, Error> {
        let mut connection = self.pool.get().await?;
        let tx = connection.transaction().await?;
        let order = store::lock_by_ticket(&tx, ticket).await?;
        let order = order.ok_or(Rejection::UnknownTicket)?;
        let stored = store::load(&tx, &[order]).await?;
        let asked = Asked {
            order,
            command,
            cause: None,
            correlation: order.as_uuid(),
            traceparent,
        };
        let prepared = prepare(&[asked], &stored).map_err(|refused| refused.rejection)?;
        if !prepared.events.is_empty() {
            Box::pin(self.store(&tx, &prepared, &stored)).await?;
        }
        let worked = worked(&tx, order, ticket, &prepared, &stored).await?;
        tx.commit().await?;
        count(&prepared.events);
        Ok(worked)
    }

    async fn store(
        &self,
        tx: &Transaction<'_>,
        prepared: &Prepared,
        stored: &Preparations,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        let event = |happened: &Happened| fulfilment_event(self.ids.next(), now, happened);
        let events: Vec<NewEvent> = prepared.events.iter().map(event).collect();
        let moved = prepared.moved_tickets(stored);
        let walls = Changes::of(&prepared.events, now);
        try_join!(
            store::save_preparations(tx, &prepared.preparations, now),
            store::move_tickets(tx, &moved, now),
            self.outbox.append(tx, &events),
            wall_store::change(tx, &walls),
        )?;
        brewline_failpoint::hit(match events.len() {
            1 if moved.iter().any(|change| change.is_begun()) => "barista.started-before-commit",
            _ => "barista.done-before-commit",
        });
        Ok(())
    }
}

impl std::fmt::Debug for Bench {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bench").finish_non_exhaustive()
    }
}

async fn worked(
    tx: &Transaction<'_>,
    order: OrderId,
    ticket: TicketId,
    prepared: &Prepared,
    stored: &Preparations,
) -> Result<Worked, Error> {
    let after = prepared
        .preparations
        .get(&order)
        .or_else(|| stored.get(&order));
    let after = after.ok_or(Corrupt::Missing("preparation"))?;
    Ok(Worked {
        ticket: store::find_ticket(tx, ticket).await?,
        version: after.version,
        remaining: after.remaining(),
    })
}

/// Counts what happened, once it is committed.
pub(crate) fn count(events: &[Happened]) {
    for happened in events {
        let outcome = match &happened.event {
            PreparationEvent::TicketsOpened { tickets, .. } => {
                signals::TICKETS_OPENED.inc_by(u64::try_from(tickets.len()).unwrap_or(0));
                "opened"
            }
            PreparationEvent::PreparationStarted { .. } => "started",
            PreparationEvent::TicketStarted { .. } => "ticket-started",
            PreparationEvent::TicketDone { .. } => "ticket-done",
            PreparationEvent::PreparationCompleted => "completed",
            PreparationEvent::TicketsWithdrawn { .. } => "withdrawn",
            PreparationEvent::WithdrawalRefused { .. } => "withdrawal-refused",
            PreparationEvent::NeverOpened { .. } => "never-opened",
        };
        signals::PREPARATIONS
            .get_or_create(&[("outcome", outcome)])
            .inc();
    }
}
