//! One use case per file: load, decide, store with the events, one transaction.

pub(crate) mod planted;
pub mod prepare;
pub mod show_tickets;
pub mod walls;
pub mod work_ticket;
