//! gRPC statuses as HTTP problems: two tables, by the reason where a service names one we treat apart,
//! else by code.

use std::borrow::Cow;
use std::error::Error as _;

use axum::http::StatusCode as Http;
use brewline_server::status::{again_after, fields, reason};
use tonic::{Code, Status};

use super::problem::{FieldError, Problem};

/// What a caller is told to wait, in seconds, when the service does not say.
const AGAIN_S: u64 = 1;

const UNAVAILABLE: &str = "a service behind the edge does not answer; whether a write took effect is \
                           told by repeating it under the same Idempotency-Key";

const LATE: &str = "no answer in time; whether a write took effect is told by repeating it under the \
                    same Idempotency-Key";

/// Whether the same request may be answered otherwise later.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Again {
    Later,
    Never,
}

/// Reasons that mean something else over HTTP than their code alone does.
const BY_REASON: [(&str, Http, &str, Again); 7] = [
    (
        "idempotency-key-reused",
        Http::UNPROCESSABLE_ENTITY,
        "idempotency-key-reused",
        Again::Never,
    ),
    (
        "idempotency-in-flight",
        Http::CONFLICT,
        "idempotency-in-flight",
        Again::Later,
    ),
    (
        "invalid-page-token",
        Http::BAD_REQUEST,
        "invalid-page-token",
        Again::Never,
    ),
    (
        "customer-erased",
        Http::GONE,
        "customer-erased",
        Again::Never,
    ),
    (
        "version-conflict",
        Http::PRECONDITION_FAILED,
        "version-conflict",
        Again::Never,
    ),
    (
        "view-behind",
        Http::SERVICE_UNAVAILABLE,
        "view-behind",
        Again::Later,
    ),
    (
        PARKED,
        Http::SERVICE_UNAVAILABLE,
        "view-behind",
        Again::Later,
    ),
];

/// The view is behind and will stay so until somebody has looked after a dead letter.
const PARKED: &str = "view-behind-parked";

/// What a code means, and what the problem is called when the service names no reason.
const fn by_code(code: Code) -> (Http, &'static str, Again) {
    match code {
        Code::InvalidArgument => (Http::UNPROCESSABLE_ENTITY, "invalid-request", Again::Never),
        Code::OutOfRange => (Http::BAD_REQUEST, "out-of-range", Again::Never),
        Code::Unauthenticated => (Http::UNAUTHORIZED, "unauthenticated", Again::Never),
        Code::PermissionDenied => (Http::FORBIDDEN, "forbidden", Again::Never),
        Code::NotFound => (Http::NOT_FOUND, "not-found", Again::Never),
        Code::AlreadyExists => (Http::CONFLICT, "already-exists", Again::Never),
        Code::FailedPrecondition => (Http::CONFLICT, "conflict", Again::Never),
        Code::Aborted => (Http::CONFLICT, "contended", Again::Later),
        Code::ResourceExhausted => (Http::SERVICE_UNAVAILABLE, "overloaded", Again::Later),
        Code::Unavailable => (Http::SERVICE_UNAVAILABLE, "unavailable", Again::Later),
        // The channel reports its own deadline as a cancellation; nobody else cancels.
        Code::DeadlineExceeded | Code::Cancelled => {
            (Http::GATEWAY_TIMEOUT, "deadline-exceeded", Again::Later)
        }
        Code::Unimplemented => (Http::NOT_IMPLEMENTED, "not-implemented", Again::Never),
        Code::Internal | Code::Unknown | Code::DataLoss | Code::Ok => {
            (Http::INTERNAL_SERVER_ERROR, "internal", Again::Never)
        }
    }
}

/// The problem of a status.
pub(super) fn problem(status: &Status) -> Problem {
    let reason = reason(status);
    let known = |reason: &str| BY_REASON.iter().find(|(name, ..)| *name == reason);
    let (http, code, again) = match reason.as_deref().and_then(known) {
        Some((_, http, code, again)) => (*http, Cow::Borrowed(*code), *again),
        None => {
            let (http, code, again) = by_code(code_of(status));
            (http, reason.clone().map_or(code.into(), Cow::Owned), again)
        }
    };
    if http == Http::INTERNAL_SERVER_ERROR {
        tracing::error!(%status, "a service behind the edge failed");
        return Problem::internal();
    }
    let problem = Problem::new(http, code, detail(status, reason.is_some()));
    let problem = problem.with_errors(errors(status));
    let problem = match (again_after(status), again) {
        (Some(after), _) => problem.retry_after(after.as_secs().max(AGAIN_S)),
        (None, Again::Later) => problem.retry_after(AGAIN_S),
        (None, Again::Never) => problem,
    };
    if reason.as_deref() == Some(PARKED) {
        problem.parked()
    } else {
        problem
    }
}

/// A status that was made here, of a broken connection, has a source; one that a service sent has none.
/// What code the library gives the former depends on where it broke.
fn code_of(status: &Status) -> Code {
    let code = status.code();
    if matches!(code, Code::DeadlineExceeded | Code::Cancelled) {
        Code::DeadlineExceeded
    } else if status.source().is_some() {
        Code::Unavailable
    } else {
        code
    }
}

/// The service's own words where it speaks of the request; ours where a library speaks of sockets.
fn detail(status: &Status, reasoned: bool) -> Cow<'static, str> {
    let code = code_of(status);
    if !reasoned && matches!(code, Code::Unavailable | Code::ResourceExhausted) {
        UNAVAILABLE.into()
    } else if !reasoned && code == Code::DeadlineExceeded {
        LATE.into()
    } else {
        status.message().to_owned().into()
    }
}

fn errors(status: &Status) -> Vec<FieldError> {
    fields(status)
        .into_iter()
        .map(|(field, detail)| FieldError::new(field, detail))
        .collect()
}

/// A service answered something that no service of ours answers.
pub(super) fn nonsense(what: &'static str) -> Problem {
    tracing::error!(
        what,
        "a service behind the edge left out what it must answer"
    );
    let detail = "a service behind the edge gave an incomplete answer";
    Problem::new(Http::BAD_GATEWAY, "bad-gateway", detail)
}
