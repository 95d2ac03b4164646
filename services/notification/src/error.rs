//! What can go wrong in a use case, and what callers are told of it.

use brewline_postgres::Error as DatabaseError;
use brewline_server::status::{invalid, rejection};
use tonic::{Code, Status};

/// Why a use case gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The input breaks the rules: a field, and how.
    #[error("{0}: {1}")]
    Invalid(&'static str, String),
    /// There is no such thing.
    #[error("there is no such {0}")]
    Unknown(&'static str),
    /// The customer was erased.
    #[error("the customer was erased")]
    Erased,
    /// There are as many endpoints as there may be.
    #[error("there are {0} webhook endpoints already")]
    TooMany(i64),
    /// The idempotency key was used for another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// A request under the same idempotency key is being worked on.
    #[error("a request with the same idempotency key is in flight")]
    KeyInFlight,
    /// A read's view is behind what the caller has seen.
    #[error("what was written elsewhere has not arrived here yet")]
    ViewBehind,
    /// The same, and waiting does not help.
    #[error("what was written elsewhere is parked behind a dead letter here")]
    Parked,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// An event or an answer that is stored cannot be read.
    #[error("what is stored cannot be read: {0}")]
    Stored(#[from] prost::DecodeError),
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error {
            Error::Invalid(field, detail) => invalid(vec![(field.to_owned(), detail)]),
            Error::Unknown(_) => rejection(Code::NotFound, "not-found", text),
            Error::Erased => rejection(Code::NotFound, "customer-erased", text),
            Error::TooMany(_) => rejection(Code::FailedPrecondition, "too-many-endpoints", text),
            Error::KeyReused => rejection(Code::FailedPrecondition, "idempotency-key-reused", text),
            Error::KeyInFlight => rejection(Code::Aborted, "idempotency-in-flight", text),
            Error::ViewBehind => rejection(Code::Unavailable, "view-behind", text),
            Error::Parked => rejection(Code::Unavailable, "view-behind-parked", text),
            Error::Database(cause) if cause.is_unavailable() || cause.is_retryable() => {
                tracing::warn!(error = text, "the database is not available");
                rejection(
                    Code::Unavailable,
                    "unavailable",
                    "the database is not available",
                )
            }
            // Handled here, so logged here; callers learn nothing of our insides.
            Error::Database(_) | Error::Stored(_) => {
                tracing::error!(error = text, "a call failed");
                Self::internal("internal error")
            }
        }
    }
}
