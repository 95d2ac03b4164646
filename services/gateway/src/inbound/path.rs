use std::fmt::Display;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use brewline_kernel::{CustomerId, OrderId, ProductId, StoreId};

use super::problem::Problem;

/// The one id in a path.
#[derive(Debug)]
pub(super) struct Id<T>(pub(super) T);

/// An id that may stand in a path, under this name.
pub(super) trait Named {
    const NAME: &'static str;
}

impl Named for OrderId {
    const NAME: &'static str = "orderId";
}

impl Named for StoreId {
    const NAME: &'static str = "storeId";
}

impl Named for ProductId {
    const NAME: &'static str = "productId";
}

impl Named for CustomerId {
    const NAME: &'static str = "customerId";
}

impl<T, S> FromRequestParts<S> for Id<T>
where
    T: FromStr + Named + Send,
    T::Err: Display,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let malformed = |detail: String| Problem::malformed("invalid-id", detail).at(T::NAME);
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|error| malformed(error.body_text()))?;
        text.parse()
            .map(Self)
            .map_err(|error: T::Err| malformed(error.to_string()))
    }
}
