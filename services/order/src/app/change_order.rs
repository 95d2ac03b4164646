//! What the use cases that change one order share: why it was not changed, and how often that is tried.

use brewline_order_domain::order::OrderRejection;
use brewline_postgres as postgres;

use crate::app::checkout;
use crate::outbound::store;

/// How often a change that lost against another transaction is tried.
const TRIES_MAX: u32 = 5;

/// Why an order was not changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such order.
    #[error("there is no such order")]
    NotFound,
    /// Its status does not allow it.
    #[error(transparent)]
    NotAllowed(OrderRejection),
    /// The database is away. When it went away at the commit the order may be changed; asking again is
    /// harmless.
    #[error(transparent)]
    Database(#[from] postgres::Error),
    /// What is stored contradicts itself.
    #[error("{0}")]
    Stored(String),
}

/// How often one change was tried.
#[derive(Debug, Default)]
pub(super) struct Tries(u32);

// === impl Tries ===

impl Tries {
    /// After a failure: whether the change is tried once more.
    pub(super) fn again(&mut self, error: &postgres::Error) -> bool {
        self.0 += 1;
        error.is_retryable() && self.0 < TRIES_MAX
    }
}

// === impl Error ===

impl From<OrderRejection> for Error {
    fn from(rejection: OrderRejection) -> Self {
        match rejection {
            OrderRejection::Unknown => Self::NotFound,
            OrderRejection::NotAllowed { .. } => Self::NotAllowed(rejection),
            OrderRejection::Exists => Self::Stored(rejection.to_string()),
        }
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Database(error) => Self::Database(error),
            store::Error::VersionConflict
            | store::Error::Corrupt { .. }
            | store::Error::NotAnOrder => Self::Stored(error.to_string()),
        }
    }
}

impl From<checkout::Error> for Error {
    fn from(error: checkout::Error) -> Self {
        match error.into_database() {
            Ok(error) => Self::Database(error),
            Err(error) => Self::Stored(error.to_string()),
        }
    }
}
