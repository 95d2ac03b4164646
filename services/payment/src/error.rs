use brewline_postgres as postgres;

/// Why a command got no outcome. None of them says anything about the money: the same command again
/// finds out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database refused or did not answer.
    #[error("payment's database: {0}")]
    Database(#[from] postgres::Error),
    /// A row holds what this version cannot have written.
    #[error("a payment's row is broken: {0}")]
    BrokenRow(String),
    /// The batch that the command was part of failed.
    #[error("the command could not be recorded: {0}")]
    NotRecorded(String),
    /// Another transaction counted the same card or customer for the first time.
    #[error("another transaction was first to count the same payer")]
    Raced,
    /// The service is shutting down.
    #[error("the service is shutting down")]
    ShuttingDown,
    /// The processor's client could not be built.
    #[error("build the processor's client: {0}")]
    Client(#[from] reqwest::Error),
}

// === impl Error ===

impl Error {
    /// Whether the same transaction, from its beginning, may succeed at once.
    pub(crate) fn is_retryable(&self) -> bool {
        match self {
            Self::Database(error) => error.is_retryable(),
            Self::Raced => true,
            Self::BrokenRow(_) | Self::NotRecorded(_) | Self::ShuttingDown | Self::Client(_) => {
                false
            }
        }
    }

    /// Whether the fault is the database's, whatever the batch holds.
    pub(crate) fn is_outage(&self) -> bool {
        matches!(self, Self::Database(error) if error.is_unavailable())
    }
}
