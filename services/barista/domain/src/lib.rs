//! What `barista` decides: which tickets an order has, who may begin with them, and when it is ready.
//!
//! Nothing here does I/O, reads a clock or draws a random number; the manifest proves it.
//!
//! # The preparation
//!
//! One per order: its tickets, one a line, each at its station. Fan-out at the beginning, fan-in at the
//! end: the last ticket that is done makes the order ready.
//!
//! ```text
//!            OrderConfirmed         first ticket started        last ticket done
//!  (nothing) ─────────────► Open ───────────────────► Started ──────────────────► Completed
//!      │                     │                           │
//!      │                     │ cancellation asked for:   │ cancellation asked for: refused
//!      │                     │ granted                   │ money lost: what is open is dropped
//!      │ asked for, or over  ▼                           ▼
//!      └─────────────────► Withdrawn ◄───────────────────┘
//! ```
//!
//! The versions of the events are the versions of the subject on `brewline.fulfilment.events.v1`. Each
//! request for a withdrawal gets exactly one answer.

mod command;
mod preparation;
mod ticket;

pub use command::{CancellationCause, Command, Rejection, decide};
pub use preparation::{Preparation, PreparationEvent, Stage, WithdrawalReason, evolve};
pub use ticket::{InvalidTicket, NewTicket, QUANTITY_MAX, Station, Ticket, TicketId, TicketStatus};
