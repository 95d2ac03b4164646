//! The use cases of this service, one a file.

pub mod await_catalogue;
pub mod cancel_order;
pub mod catalogue;
pub mod change_order;
pub mod checkout;
pub mod collect_order;
pub mod customers;
pub mod forget_keys;
pub mod hear_barista;
pub mod operate;
pub mod place_order;
pub mod query_orders;
pub mod replay_orders;
pub mod waiters;
pub mod watch_order;
