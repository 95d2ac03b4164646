//! One use case per file: load, decide, store with the events, one transaction.

pub mod adjust_stock;
pub mod change_catalogue;
pub mod housekeeping;
pub(crate) mod planted;
pub mod settle_orders;
