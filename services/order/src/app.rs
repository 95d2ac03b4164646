//! The use cases of this service, one a file.

pub mod catalogue;
pub mod place_order;
pub mod waiters;
