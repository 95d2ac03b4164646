//! What can go wrong in a use case, and what callers are told of it.

use brewline_barista_domain::Rejection;
use brewline_postgres::Error as DatabaseError;
use brewline_server::status::{COME_AGAIN, busy, invalid, rejection};
use tonic::{Code, Status};

/// Why a use case gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An expected "no".
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The input breaks the rules.
    #[error("{field}: {detail}")]
    Invalid {
        /// The field at fault.
        field: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// What the caller has seen has not come here in time.
    #[error("the wall does not yet hold what the token says")]
    Behind,
    /// What the caller has seen stands behind a dead letter.
    #[error("what the token says stands behind a dead letter; waiting does not help")]
    Parked,
    /// Too many watch already.
    #[error("too many are watching walls")]
    TooManyWatchers,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The database holds what this program never wrote.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
}

/// A row that this program never wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Corrupt {
    /// A column's value makes no sense.
    #[error("the stored value of `{0}` makes no sense")]
    Column(&'static str),
    /// A row that must be there is not.
    #[error("there is no {0} where one must be")]
    Missing(&'static str),
}

/// Why rows could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// A row says something this program never wrote.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
}

// === impl Error ===

impl From<LoadError> for Error {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Database(error) => Self::Database(error),
            LoadError::Corrupt(corrupt) => Self::Corrupt(corrupt),
        }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let detail = error.to_string();
        match error {
            Error::Rejected(no) => {
                let (code, reason) = reason(no);
                rejection(code, reason, detail)
            }
            Error::Invalid { field, detail } => invalid(vec![(field.to_owned(), detail)]),
            Error::Behind => rejection(Code::Unavailable, "view-behind", detail),
            Error::Parked => rejection(Code::Unavailable, "view-behind-parked", detail),
            Error::TooManyWatchers => busy("too-many-watchers", detail, COME_AGAIN),
            Error::Database(ref cause) if cause.is_unavailable() || cause.is_retryable() => {
                tracing::warn!(%error, "the database is not available");
                let detail = "the database is not available";
                rejection(Code::Unavailable, "unavailable", detail)
            }
            // Handled here, so logged here; callers learn nothing of our insides.
            Error::Database(_) | Error::Corrupt(_) => {
                tracing::error!(%error, "a call failed");
                Self::internal("internal error")
            }
        }
    }
}

const fn reason(no: Rejection) -> (Code, &'static str) {
    match no {
        Rejection::UnknownTicket => (Code::NotFound, "unknown-ticket"),
        Rejection::AlreadyDone => (Code::FailedPrecondition, "ticket-done"),
        Rejection::NotStarted => (Code::FailedPrecondition, "ticket-not-started"),
        Rejection::Withdrawn => (Code::FailedPrecondition, "ticket-withdrawn"),
        Rejection::NoSuchOrder => (Code::InvalidArgument, "invalid-request"),
    }
}
