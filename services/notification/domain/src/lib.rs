//! What `notification` decides: who is told what, how often it is tried, and who may be called.
//!
//! Nothing here does I/O, reads a clock or draws a random number; the manifest proves it.
//!
//! # A delivery
//!
//! One message to one customer: unique by (order, kind, channel).
//!
//! ```text
//!   (order's event) ──► waiting ──customer known──► pending ──mail server took it──► sent
//!                          │                         │  ▲ │
//!                          │ not known in time       │  └─┘ not now: again, later
//!                          └────────► expired ◄──────┤ lost its point, erased
//!                                                    └────────► failed: refused for good, tried too long
//! ```
//!
//! Read on in this order: [`Kind`] and [`Wishes`] say who is told what, [`judge`] what becomes of a
//! message whose turn has come, [`after_mail`] and [`after_call`] what follows from an answer,
//! [`refusal`] whom we never call, `message` what a mail says.

mod address;
mod delivery;
mod hook;
mod message;
mod wishes;

pub use address::{Refusal, refusal};
pub use delivery::{
    MAIL_BACKOFF, MAIL_TRIED_FOR, MailAnswer, Next, READY_LATE, Turn, after_mail, judge,
};
pub use hook::{
    CALL_ATTEMPTS_MAX, CallAnswer, CallNext, HOOK_TYPES, after_call, hook_type, signed,
};
pub use message::{Message, message, message_id};
pub use wishes::{Channel, Kind, Wishes};
