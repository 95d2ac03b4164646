//! The use cases of this service, one a file.

pub mod await_catalogue;
pub mod cancel_order;
pub mod catalogue;
pub mod checkout;
pub mod customers;
pub mod forget_keys;
pub mod place_order;
pub mod query_orders;
pub mod waiters;
