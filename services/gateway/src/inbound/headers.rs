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

/// The idempotency key of a write that may have one: without it a repeat is done again.
#[derive(Debug)]
pub(super) struct MaybeKey(pub(super) Option<IdempotencyKey>);

impl<S: Sync> FromRequestParts<S> for Key {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let MaybeKey(key) = MaybeKey::from_request_parts(parts, state).await?;
        key.map(Self).ok_or_else(|| {
            let detail =
                "the header Idempotency-Key is missing: without it a repeat would be done twice";
            Problem::malformed("idempotency-key-missing", detail)
        })
    }
}

impl MaybeKey {
    /// As services are told: empty when there is none.
    pub(super) fn text(self) -> String {
        self.0
            .map_or_else(String::new, |key| key.as_str().to_owned())
    }
}

impl<S: Sync> FromRequestParts<S> for MaybeKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let mut given = parts.headers.get_all(IDEMPOTENCY_KEY).iter();
        let Some(first) = given.next() else {
            return Ok(Self(None));
        };
        if given.next().is_some() {
            let detail = "the header Idempotency-Key is there more than once";
            return Err(Problem::malformed("idempotency-key-malformed", detail));
        }
        // A value that is no ASCII is no key either.
        let text = first.to_str().unwrap_or_default();
        text.parse().map(|key| Self(Some(key))).map_err(
            |error: brewline_kernel::InvalidIdempotencyKey| {
                Problem::malformed("idempotency-key-malformed", error.to_string())
            },
        )
    }
}
