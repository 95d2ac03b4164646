//! What this service does, a file per use case.

pub mod call_hooks;
pub mod endpoints;
pub mod housekeeping;
pub mod meet_customers;
pub mod pull_events;
pub mod rate;
mod requests;
mod rooms;
pub mod send_mails;
