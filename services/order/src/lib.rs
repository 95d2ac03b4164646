//! The service `order`: event-sourced orders, customers, the checkout saga.

pub mod outbound;
pub mod signals;
