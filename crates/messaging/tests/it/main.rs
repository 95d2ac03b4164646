//! Relay and consumer on a real PostgreSQL and a real Kafka.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

mod consumer;
mod dead_letters;
mod rebuild;
mod redrive;
mod relay;
mod schema;
#[cfg(feature = "fault-injection")]
mod teeth;
mod views;
mod world;
