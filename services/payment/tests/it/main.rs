//! The service on a real PostgreSQL, against a card processor that misbehaves on order.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends where it fails"
)]

mod authorise;
mod batch;
mod boot;
mod card_processor;
mod crash;
mod reverse;
mod risk;
mod schema;
mod shop;
#[cfg(feature = "fault-injection")]
mod teeth;
