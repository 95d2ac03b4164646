//! The world calls us: what comes in is parsed into domain types and refused early.

pub mod catalogue_consumer;
