//! What this service calls: the file system.

mod journal;
mod line;

pub use journal::{Journal, JournalError};
