//! Moves the preparations of a batch of orders on, in memory, over what was loaded and locked.
//!
//! Nothing here waits: states run along from command to command, so that each row is written once
//! however often it moved.

use std::collections::BTreeMap;

use brewline_barista_domain::{
    Command, Preparation, PreparationEvent, Rejection, Ticket, TicketStatus, decide, evolve,
};
use brewline_kernel::{OrderId, StoreId, TraceParent};
use uuid::Uuid;

use super::planted;

/// A command, with what ties its effects to where it came from.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The order.
    pub order: OrderId,
    /// What is asked.
    pub command: Command,
    /// The event that asks; none when a barista does.
    pub cause: Option<Uuid>,
    /// Shared by everything that one request set in motion.
    pub correlation: Uuid,
    /// The trace it belongs to.
    pub traceparent: Option<TraceParent>,
}

/// Preparations by order.
pub type Preparations = BTreeMap<OrderId, Preparation>;

/// Everything a batch changes, ready to be stored table by table.
#[derive(Debug, Default)]
pub struct Prepared {
    /// Each preparation that moved, in its last state.
    pub preparations: Preparations,
    /// What happened, in order.
    pub events: Vec<Happened>,
}

/// What happened to one preparation, and because of what.
#[derive(Clone, Debug)]
pub struct Happened {
    /// The event.
    pub event: PreparationEvent,
    /// The order.
    pub order: OrderId,
    /// Who makes it.
    pub store: StoreId,
    /// The preparation's version after it.
    pub version: i64,
    /// The event that led to it; none when a barista did.
    pub cause: Option<Uuid>,
    /// Shared by everything that one request set in motion.
    pub correlation: Uuid,
    /// The trace it belongs to.
    pub traceparent: Option<TraceParent>,
}

/// Why a batch cannot be prepared. The consumer then looks for the record at fault.
#[derive(Debug, thiserror::Error)]
#[error("order {order}: {rejection}")]
pub struct Refused {
    /// The order.
    pub order: OrderId,
    /// What is wrong.
    pub rejection: Rejection,
}

/// A ticket of a preparation that moved, as its row is to be.
#[derive(Clone, Copy, Debug)]
pub struct TicketChange<'a> {
    /// The order.
    pub order: OrderId,
    /// Who makes it.
    pub store: &'a StoreId,
    /// The ticket.
    pub ticket: &'a Ticket,
}

/// Decides every command of `batch`, in order.
///
/// # Errors
/// When one cannot be obeyed.
pub fn prepare(batch: &[Asked], stored: &Preparations) -> Result<Prepared, Refused> {
    let mut prepared = Prepared::default();
    for asked in batch {
        prepared.one(asked, stored)?;
    }
    Ok(prepared)
}

// === impl Prepared ===

impl Prepared {
    fn one(&mut self, asked: &Asked, stored: &Preparations) -> Result<(), Refused> {
        let order = asked.order;
        let latest = self.preparations.get(&order).or_else(|| stored.get(&order));
        let command = planted::command(&asked.command);
        let seen = planted::seen(latest, &command);
        let events =
            decide(seen.as_deref(), &command).map_err(|rejection| Refused { order, rejection })?;
        let mut current = latest.cloned();
        for event in planted::events(events) {
            let Some(next) = evolve(current.take(), &event) else {
                continue;
            };
            if event.is_told() {
                self.events.push(asked.led_to(event, &next));
            }
            current = Some(next);
        }
        if let Some(moved) = current.filter(|moved| Some(moved) != latest) {
            self.preparations.insert(order, moved);
        }
        Ok(())
    }

    /// Tickets that have no row yet.
    pub fn new_tickets<'a>(&'a self, stored: &'a Preparations) -> Vec<TicketChange<'a>> {
        let is_new = move |change: &TicketChange<'_>| earlier(stored, change).is_none();
        self.tickets().filter(is_new).collect()
    }

    /// Tickets whose row says something else by now.
    pub fn moved_tickets<'a>(&'a self, stored: &'a Preparations) -> Vec<TicketChange<'a>> {
        let moved = move |change: &TicketChange<'_>| {
            earlier(stored, change).is_some_and(|before| before.status != change.ticket.status)
        };
        self.tickets().filter(moved).collect()
    }

    fn tickets(&self) -> impl Iterator<Item = TicketChange<'_>> {
        self.preparations.iter().flat_map(|(order, preparation)| {
            let change = |ticket| TicketChange {
                order: *order,
                store: &preparation.store,
                ticket,
            };
            preparation.tickets.iter().map(change)
        })
    }
}

fn earlier<'a>(stored: &'a Preparations, change: &TicketChange<'_>) -> Option<&'a Ticket> {
    stored.get(&change.order)?.ticket(change.ticket.id)
}

// === impl TicketChange ===

impl TicketChange<'_> {
    /// Whether somebody has just begun with it, unless it was more than that.
    pub(crate) const fn is_begun(&self) -> bool {
        matches!(self.ticket.status, TicketStatus::Started)
    }
}

// === impl Asked ===

impl Asked {
    fn led_to(&self, event: PreparationEvent, after: &Preparation) -> Happened {
        Happened {
            event,
            order: self.order,
            store: after.store.clone(),
            version: after.version,
            cause: self.cause,
            correlation: self.correlation,
            traceparent: self.traceparent,
        }
    }
}
