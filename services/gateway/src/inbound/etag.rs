use axum::http::{HeaderMap, HeaderValue, header};

/// A tag of a state: equal tags, equal state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ETag(String);

// === impl ETag ===

impl ETag {
    /// Of a version and whatever changes beside it.
    pub(super) fn new(version: i64, beside: &str) -> Self {
        Self(format!("\"{version}-{beside}\""))
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
