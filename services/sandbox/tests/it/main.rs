//! The outside world over loopback: the real router and journal in this process, and the real binary
//! where it is killed.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where it fails"
)]

mod behaviour;
mod input;
mod journal;
mod killed;
mod money;
mod outside;
mod processor;
