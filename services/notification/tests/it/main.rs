//! `notification` on a real database and a real broker, with the outside world beside it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

mod customers;
mod end_to_end;
mod https;
mod mails;
mod migrations;
mod post;
mod rotation;
#[cfg(feature = "fault-injection")]
mod teeth;
mod webhooks;
