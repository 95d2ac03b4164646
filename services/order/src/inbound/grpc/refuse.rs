//! Expected "no"s and failures as gRPC statuses. Nothing of the inside leaks; faults of ours are logged
//! where they are turned into an answer.

use brewline_postgres as postgres;
use brewline_server::status;
use tonic::{Code, Status};

use crate::app::place_order::Refusal;
use crate::app::{change_order, customers, query_orders};

pub(in crate::inbound) fn place(refusal: Refusal) -> Status {
    let (reason, detail) = (refusal.reason(), refusal.to_string());
    let code = match refusal {
        Refusal::Invalid { reason, fields } => {
            let fields = fields.into_iter().map(|fault| (fault.field, fault.detail));
            return status::rejected_fields(reason, fields.collect());
        }
        Refusal::Busy | Refusal::Overloaded => {
            return status::busy(reason, detail, status::COME_AGAIN);
        }
        Refusal::KeyReused => Code::FailedPrecondition,
        Refusal::KeyInFlight => Code::Aborted,
        Refusal::Unavailable | Refusal::OutcomeUnknown => Code::Unavailable,
        Refusal::Internal => Code::Internal,
    };
    status::rejection(code, reason, detail)
}

/// `reason` names the "no" of the order's status.
pub(in crate::inbound) fn change(error: change_order::Error, reason: &'static str) -> Status {
    match error {
        change_order::Error::NotFound => unknown_order(),
        change_order::Error::NotAllowed(rejection) => {
            status::rejection(Code::FailedPrecondition, reason, rejection.to_string())
        }
        change_order::Error::Database(error) => database(&error),
        change_order::Error::Stored(detail) => internal(&detail),
    }
}

/// Who only watches asks for nothing that a status could refuse.
pub(in crate::inbound) fn watch(error: change_order::Error) -> Status {
    change(error, "not-watchable")
}

/// Told instead of an empty stream, so that who was cut off right at the end does not come again.
pub(in crate::inbound) fn nothing_to_watch() -> Status {
    let detail = "the order is final and the caller has seen all of its events";
    status::rejection(Code::OutOfRange, "order-final", detail)
}

/// A version that this order has not reached was never told of it.
pub(in crate::inbound) fn not_seen() -> Status {
    let detail = "the last event seen is ahead of the order: it is none that this stream gave";
    status::rejection(Code::OutOfRange, "invalid-last-event-id", detail)
}

pub(in crate::inbound) fn too_many_watchers() -> Status {
    let detail = "too many watch orders here at the moment";
    status::busy("overloaded", detail, status::COME_AGAIN)
}

pub(in crate::inbound) fn query(error: query_orders::Error) -> Status {
    match error {
        query_orders::Error::NotFound => unknown_order(),
        query_orders::Error::ViewBehind => behind(),
        query_orders::Error::PageToken => {
            let fault = ("pageToken".to_owned(), error.to_string());
            status::rejected_fields("invalid-page-token", vec![fault])
        }
        query_orders::Error::Database(error) => database(&error),
    }
}

pub(in crate::inbound) fn customer(error: customers::Error) -> Status {
    let detail = error.to_string();
    match error {
        customers::Error::Database(error) => database(&error),
        customers::Error::Stored(error) => internal(&error.to_string()),
        customers::Error::KeyReused => {
            status::rejection(Code::FailedPrecondition, "idempotency-key-reused", detail)
        }
        customers::Error::KeyInFlight => {
            status::rejection(Code::Aborted, "idempotency-in-flight", detail)
        }
        customers::Error::Exists => {
            status::rejection(Code::AlreadyExists, "customer-exists", detail)
        }
        customers::Error::NotFound => status::rejection(Code::NotFound, "unknown-customer", detail),
        customers::Error::Erased => status::rejection(Code::NotFound, "customer-erased", detail),
        customers::Error::VersionConflict { .. } => {
            status::rejection(Code::FailedPrecondition, "version-conflict", detail)
        }
    }
}

/// The copy does not hold yet what the caller has seen elsewhere.
pub(in crate::inbound) fn behind() -> Status {
    let detail = "the version asked for is not here yet";
    status::rejection(Code::Unavailable, "view-behind", detail)
}

/// It will not hold it either before somebody has looked after a dead letter.
pub(in crate::inbound) fn parked() -> Status {
    let detail = "the version asked for is parked behind a dead letter";
    status::rejection(Code::Unavailable, "view-behind-parked", detail)
}

pub(in crate::inbound) fn database(error: &postgres::Error) -> Status {
    if !error.is_unavailable() {
        return internal(&error.to_string());
    }
    tracing::warn!(%error, "a request failed: the database is away");
    let detail = "the database is not available at the moment";
    status::rejection(Code::Unavailable, "database-unavailable", detail)
}

fn internal(detail: &str) -> Status {
    tracing::error!(error = detail, "a request failed");
    status::rejection(
        Code::Internal,
        "internal",
        "the request failed; the log says why",
    )
}

fn unknown_order() -> Status {
    status::rejection(Code::NotFound, "unknown-order", "there is no such order")
}
