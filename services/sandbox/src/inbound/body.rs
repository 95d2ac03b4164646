use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode};
use brewline_kernel::{IdempotencyKey, Money};
use brewline_sandbox_domain::{EntryId, Operation, Share, Target};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::problem::Problem;

/// The longest body, in bytes.
pub(super) const BODY_BYTES_MAX: usize = 64 * 1_024;

/// The body of an authorisation.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Authorise {
    reference: String,
    amount_minor: i64,
    currency: String,
    token: String,
}

/// The body of a capture, void or refund: nothing, or the amount.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct FollowUp {
    amount_minor: Option<i64>,
    currency: Option<String>,
}

/// The body of `PUT /behaviour/{kind}`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Behaviour {
    pub(super) mode: String,
    pub(super) status: Option<u16>,
    share: Option<serde_json::Number>,
    pub(super) seed: Option<u64>,
    pub(super) delay_ms: Option<u64>,
    pub(super) count: Option<u32>,
}

/// The body of `PUT /behaviour/keys`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Keys {
    pub(super) ttl_ms: Option<u64>,
}

/// The body as bytes, read within the limit.
pub(super) type Body = Result<axum::body::Bytes, BytesRejection>;

// === impl Authorise ===

impl Authorise {
    pub(super) fn into_operation(self) -> Result<Operation, Problem> {
        let at = |field| move |error| Problem::field(field, error);
        let currency = self
            .currency
            .parse()
            .map_err(|e| Problem::field("currency", e))?;
        Ok(Operation::Authorise {
            reference: self.reference.parse().map_err(at("reference"))?,
            amount: Money::new(self.amount_minor, currency),
            card: self.token.parse().map_err(|e| Problem::field("token", e))?,
        })
    }
}

// === impl FollowUp ===

impl FollowUp {
    pub(super) fn into_target(self, id: &str) -> Result<Target, Problem> {
        let authorisation = entry_id(id)?;
        let amount = match (self.amount_minor, self.currency) {
            (None, None) => None,
            (Some(minor), Some(currency)) => {
                let currency = currency
                    .parse()
                    .map_err(|e| Problem::field("currency", e))?;
                Some(Money::new(minor, currency))
            }
            _ => {
                let detail = "amountMinor and currency come together or not at all";
                return Err(Problem::field("amountMinor", detail));
            }
        };
        Ok(Target {
            authorisation,
            amount,
        })
    }
}

// === impl Behaviour ===

impl Behaviour {
    pub(super) fn share(&self) -> Result<Share, Problem> {
        match &self.share {
            None => Ok(Share::ALL),
            Some(share) => share
                .to_string()
                .parse()
                .map_err(|error| Problem::field("share", error)),
        }
    }
}

/// The caller's key.
pub(super) fn key(headers: &HeaderMap) -> Result<IdempotencyKey, Problem> {
    let Some(value) = headers.get("idempotency-key") else {
        let detail = "the header Idempotency-Key is missing";
        let status = StatusCode::BAD_REQUEST;
        return Err(Problem::new(status, "idempotency-key-missing", detail));
    };
    let text = value.to_str().unwrap_or_default();
    text.parse()
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "idempotency-key-malformed", error))
}

/// The id of an authorisation; a text that is none names nothing.
pub(super) fn entry_id(text: &str) -> Result<EntryId, Problem> {
    Uuid::try_parse(text)
        .map(|id| EntryId::new(id.as_u128()))
        .map_err(|_| Problem::not_found("there is no such authorisation"))
}

/// A body that must be there.
pub(super) fn json<T: DeserializeOwned>(body: Body) -> Result<T, Problem> {
    serde_json::from_slice(&bytes(body)?).map_err(Problem::malformed)
}

/// A body that may be left out.
pub(super) fn json_or_nothing<T: DeserializeOwned + Default>(body: Body) -> Result<T, Problem> {
    let bytes = bytes(body)?;
    if bytes.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(&bytes).map_err(Problem::malformed)
}

fn bytes(body: Body) -> Result<axum::body::Bytes, Problem> {
    body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body-too-large",
            format!("a body has at most {BODY_BYTES_MAX} bytes"),
        ),
        _ => Problem::malformed("the body did not arrive whole"),
    })
}
