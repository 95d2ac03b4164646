//! What can go wrong in a use case, and what callers are told of it.

use brewline_inventory_domain::{AdjustRejection, CatalogueRejection, FieldFault};
use brewline_postgres::Error as DatabaseError;
use brewline_server::status::{invalid, rejection};
use tonic::{Code, Status};

use crate::outbound::store::LoadError;

/// Why a use case gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An expected "no".
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The input breaks the rules.
    #[error("the request is invalid")]
    Invalid(Vec<FieldFault>),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The database holds what this program never wrote.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// Others changed the same thing again and again.
    #[error("others keep changing it")]
    Contended,
}

/// An expected "no".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// There is no such store.
    #[error("there is no store of this id")]
    UnknownStore,
    /// There is no such product.
    #[error("there is no product of this id")]
    UnknownProduct,
    /// It is out of use for good.
    #[error("{0} is retired, and its id is never used again")]
    Retired(&'static str),
    /// A store's currency is for ever.
    #[error("the currency of a store cannot change once it is set")]
    CurrencyFixed,
    /// The stock does not allow it.
    #[error(transparent)]
    Stock(#[from] AdjustRejection),
    /// The same key came with another body.
    #[error("this idempotency key was used for another request")]
    KeyReused,
    /// The same key is being answered right now.
    #[error("a request with this idempotency key is still in flight")]
    KeyInFlight,
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
        match error {
            Error::Rejected(no) => no.into(),
            Error::Invalid(faults) => invalid(
                faults
                    .into_iter()
                    .map(|fault| (fault.field.to_owned(), fault.detail))
                    .collect(),
            ),
            Error::Contended => rejection(Code::Aborted, "contended", error.to_string()),
            Error::Database(ref cause) if cause.is_unavailable() || cause.is_retryable() => {
                tracing::warn!(error = %error, "the database is not available");
                rejection(
                    Code::Unavailable,
                    "unavailable",
                    "the database is not available",
                )
            }
            // Handled here, so logged here; callers learn nothing of our insides.
            Error::Database(_) | Error::Corrupt(_) => {
                tracing::error!(error = %error, "a call failed");
                Self::internal("internal error")
            }
        }
    }
}

// === impl Rejection ===

impl Rejection {
    /// What `no` means for a store or a product, which `unknown` and `noun` say.
    #[must_use]
    pub fn of_item(no: CatalogueRejection, unknown: Self, noun: &'static str) -> Self {
        match no {
            CatalogueRejection::Retired => Self::Retired(noun),
            CatalogueRejection::Unknown => unknown,
            CatalogueRejection::CurrencyFixed => Self::CurrencyFixed,
        }
    }

    const fn reason(&self) -> (Code, &'static str) {
        match self {
            Self::UnknownStore => (Code::NotFound, "unknown-store"),
            Self::UnknownProduct => (Code::NotFound, "unknown-product"),
            Self::Retired(_) => (Code::FailedPrecondition, "retired"),
            Self::CurrencyFixed => (Code::FailedPrecondition, "currency-fixed"),
            Self::Stock(AdjustRejection::InsufficientStock { .. }) => {
                (Code::FailedPrecondition, "insufficient-stock")
            }
            Self::Stock(AdjustRejection::TooMuch) => (Code::FailedPrecondition, "too-much-stock"),
            Self::Stock(AdjustRejection::Nothing) => (Code::InvalidArgument, "invalid-request"),
            Self::KeyReused => (Code::AlreadyExists, "idempotency-key-reused"),
            Self::KeyInFlight => (Code::Aborted, "idempotency-in-flight"),
        }
    }
}

impl From<Rejection> for Status {
    fn from(no: Rejection) -> Self {
        let (code, reason) = no.reason();
        rejection(code, reason, no.to_string())
    }
}
