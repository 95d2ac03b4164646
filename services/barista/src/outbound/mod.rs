//! What we call: the database, and the outbox by which others hear of it.

pub mod event_codec;
pub mod store;
pub mod wall_store;
