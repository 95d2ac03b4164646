//! `barista` on a real database and a real broker.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

mod bar;
mod end_to_end;
mod migrations;
mod races;
#[cfg(feature = "fault-injection")]
mod teeth;
mod tickets;
mod wall;
