//! What goes out as JSON.

use brewline_kernel::Timestamp;
use brewline_sandbox_domain::{Entry, Kind, Outcome, Standing};
use serde::Serialize;
use uuid::Uuid;

/// The answer to an operation.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer<'a> {
    id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorisation_id: Option<Uuid>,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    decline_code: Option<&'static str>,
    reference: &'a str,
    amount_minor: i64,
    currency: &'a str,
}

/// An authorisation as it stands.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Authorisation<'a> {
    id: Uuid,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    decline_code: Option<&'static str>,
    reference: &'a str,
    amount_minor: i64,
    currency: &'a str,
    key: &'a str,
    at: String,
}

/// A line of the ledger.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LedgerLine<'a> {
    sequence: u64,
    kind: &'static str,
    status: &'static str,
    authorisation_id: Uuid,
    reference: &'a str,
    amount_minor: i64,
    currency: &'a str,
    key: &'a str,
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    decline_code: Option<&'static str>,
}

impl<'a> From<&'a Entry> for Answer<'a> {
    fn from(entry: &'a Entry) -> Self {
        let follows = entry.kind != Kind::Authorise;
        Self {
            id: Uuid::from_u128(entry.id.as_u128()),
            authorisation_id: follows.then(|| Uuid::from_u128(entry.authorisation.as_u128())),
            status: status(entry),
            decline_code: decline_code(entry),
            reference: entry.reference.as_str(),
            amount_minor: entry.amount.minor,
            currency: entry.amount.currency.code(),
        }
    }
}

impl<'a> From<&'a (std::sync::Arc<Entry>, Standing)> for Authorisation<'a> {
    fn from((entry, standing): &'a (std::sync::Arc<Entry>, Standing)) -> Self {
        Self {
            id: Uuid::from_u128(entry.id.as_u128()),
            status: standing.name(),
            decline_code: decline_code(entry),
            reference: entry.reference.as_str(),
            amount_minor: entry.amount.minor,
            currency: entry.amount.currency.code(),
            key: &entry.key,
            at: instant(entry.at),
        }
    }
}

impl<'a> From<&'a Entry> for LedgerLine<'a> {
    fn from(entry: &'a Entry) -> Self {
        Self {
            sequence: entry.sequence,
            kind: entry.kind.name(),
            status: status(entry),
            authorisation_id: Uuid::from_u128(entry.authorisation.as_u128()),
            reference: entry.reference.as_str(),
            amount_minor: entry.amount.minor,
            currency: entry.amount.currency.code(),
            key: &entry.key,
            at: instant(entry.at),
            decline_code: decline_code(entry),
        }
    }
}

fn status(entry: &Entry) -> &'static str {
    match entry.outcome {
        Outcome::Done => entry.kind.done(),
        Outcome::Declined(_) => Standing::Declined.name(),
    }
}

fn decline_code(entry: &Entry) -> Option<&'static str> {
    match entry.outcome {
        Outcome::Done => None,
        Outcome::Declined(code) => Some(code.name()),
    }
}

pub(super) fn instant(at: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(at.as_micros())
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .to_string()
}
