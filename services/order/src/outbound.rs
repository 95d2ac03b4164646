//! We call the world: all SQL of this service, and the bytes of its events.

pub mod event_codec;
pub mod store;
