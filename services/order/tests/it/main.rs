//! `order` on a real database.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

mod barista;
mod cancel_order;
mod catalogue;
mod checkout_desk;
mod checkout_payments;
#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "a model names what it knows and leaves the rest"
)]
mod checkout_proofs;
mod checkout_saga;
mod customers;
mod forget_keys;
mod migrations;
mod operate;
mod place_order;
mod query_orders;
mod shop;
mod store;
mod teeth;
mod watch_order;
