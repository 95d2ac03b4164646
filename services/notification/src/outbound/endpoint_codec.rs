//! Webhook endpoints as they are told on the wire. Answers are kept as such under their idempotency keys.

use brewline_kernel::Timestamp;
use brewline_proto::notification::v1 as wire;

use super::endpoints::{NewEndpoint, Shown};

/// An endpoint.
#[must_use]
pub fn endpoint(shown: Shown) -> wire::Endpoint {
    wire::Endpoint {
        endpoint_id: shown.id.to_string(),
        url: shown.url,
        types: shown.types,
        store_id: shown.store.unwrap_or_default(),
        created_at: Some(instant(shown.created_at)),
        disabled_at: shown.disabled_at.map(instant),
        pending: shown.pending,
        failed: shown.failed,
        version: shown.version,
    }
}

/// An endpoint that has just come into being, with its secret.
#[must_use]
pub fn created(
    new: NewEndpoint,
    created_at: Timestamp,
    version: i64,
) -> wire::CreateEndpointResponse {
    let endpoint = wire::Endpoint {
        endpoint_id: new.id.to_string(),
        url: new.url,
        types: new.types,
        store_id: new.store.unwrap_or_default(),
        created_at: Some(instant(created_at)),
        version,
        ..wire::Endpoint::default()
    };
    wire::CreateEndpointResponse {
        endpoint: Some(endpoint),
        secret: new.secret,
        replayed: false,
    }
}

/// An endpoint with its new secret.
#[must_use]
pub fn rotated(
    shown: Shown,
    secret: String,
    former_until: Timestamp,
) -> wire::RotateEndpointSecretResponse {
    wire::RotateEndpointSecretResponse {
        endpoint: Some(endpoint(shown)),
        secret,
        former_until: Some(instant(former_until)),
        replayed: false,
    }
}

/// An instant.
#[must_use]
pub fn instant(at: Timestamp) -> prost_types::Timestamp {
    let micros = at.as_micros();
    let nanos = micros.rem_euclid(1_000_000).saturating_mul(1_000);
    prost_types::Timestamp {
        seconds: micros.div_euclid(1_000_000),
        nanos: i32::try_from(nanos).unwrap_or(0),
    }
}
