//! We call the world: the database, the card processor, and (through the outbox) the log.

pub mod event_codec;
pub mod processor;
pub mod store;
pub(crate) mod tally_store;
