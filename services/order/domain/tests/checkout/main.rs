//! The checkout saga: its way in given/when/then, and what holds after any sequence of events.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "a test fails by panicking"
)]

mod any_sequence;
mod parked;
mod sold;
mod told;
mod undone;
