//! `notification` on a real database and a real broker, with the outside world beside it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

mod customers;
mod mails;
mod migrations;
mod post;
mod webhooks;
