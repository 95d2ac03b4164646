//! The card processor of the outside world, as pure rules.
//!
//! ```text
//!                 ┌─► declined
//!  authorise ─────┤
//!                 └─► authorised ──capture──► captured ──refund──► refunded
//!                          └──────void──────► voided
//! ```
//!
//! Read on in this order: [`CardToken`] decides what becomes of a card, [`Ledger`] is what happened so
//! far and decides what may happen next, [`Behaviours`] makes the processor misbehave on order.
//!
//! Nothing here reads a clock, draws a random number or writes a file: instants and ids are given.

mod behaviour;
mod card;
mod ledger;
mod request;

pub use behaviour::{Behaviour, Behaviours, InvalidBehaviour, Misbehaviour, Part, Share};
pub use card::{CardToken, InvalidCardToken};
pub use ledger::{BrokenLedger, Entry, Ledger, Standing, Verdict};
pub use request::{
    DeclineCode, EntryId, InvalidReference, Kind, Operation, Outcome, Reference, Rejection,
    Request, Target,
};
