use brewline_kernel::StoreId;

use crate::{Ticket, TicketId, TicketStatus};

/// Why tickets were withdrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithdrawalReason {
    /// The order is cancelled as its customer wished.
    Customer,
    /// An operator gave up an order whose money was lost.
    PaymentLost,
}

/// How far an order's preparation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// On the wall; nobody has begun.
    Open,
    /// Somebody has begun.
    Started,
    /// All of it is done.
    Completed,
    /// Off the wall for good; or it never came onto it, since the order ended first.
    Withdrawn,
}

/// The tickets of one order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preparation {
    /// Who makes it.
    pub store: StoreId,
    /// How far it is.
    pub stage: Stage,
    /// The version of its last event; 0 when nothing was ever told.
    pub version: i64,
    /// The version of the order's last request for a withdrawal that was answered; 0 when there is none.
    pub answered: i64,
    /// One a line, in the order of the lines; empty when it never came onto the wall.
    pub tickets: Vec<Ticket>,
}

/// What happened to a preparation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PreparationEvent {
    /// It is on the wall.
    TicketsOpened {
        /// Who makes it.
        store: StoreId,
        /// One a line.
        tickets: Vec<Ticket>,
    },
    /// Somebody began with the first of its tickets.
    PreparationStarted {
        /// The ticket.
        ticket: TicketId,
    },
    /// Somebody began with another one.
    TicketStarted {
        /// The ticket.
        ticket: TicketId,
    },
    /// One is done.
    TicketDone {
        /// The ticket.
        ticket: TicketId,
        /// How many are still to be done.
        remaining: i32,
    },
    /// The last one is done.
    PreparationCompleted,
    /// Whatever was open is off the wall.
    TicketsWithdrawn {
        /// Who would have made it.
        store: StoreId,
        /// Why.
        reason: WithdrawalReason,
        /// What was taken off the wall.
        tickets: Vec<TicketId>,
        /// The version of the request that this answers; 0 when nobody asked.
        answered: i64,
    },
    /// Somebody had begun, so the order cannot be cancelled any more.
    WithdrawalRefused {
        /// The version of the request that this answers.
        answered: i64,
    },
    /// The order ended before it came onto the wall. Kept, and told to nobody: nobody waits for it.
    NeverOpened {
        /// Who would have made it.
        store: StoreId,
    },
}

// === impl Preparation ===

impl Preparation {
    /// A ticket of it.
    #[must_use]
    pub fn ticket(&self, id: TicketId) -> Option<&Ticket> {
        self.tickets.iter().find(|ticket| ticket.id == id)
    }

    /// How many of its tickets are still to be done.
    #[must_use]
    pub fn remaining(&self) -> i32 {
        let to_do = |ticket: &&Ticket| ticket.status.is_on_the_wall();
        i32::try_from(self.tickets.iter().filter(to_do).count()).unwrap_or(i32::MAX)
    }

    /// The tickets that are to be made and not made yet.
    pub(crate) fn on_the_wall(&self) -> Vec<TicketId> {
        let to_do = |ticket: &&Ticket| ticket.status.is_on_the_wall();
        self.tickets
            .iter()
            .filter(to_do)
            .map(|ticket| ticket.id)
            .collect()
    }

    const fn empty(store: StoreId) -> Self {
        Self {
            store,
            stage: Stage::Open,
            version: 0,
            answered: 0,
            tickets: Vec::new(),
        }
    }

    fn mark(&mut self, ids: &[TicketId], status: TicketStatus) {
        for ticket in &mut self.tickets {
            if ids.contains(&ticket.id) {
                ticket.status = status;
            }
        }
    }
}

// === impl PreparationEvent ===

impl PreparationEvent {
    /// Whether others are told; only these count as versions.
    #[must_use]
    pub const fn is_told(&self) -> bool {
        !matches!(self, Self::NeverOpened { .. })
    }
}

/// The preparation after `event`, which [`crate::decide`] made from it. None when the event needs a
/// preparation and there is none, which no decision leads to.
#[must_use]
pub fn evolve(current: Option<Preparation>, event: &PreparationEvent) -> Option<Preparation> {
    let mut next = match (current, event) {
        (Some(current), _) => current,
        (
            None,
            PreparationEvent::TicketsOpened { store, .. }
            | PreparationEvent::TicketsWithdrawn { store, .. }
            | PreparationEvent::NeverOpened { store },
        ) => Preparation::empty(store.clone()),
        (None, _) => return None,
    };
    match event {
        PreparationEvent::TicketsOpened { tickets, .. } => next.tickets.clone_from(tickets),
        PreparationEvent::PreparationStarted { ticket } => {
            next.stage = Stage::Started;
            next.mark(&[*ticket], TicketStatus::Started);
        }
        PreparationEvent::TicketStarted { ticket } => {
            next.mark(&[*ticket], TicketStatus::Started);
        }
        PreparationEvent::TicketDone { ticket, .. } => next.mark(&[*ticket], TicketStatus::Done),
        PreparationEvent::PreparationCompleted => next.stage = Stage::Completed,
        PreparationEvent::TicketsWithdrawn {
            tickets, answered, ..
        } => {
            next.stage = Stage::Withdrawn;
            next.answered = next.answered.max(*answered);
            next.mark(tickets, TicketStatus::Withdrawn);
        }
        PreparationEvent::WithdrawalRefused { answered } => {
            next.answered = next.answered.max(*answered);
        }
        PreparationEvent::NeverOpened { .. } => next.stage = Stage::Withdrawn,
    }
    next.version += i64::from(event.is_told());
    Some(next)
}
