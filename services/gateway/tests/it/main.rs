//! The edge over loopback, against services that say what a test tells them to.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where it fails"
)]

mod behind;
mod boards;
mod catalogue;
mod customers;
mod edge;
mod input;
mod limits;
mod notifications;
mod openapi;
mod order_events;
mod orders;
mod samples;
mod signals;
mod statuses;
mod stub;
mod wall;
mod wall_socket;
