use std::borrow::Cow;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use brewline_kernel::TraceParent;
use serde::Serialize;

/// A "no" on its way out; [`render`] makes `application/problem+json` of it (RFC 9457).
#[derive(Clone, Debug)]
pub(crate) struct Problem(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    status: StatusCode,
    code: Cow<'static, str>,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    retry_after_s: Option<u64>,
    parked: bool,
    missing: Option<&'static str>,
}

/// A field at fault, and how.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct FieldError {
    field: String,
    detail: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    r#type: String,
    title: String,
    status: u16,
    detail: &'a str,
    code: &'a str,
    errors: &'a [FieldError],
    trace_id: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    parked: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<&'static str>,
}

// === impl Problem ===

impl Problem {
    /// Whether this is its code.
    pub(super) fn is(&self, code: &str) -> bool {
        self.0.code == code
    }

    pub(crate) fn new(
        status: StatusCode,
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self(Box::new(Inner {
            status,
            code: code.into(),
            detail: detail.into(),
            errors: Vec::new(),
            retry_after_s: None,
            parked: false,
            missing: None,
        }))
    }

    /// A request that cannot be read.
    pub(crate) fn malformed(
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// Fields that can be read and break a rule.
    pub(crate) fn invalid(errors: Vec<FieldError>) -> Self {
        let detail = match errors.first() {
            Some(first) => format!("{}: {}", first.field, first.detail),
            None => "the request is invalid".to_owned(),
        };
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-request", detail).with_errors(errors)
    }

    /// A fault of ours, of which the caller learns nothing but the trace.
    pub(crate) fn internal() -> Self {
        let detail = "the request failed inside; the trace id leads to the reason";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }

    /// Too much to do already.
    pub(crate) fn overloaded() -> Self {
        let detail = "too many requests are in flight; nothing was done";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", detail).retry_after(1)
    }

    pub(crate) fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.0.errors = errors;
        self
    }

    /// Names the one field at fault.
    pub(crate) fn at(self, field: impl Into<String>) -> Self {
        let error = FieldError::new(field, self.0.detail.clone());
        self.with_errors(vec![error])
    }

    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }

    /// Where the answer is that nobody answers: names the service that is missing.
    pub(crate) fn missing(mut self, part: &'static str) -> Self {
        if matches!(&*self.0.code, "unavailable" | "deadline-exceeded") {
            self.0.status = StatusCode::SERVICE_UNAVAILABLE;
            self.0.code = "unavailable".into();
            self.0.detail = format!(
                "the service `{part}` does not answer; everything else goes on without it. \
                 Whether a write took effect is told by a read, or by repeating it"
            )
            .into();
            self.0.missing = Some(part);
        }
        self
    }

    /// Waiting will not help before somebody has looked after a dead letter.
    pub(crate) fn parked(mut self) -> Self {
        self.0.parked = true;
        self
    }
}

impl Problem {
    /// As JSON, where it does not travel as an answer of its own.
    pub(super) fn document(&self, trace: &TraceParent) -> serde_json::Value {
        serde_json::to_value(Document::of(&self.0, trace)).unwrap_or_default()
    }
}

impl IntoResponse for Problem {
    /// An empty response that carries the problem: only the edge knows the trace to write into it.
    fn into_response(self) -> Response {
        let mut response = self.0.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

// === impl Document ===

impl<'a> Document<'a> {
    fn of(problem: &'a Inner, trace: &TraceParent) -> Self {
        Self {
            r#type: format!("urn:brewline:problem:{}", problem.code),
            title: title(&problem.code),
            status: problem.status.as_u16(),
            detail: &problem.detail,
            code: &problem.code,
            errors: &problem.errors,
            trace_id: format!("{:032x}", trace.trace_id),
            parked: problem.parked,
            missing: problem.missing,
        }
    }
}

// === impl FieldError ===

impl FieldError {
    pub(crate) fn new(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            detail: detail.into(),
        }
    }
}

/// Writes out the problem that `response` carries, if any.
pub(super) fn render(mut response: Response, trace: &TraceParent) -> Response {
    let Some(Problem(problem)) = response.extensions_mut().remove::<Problem>() else {
        return response;
    };
    if problem.status == StatusCode::INTERNAL_SERVER_ERROR {
        tracing::error!(%trace, detail = %problem.detail, "a request failed inside");
    }
    let document = Document::of(&problem, trace);
    let text = serde_json::to_vec(&document).unwrap_or_default();
    let length = HeaderValue::from(text.len());
    *response.body_mut() = text.into();
    let kind = HeaderValue::from_static("application/problem+json");
    let mut set = |name: HeaderName, value| response.headers_mut().insert(name, value);
    set(header::CONTENT_TYPE, kind);
    set(header::CONTENT_LENGTH, length);
    if let Some(seconds) = problem.retry_after_s {
        set(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// `view-behind` reads `View behind` to people.
fn title(code: &str) -> String {
    let mut title = code.replace('-', " ");
    if let Some(first) = title.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    title
}
