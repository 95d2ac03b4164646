use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use brewline_sandbox_domain::Rejection;
use serde_json::json;

/// A "no" on the wire: `application/problem+json` of RFC 9457.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    field: Option<&'static str>,
}

// === impl Problem ===

#[allow(
    clippy::needless_pass_by_value,
    reason = "errors are handed in by map_err, which passes them by value"
)]
impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl ToString) -> Self {
        Self {
            status,
            code,
            detail: detail.to_string(),
            field: None,
        }
    }

    /// Input that cannot be read.
    pub(super) fn malformed(detail: impl ToString) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed-request", detail)
    }

    /// A field that breaks a rule.
    pub(super) fn field(field: &'static str, detail: impl ToString) -> Self {
        let problem = Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid-request",
            format!("{field}: {}", detail.to_string()),
        );
        Self {
            field: Some(field),
            ..problem
        }
    }

    pub(super) fn not_found(detail: impl ToString) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", detail)
    }

    /// The process is about to end: its ledger cannot be kept.
    pub(super) fn closing() -> Self {
        let detail = "the processor is shutting down";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "shutting-down", detail)
    }
}

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Self {
        let status = match rejection {
            Rejection::KeyReused | Rejection::AmountMismatch | Rejection::AmountNotPositive => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Rejection::NotFound => StatusCode::NOT_FOUND,
            Rejection::NotAuthorised
            | Rejection::AlreadyCaptured
            | Rejection::AlreadyVoided
            | Rejection::AlreadyRefunded
            | Rejection::NotCaptured => StatusCode::CONFLICT,
        };
        Self::new(status, rejection.code(), rejection)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let errors: Vec<_> = self
            .field
            .iter()
            .map(|field| json!({ "field": field, "detail": self.detail }))
            .collect();
        let body = json!({
            "type": format!("urn:brewline:problem:{}", self.code),
            "title": title,
            "status": self.status.as_u16(),
            "detail": self.detail,
            "code": self.code,
            "errors": errors,
        });
        let kind = HeaderValue::from_static("application/problem+json");
        (
            self.status,
            [(header::CONTENT_TYPE, kind)],
            body.to_string(),
        )
            .into_response()
    }
}
