//! What we call: the time zone database, and our own tables.

pub mod actions;
pub mod calendar;
pub mod snapshot_store;
