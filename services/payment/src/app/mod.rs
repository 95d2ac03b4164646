//! What this service does with a command.
//!
//! ```text
//!  commands ──► intents ──► requests ──► outcomes ──► answers
//!               tx 1        the card     tx 2
//!               (what is    processor    (what it said, ledger,
//!               intended)                events)
//! ```
//!
//! Each stage takes what has queued while it was busy: idle, a batch of one without delay; busy,
//! batches grow by themselves. A request that hangs holds up nobody but its own order. Every stage
//! reads from a bounded queue of the one before it, so that a slow processor fills the queues and in
//! the end makes callers wait, instead of memory.
//!
//! Authorise, Capture and Reverse differ in the rules of the domain alone; here they are one shape.

mod intents;
mod operations;
mod outcomes;
mod payer;
mod requests;
mod risk;

pub use operations::{Machinery, Operations};
pub use payer::{Payer, SubjectKey};
pub use risk::forget_once;
