//! What we call: the database. All SQL and the encoding of events are here.

pub mod adjustments;
pub mod catalogue_store;
pub mod event_codec;
pub mod store;
