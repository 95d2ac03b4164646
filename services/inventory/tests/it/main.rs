//! `inventory` on a real database and a real broker.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

mod adjustments;
mod catalogue;
mod end_to_end;
mod housekeeping;
mod migrations;
mod reservations;
mod shop;
#[cfg(feature = "fault-injection")]
mod teeth;
