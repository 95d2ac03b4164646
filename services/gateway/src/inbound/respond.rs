//! Answers that went well.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use super::headers::IDEMPOTENCY_REPLAYED;
use super::problem::Problem;

/// How much room an answer gets before it grows: most orders fit.
const BODY_BYTES: usize = 1_024;

/// An answer under construction.
#[derive(Debug)]
pub(super) struct Answer(Response);

// === impl Answer ===

impl Answer {
    /// JSON.
    pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Result<Self, Problem> {
        let mut bytes = Vec::with_capacity(BODY_BYTES);
        serde_json::to_writer(&mut bytes, body).map_err(|_| Problem::internal())?;
        let kind = HeaderValue::from_static("application/json");
        Ok(Self(
            (status, [(header::CONTENT_TYPE, kind)], bytes).into_response(),
        ))
    }

    /// Nothing but headers.
    pub(super) fn empty(status: StatusCode) -> Self {
        Self(status.into_response())
    }

    /// With a header, where its value could be made.
    pub(super) fn with(mut self, name: HeaderName, value: Option<HeaderValue>) -> Self {
        if let Some(value) = value {
            self.0.headers_mut().insert(name, value);
        }
        self
    }

    /// Where what was made can be found.
    pub(super) fn at(self, path: &str) -> Self {
        self.with(header::LOCATION, HeaderValue::try_from(path).ok())
    }

    /// Says that this answer was given before, when it was.
    pub(super) fn replayed(self, replayed: bool) -> Self {
        let yes = replayed.then(|| HeaderValue::from_static("true"));
        self.with(IDEMPOTENCY_REPLAYED, yes)
    }

    /// Done.
    pub(super) fn finish(self) -> Response {
        self.0
    }
}
