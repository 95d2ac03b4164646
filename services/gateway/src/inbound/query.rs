use axum::extract::{FromRequestParts, MatchedPath, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::problem::Problem;
use super::routes;

/// What stands behind the `?`, read strictly: unknown names are errors, since a filter that is
/// misspelt would otherwise match everything.
#[derive(Debug)]
pub(super) struct Query<T>(pub(super) T);

/// What is wrong with a query where none is read: whoever wrote it expects it to do something.
pub(super) fn unknown(request: &Request) -> Option<Problem> {
    let query = request.uri().query().unwrap_or_default();
    let matched = request.extensions().get::<MatchedPath>()?;
    let refused = !query.is_empty() && !routes::has_query(request.method(), matched);
    refused.then(|| {
        let detail = "nothing behind the `?` is known here";
        Problem::malformed("invalid-query", detail)
    })
}

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        axum::extract::Query::try_from_uri(&parts.uri)
            .map(|axum::extract::Query(query)| Self(query))
            .map_err(|error| Problem::malformed("invalid-query", error.body_text()))
    }
}
