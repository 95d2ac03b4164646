//! Headers of ours.

use axum::extract::FromRequestParts;
use axum::http::HeaderName;
use axum::http::request::Parts;
use brewline_kernel::IdempotencyKey;

use super::problem::Problem;

/// The caller's name for a write.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Says that an answer was given before.
pub(super) const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The idempotency key of a write that must have one.
#[derive(Debug)]
pub(super) struct Key(pub(super) IdempotencyKey);

impl<S: Sync> FromRequestParts<S> for Key {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let mut given = parts.headers.get_all(IDEMPOTENCY_KEY).iter();
        let Some(first) = given.next() else {
            let detail =
                "the header Idempotency-Key is missing: without it a repeat would be done twice";
            return Err(Problem::malformed("idempotency-key-missing", detail));
        };
        if given.next().is_some() {
            let detail = "the header Idempotency-Key is there more than once";
            return Err(Problem::malformed("idempotency-key-malformed", detail));
        }
        // A value that is no ASCII is no key either.
        let text = first.to_str().unwrap_or_default();
        text.parse()
            .map(Self)
            .map_err(|error: brewline_kernel::InvalidIdempotencyKey| {
                Problem::malformed("idempotency-key-malformed", error.to_string())
            })
    }
}
