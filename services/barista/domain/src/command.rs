use brewline_kernel::StoreId;

use crate::{
    NewTicket, Preparation, PreparationEvent, QUANTITY_MAX, Stage, Ticket, TicketId, TicketStatus,
    WithdrawalReason,
};

/// Why an order was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancellationCause {
    /// Its customer wished so.
    Customer,
    /// Its money was lost.
    PaymentLost,
}

/// What is asked of a preparation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// The order is sold: onto the wall with it.
    Open {
        /// Who makes it.
        store: StoreId,
        /// One a line.
        tickets: Vec<NewTicket>,
    },
    /// A barista begins with a ticket.
    Start(TicketId),
    /// A barista is done with one.
    Finish(TicketId),
    /// The customer wants to cancel: is it still possible?
    Withdraw {
        /// Who makes it.
        store: StoreId,
        /// The version of the order's event that asks: each gets one answer.
        asked: i64,
    },
    /// The order is cancelled.
    Cancelled {
        /// Who makes it.
        store: StoreId,
        /// Why.
        cause: CancellationCause,
    },
}

/// An expected "no".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// There is no such ticket.
    #[error("there is no ticket of this id")]
    UnknownTicket,
    /// It cannot be begun any more.
    #[error("the ticket is done already")]
    AlreadyDone,
    /// It cannot be done before it was begun.
    #[error("nobody has begun with this ticket")]
    NotStarted,
    /// It is off the wall: the order is cancelled.
    #[error("the ticket is withdrawn: its order is cancelled")]
    Withdrawn,
    /// An order without lines, or with one that makes no sense.
    #[error("an order has 1 or more lines of 1 to {QUANTITY_MAX}")]
    NoSuchOrder,
}

/// Decides what a command does to a preparation. Nothing, when it is a repeat.
///
/// # Errors
/// When the command cannot be obeyed.
pub fn decide(
    current: Option<&Preparation>,
    command: &Command,
) -> Result<Vec<PreparationEvent>, Rejection> {
    match (command, current) {
        (Command::Open { store, tickets }, None) => open(store, tickets),
        // A repeat; or the order ended before it came here.
        (Command::Open { .. }, Some(_)) => Ok(Vec::new()),
        (Command::Start(_) | Command::Finish(_), None) => Err(Rejection::UnknownTicket),
        (Command::Start(id), Some(preparation)) => start(preparation, *id),
        (Command::Finish(id), Some(preparation)) => finish(preparation, *id),
        (Command::Withdraw { store, asked }, None) => Ok(vec![granted(store, *asked, Vec::new())]),
        (Command::Withdraw { asked, .. }, Some(preparation)) => Ok(answer(preparation, *asked)),
        (Command::Cancelled { store, .. }, None) => Ok(vec![PreparationEvent::NeverOpened {
            store: store.clone(),
        }]),
        (Command::Cancelled { cause, .. }, Some(preparation)) => Ok(drop_open(preparation, *cause)),
    }
}

fn open(store: &StoreId, lines: &[NewTicket]) -> Result<Vec<PreparationEvent>, Rejection> {
    let makes_sense = |line: &NewTicket| (1..=QUANTITY_MAX).contains(&line.quantity);
    if lines.is_empty() || !lines.iter().all(makes_sense) {
        return Err(Rejection::NoSuchOrder);
    }
    let tickets = (0..).zip(lines).map(|(n, line)| Ticket::open(n, line));
    Ok(vec![PreparationEvent::TicketsOpened {
        store: store.clone(),
        tickets: tickets.collect(),
    }])
}

fn start(preparation: &Preparation, id: TicketId) -> Result<Vec<PreparationEvent>, Rejection> {
    let ticket = preparation.ticket(id).ok_or(Rejection::UnknownTicket)?;
    match ticket.status {
        TicketStatus::Open if preparation.stage == Stage::Open => {
            Ok(vec![PreparationEvent::PreparationStarted { ticket: id }])
        }
        TicketStatus::Open => Ok(vec![PreparationEvent::TicketStarted { ticket: id }]),
        TicketStatus::Started => Ok(Vec::new()),
        TicketStatus::Done => Err(Rejection::AlreadyDone),
        TicketStatus::Withdrawn => Err(Rejection::Withdrawn),
    }
}

fn finish(preparation: &Preparation, id: TicketId) -> Result<Vec<PreparationEvent>, Rejection> {
    let ticket = preparation.ticket(id).ok_or(Rejection::UnknownTicket)?;
    match ticket.status {
        TicketStatus::Open => Err(Rejection::NotStarted),
        TicketStatus::Done => Ok(Vec::new()),
        TicketStatus::Withdrawn => Err(Rejection::Withdrawn),
        TicketStatus::Started => {
            let remaining = preparation.remaining() - 1;
            let done = PreparationEvent::TicketDone {
                ticket: id,
                remaining,
            };
            let completed = (remaining == 0).then_some(PreparationEvent::PreparationCompleted);
            Ok([done].into_iter().chain(completed).collect())
        }
    }
}

/// One answer a request. Whoever asks again after the tickets are gone hears that they are.
fn answer(preparation: &Preparation, asked: i64) -> Vec<PreparationEvent> {
    if asked <= preparation.answered {
        return Vec::new();
    }
    match preparation.stage {
        Stage::Open | Stage::Withdrawn => {
            let tickets = preparation.on_the_wall();
            vec![granted(&preparation.store, asked, tickets)]
        }
        Stage::Started | Stage::Completed => {
            vec![PreparationEvent::WithdrawalRefused { answered: asked }]
        }
    }
}

/// The order is cancelled for good: nobody is to make what is not made yet. After a withdrawal that was
/// granted there is nothing left to drop.
fn drop_open(preparation: &Preparation, cause: CancellationCause) -> Vec<PreparationEvent> {
    let tickets = preparation.on_the_wall();
    if tickets.is_empty() {
        return Vec::new();
    }
    let reason = match cause {
        CancellationCause::Customer => WithdrawalReason::Customer,
        CancellationCause::PaymentLost => WithdrawalReason::PaymentLost,
    };
    vec![PreparationEvent::TicketsWithdrawn {
        store: preparation.store.clone(),
        reason,
        tickets,
        answered: 0,
    }]
}

fn granted(store: &StoreId, asked: i64, tickets: Vec<TicketId>) -> PreparationEvent {
    PreparationEvent::TicketsWithdrawn {
        store: store.clone(),
        reason: WithdrawalReason::Customer,
        tickets,
        answered: asked,
    }
}
