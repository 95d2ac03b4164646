use crate::JournalError;

/// Why the service cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The ledger cannot be kept any more; answering without it would be a lie.
    #[error("write the journal")]
    Journal(#[from] JournalError),
    /// The clerk has ended, with its reason in the log.
    #[error("the clerk is gone")]
    ClerkGone,
}
