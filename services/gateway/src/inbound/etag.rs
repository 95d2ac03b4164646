use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};

use super::problem::Problem;

/// A tag of a state: equal tags, equal state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ETag(String);

/// The version that a write is meant for, by `If-Match`; none: for whatever version there is.
#[derive(Debug)]
pub(super) struct IfMatch(pub(super) Option<i64>);

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let Some(value) = parts.headers.get(header::IF_MATCH) else {
            return Ok(Self(None));
        };
        let text = value.to_str().unwrap_or_default().trim();
        if text == "*" {
            return Ok(Self(None));
        }
        let quoted = text.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
        let version = quoted.and_then(|text| text.parse().ok());
        // A weak tag, or one that we never gave, matches nothing.
        let version = version.filter(|version: &i64| *version > 0);
        version.map(|version| Self(Some(version))).ok_or_else(|| {
            let detail = "If-Match names none of our versions";
            Problem::new(StatusCode::PRECONDITION_FAILED, "version-conflict", detail)
        })
    }
}

// === impl ETag ===

impl ETag {
    /// Of a version and whatever changes beside it.
    pub(super) fn new(version: i64, beside: &str) -> Self {
        Self(format!("\"{version}-{beside}\""))
    }

    /// Of a version, where nothing changes beside it.
    pub(super) fn of_version(version: i64) -> Self {
        Self(format!("\"{version}\""))
    }

    /// As the header says it.
    pub(super) fn value(&self) -> Option<HeaderValue> {
        HeaderValue::try_from(&*self.0).ok()
    }

    /// Whether the caller has this state already. Compared weakly, as RFC 9110 asks for
    /// `If-None-Match`: caches may have weakened our tag.
    pub(super) fn is_known(&self, headers: &HeaderMap) -> bool {
        let listed = |value: &HeaderValue| {
            let text = value.to_str().unwrap_or_default();
            text.split(',')
                .map(str::trim)
                .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.0)
        };
        headers.get_all(header::IF_NONE_MATCH).iter().any(listed)
    }
}
