//! What this service calls: the file system.

mod journal;
mod line;
mod line_file;

pub use journal::{Journal, JournalError};
pub use line_file::LineFile;
