//! gRPC errors with details: a machine-readable reason, or the fields at fault.
//!
//! The details are `google.rpc.ErrorInfo` and `google.rpc.BadRequest`, as in Google's "API
//! Improvement Proposal 193", so that any client can read them.

use std::collections::HashMap;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// The domain of every reason in an `ErrorInfo`.
const DOMAIN: &str = "brewline";

/// A "no" with a reason in kebab case, such as `insufficient-stock`.
#[must_use]
pub fn rejection(code: Code, reason: &str, detail: impl Into<String>) -> Status {
    let details = ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new());
    Status::with_error_details(code, detail, details)
}

/// Input that breaks the rules: each field at fault with a sentence that says how.
#[must_use]
pub fn invalid(fields: Vec<(String, String)>) -> Status {
    rejected_fields("invalid-request", fields)
}

/// Input that breaks the rules for a reason of its own, such as `unknown-store`.
#[must_use]
pub fn rejected_fields(reason: &str, fields: Vec<(String, String)>) -> Status {
    let detail = match fields.first() {
        Some((field, sentence)) => format!("{field}: {sentence}"),
        None => "the request is invalid".to_owned(),
    };
    let mut details = ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new());
    for (field, sentence) in fields {
        details.add_bad_request_violation(field, sentence);
    }
    Status::with_error_details(Code::InvalidArgument, detail, details)
}

/// When who was turned away may come again, unless somebody knows better.
pub const COME_AGAIN: Duration = Duration::from_secs(1);

/// A "no, too much at once" that says when to come again.
#[must_use]
pub fn busy(reason: &str, detail: impl Into<String>, again_after: Duration) -> Status {
    let mut details = ErrorDetails::with_error_info(reason, DOMAIN, HashMap::new());
    details.set_retry_info(Some(again_after));
    Status::with_error_details(Code::ResourceExhausted, detail, details)
}

/// When to come again, if the status says so.
#[must_use]
pub fn again_after(status: &Status) -> Option<Duration> {
    status.get_details_retry_info()?.retry_delay
}

/// The reason in a status, if it carries one.
#[must_use]
pub fn reason(status: &Status) -> Option<String> {
    status.get_details_error_info().map(|info| info.reason)
}

/// The fields at fault in a status, with a sentence each.
#[must_use]
pub fn fields(status: &Status) -> Vec<(String, String)> {
    let violations = status
        .get_details_bad_request()
        .map(|bad| bad.field_violations);
    violations
        .unwrap_or_default()
        .into_iter()
        .map(|v| (v.field, v.description))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_survive_the_status() {
        let status = invalid(vec![("lines".to_owned(), "at most 50".to_owned())]);
        assert_eq!(reason(&status).as_deref(), Some("invalid-request"));
        assert_eq!(
            fields(&status),
            [("lines".to_owned(), "at most 50".to_owned())]
        );
        let status = busy("busy", "come again", COME_AGAIN);
        assert_eq!(again_after(&status), Some(COME_AGAIN));
        let status = rejection(
            Code::FailedPrecondition,
            "insufficient-stock",
            "only 3 are left",
        );
        assert_eq!(reason(&status).as_deref(), Some("insufficient-stock"));
        assert_eq!(status.message(), "only 3 are left");
    }
}
