//! Mistakes that someone could really make, so that checkers can be seen to catch them.
//!
//! Each function is what the service does, unless the build has the feature `fault-injection` and the
//! bug is chosen at run time; in a release they are the plain expressions.

use std::borrow::Cow;

use brewline_barista_domain::{Command, Preparation, PreparationEvent, Stage};
use brewline_failpoint::planted;

/// What is asked. Planted: the last line of an order becomes two tickets.
pub(super) fn command(command: &Command) -> Cow<'_, Command> {
    let Command::Open { store, tickets } = command else {
        return Cow::Borrowed(command);
    };
    if !planted("ticket-doubled") {
        return Cow::Borrowed(command);
    }
    let (store, mut tickets) = (store.clone(), tickets.clone());
    let again = tickets.last().cloned().map(|mut last| {
        let id = last.id.as_uuid().as_u128().wrapping_add(1);
        last.id = brewline_barista_domain::TicketId::new(uuid::Uuid::from_u128(id));
        last
    });
    tickets.extend(again);
    Cow::Owned(Command::Open { store, tickets })
}

/// What a command finds. Planted: who wants to cancel finds that nobody has begun.
pub(super) fn seen<'a>(
    current: Option<&'a Preparation>,
    command: &Command,
) -> Option<Cow<'a, Preparation>> {
    let asks = matches!(command, Command::Withdraw { .. });
    let mut seen = Cow::Borrowed(current?);
    if asks && seen.stage == Stage::Started && planted("withdraw-although-started") {
        seen.to_mut().stage = Stage::Open;
    }
    Some(seen)
}

/// What comes of it. Planted: an order is sold and gets no tickets; the first ticket that is done
/// completes its order.
pub(super) fn events(mut events: Vec<PreparationEvent>) -> Vec<PreparationEvent> {
    if planted("tickets-forgotten") {
        events.retain(|event| !matches!(event, PreparationEvent::TicketsOpened { .. }));
    }
    let is_done = |event: &PreparationEvent| matches!(event, PreparationEvent::TicketDone { .. });
    if planted("done-too-early")
        && events.iter().any(is_done)
        && !events.contains(&PreparationEvent::PreparationCompleted)
    {
        events.push(PreparationEvent::PreparationCompleted);
    }
    events
}
