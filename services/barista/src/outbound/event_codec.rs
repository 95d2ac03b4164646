//! What happened, as events on the wire.

use brewline_barista_domain::{PreparationEvent, Station, Ticket, TicketId, WithdrawalReason};
use brewline_kernel::{Envelope, Timestamp};
use brewline_messaging::NewEvent;
use brewline_proto::fulfilment::v1 as wire;
use prost::Message;
use uuid::Uuid;

use crate::app::prepare::Happened;

/// Where preparations are told.
pub const TOPIC: &str = "brewline.fulfilment.events.v1";

/// What a customer is told who wanted to cancel too late.
const BEGUN: &str = "a barista has begun with the order";

/// `TicketsOpened` and its kin. Subject: the order's id.
#[must_use]
pub fn fulfilment_event(id: Uuid, at: Timestamp, happened: &Happened) -> NewEvent {
    let (event_type, payload) = encode(happened);
    NewEvent {
        topic: TOPIC,
        aggregate_type: "preparation",
        envelope: Envelope {
            id,
            event_type: event_type.to_owned(),
            source: crate::SOURCE.to_owned(),
            subject: happened.order.to_string(),
            version: happened.version,
            time: at,
            correlation_id: happened.correlation,
            causation_id: happened.cause,
            traceparent: happened.traceparent,
        },
        payload: Some(payload.into()),
    }
}

/// A ticket as it travels.
#[must_use]
pub fn ticket(ticket: &Ticket) -> wire::Ticket {
    let (station, method) = match &ticket.station {
        Station::Brew { method } => (wire::Station::Brew, method.clone()),
        Station::Plate => (wire::Station::Plate, String::new()),
    };
    wire::Ticket {
        ticket_id: ticket.id.to_string(),
        line: ticket.line,
        product_id: ticket.product.to_string(),
        product: ticket.name.clone(),
        quantity: ticket.quantity,
        station: station.into(),
        method,
    }
}

/// Type and body. Every message begins with the order and its store.
macro_rules! message {
    ($happened:expr, $name:ident { $($field:ident: $value:expr),* $(,)? }) => {{
        let message = wire::$name {
            order_id: $happened.order.to_string(),
            store_id: $happened.store.to_string(),
            $($field: $value),*
        };
        (concat!("brewline.fulfilment.v1.", stringify!($name)), message.encode_to_vec())
    }};
}

fn encode(happened: &Happened) -> (&'static str, Vec<u8>) {
    match &happened.event {
        PreparationEvent::TicketsOpened { tickets, .. } => message!(
            happened,
            TicketsOpened {
                tickets: tickets.iter().map(ticket).collect()
            }
        ),
        PreparationEvent::PreparationStarted { ticket } => {
            message!(
                happened,
                PreparationStarted {
                    ticket_id: ticket.to_string()
                }
            )
        }
        PreparationEvent::TicketStarted { ticket } => {
            message!(
                happened,
                TicketStarted {
                    ticket_id: ticket.to_string()
                }
            )
        }
        PreparationEvent::TicketDone { ticket, remaining } => message!(
            happened,
            TicketDone {
                ticket_id: ticket.to_string(),
                remaining: *remaining
            }
        ),
        PreparationEvent::PreparationCompleted => message!(happened, PreparationCompleted {}),
        PreparationEvent::TicketsWithdrawn {
            reason, tickets, ..
        } => message!(
            happened,
            TicketsWithdrawn {
                reason: withdrawal_reason(*reason).into(),
                ticket_ids: tickets.iter().map(TicketId::to_string).collect(),
            }
        ),
        PreparationEvent::WithdrawalRefused { .. } => {
            message!(
                happened,
                WithdrawalRefused {
                    reason: BEGUN.to_owned()
                }
            )
        }
        // Never told; were it ever, it would say what it is: nothing is to be made.
        PreparationEvent::NeverOpened { .. } => {
            message!(
                happened,
                TicketsWithdrawn {
                    reason: 0,
                    ticket_ids: Vec::new()
                }
            )
        }
    }
}

const fn withdrawal_reason(reason: WithdrawalReason) -> wire::WithdrawalReason {
    match reason {
        WithdrawalReason::Customer => wire::WithdrawalReason::Customer,
        WithdrawalReason::PaymentLost => wire::WithdrawalReason::PaymentLost,
    }
}
