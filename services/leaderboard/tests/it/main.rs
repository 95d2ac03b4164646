//! `leaderboard` on a real database and a real broker.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test may panic"
)]

mod counting;
mod outside;
mod rebuilding;
mod serving;
mod snapshots;
