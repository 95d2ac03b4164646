//! The money of one order, as rules without I/O.
//!
//! An order's money is one [`Payment`]: at most one authorisation, one capture and one reversal. The
//! service `order` commands them; each command moves the payment on by **at most one request** to the
//! card processor:
//!
//! ```text
//! command ──decide──► Answer                            (what is on record settles it)
//!                └──► Ask(request) ──► processor ──► answer ──learn──► Payment + event ──► posting
//! ```
//!
//! What the shell may rely on:
//! - [`Payment::decide`] records the intent; the shell stores it before the request leaves.
//! - [`Payment::learn`] may be applied to whatever is on record by then: a definite outcome never
//!   changes, so that answers may arrive late, twice and out of order.
//! - Each request's key follows from the order and what is asked for. A repeat is the same request
//!   under the same key: it can take effect once only.
//! - Time matters in one place: the processor forgets keys. A request that may be older than that is
//!   looked up by its reference before it is repeated.
//! - A risk rule that refuses an authorisation does so before anything leaves; the refusal is as final
//!   as any other outcome. What the rules count is a [`Tally`] of each card and customer.
//! - Once a reversal is recorded, authorisation and capture are refused, also when they never came.

mod command;
mod decide;
mod learn;
mod ledger;
mod operation;
mod payment;
mod processor;
mod risk;
mod tally;

pub use command::{Command, Effect, Event, Outcome, RefusalReason, Step, TokenHash};
pub use ledger::Posting;
pub use operation::{Kind, Operation, State, UnknownState};
pub use payment::{Authorisation, Payment, Reversal};
pub use processor::{Answer, Call, Found, FoundStatus, KeyLifetime, Request};
pub use risk::{Counted, Hit, InvalidRules, Rule, Rules, Seen, Subject};
pub use tally::{Slice, Tally};
