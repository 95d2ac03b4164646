//! `/v1/webhooks`

use std::str::FromStr;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use brewline_kernel::StoreId;
use brewline_proto::notification::v1 as wire;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::body::{Json, OptionalJson};
use super::call::Call;
use super::consistency::{self, CONSISTENCY, Tokens};
use super::edge::Edge;
use super::fields::Faults;
use super::headers::MaybeKey;
use super::notifications::NOTIFICATION;
use super::path::{Id, Named};
use super::principal::Principal;
use super::problem::Problem;
use super::respond::Answer;
use super::status::nonsense;
use super::views::{Instant, List};

/// The longest URL, in characters.
const URL_CHARS_MAX: usize = 2_048;

/// The most types of an endpoint: more would only be repeats.
const TYPES_MAX: usize = 16;

/// The longest name of a type, in characters.
const TYPE_CHARS_MAX: usize = 64;

/// An endpoint's id.
#[derive(Clone, Copy, Debug)]
pub(super) struct WebhookId(Uuid);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CreateWebhook {
    url: String,
    #[serde(default)]
    types: Vec<String>,
    store_id: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Redeliver {
    /// One event; without it all that failed.
    event_id: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct WebhookView {
    webhook_id: String,
    url: String,
    types: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    store_id: String,
    created_at: Option<Instant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_at: Option<Instant>,
    pending: i64,
    failed: i64,
}

/// With the secret: in the answer that makes it, and in no other.
#[derive(Debug, Serialize)]
struct NewWebhookView {
    #[serde(flatten)]
    webhook: WebhookView,
    secret: String,
}

/// With the new secret, and until when the former one signs as well.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RotatedView {
    #[serde(flatten)]
    webhook: WebhookView,
    secret: String,
    former_secret_until: Option<Instant>,
}

#[derive(Debug, Serialize)]
struct RedeliveredView {
    redelivered: i64,
}

/// `POST /v1/webhooks`
pub(super) async fn create(
    State(edge): State<Edge>,
    principal: Principal,
    call: Call,
    key: MaybeKey,
    Json(webhook): Json<CreateWebhook>,
) -> Result<Response, Problem> {
    webhook.check()?;
    let message = wire::CreateEndpointRequest {
        url: webhook.url,
        types: webhook.types,
        store_id: webhook.store_id.unwrap_or_default(),
        principal: principal.name().to_owned(),
        idempotency_key: key.text(),
    };
    let mut notifications = edge.upstreams().notifications.clone();
    let made = call
        .to(NOTIFICATION)
        .write(message, async |request| {
            notifications.create_endpoint(request).await
        })
        .await?;
    let endpoint = made.endpoint.ok_or_else(|| nonsense("the webhook"))?;
    let path = format!("/v1/webhooks/{}", endpoint.endpoint_id);
    let token = token(&endpoint.endpoint_id, endpoint.version);
    let view = NewWebhookView {
        webhook: endpoint.into(),
        secret: made.secret,
    };
    let answer = Answer::json(StatusCode::CREATED, &view)?;
    Ok(answer
        .at(&path)
        .with(CONSISTENCY, token)
        .replayed(made.replayed)
        .finish())
}

/// `POST /v1/webhooks/{webhookId}/rotate`
pub(super) async fn rotate(
    State(edge): State<Edge>,
    principal: Principal,
    call: Call,
    Id(webhook): Id<WebhookId>,
    key: MaybeKey,
) -> Result<Response, Problem> {
    let message = wire::RotateEndpointSecretRequest {
        endpoint_id: webhook.0.to_string(),
        principal: principal.name().to_owned(),
        idempotency_key: key.text(),
    };
    let mut notifications = edge.upstreams().notifications.clone();
    let rotated = call
        .to(NOTIFICATION)
        .write(message, async |request| {
            notifications.rotate_endpoint_secret(request).await
        })
        .await?;
    let endpoint = rotated.endpoint.ok_or_else(|| nonsense("the webhook"))?;
    let token = token(&endpoint.endpoint_id, endpoint.version);
    let view = RotatedView {
        webhook: endpoint.into(),
        secret: rotated.secret,
        former_secret_until: rotated.former_until.map(Into::into),
    };
    let answer = Answer::json(StatusCode::OK, &view)?;
    Ok(answer
        .with(CONSISTENCY, token)
        .replayed(rotated.replayed)
        .finish())
}

/// `GET /v1/webhooks`
pub(super) async fn list(
    State(edge): State<Edge>,
    _: Principal,
    call: Call,
    // It is read from the very table that was written: whatever a token asks for is there.
    Tokens(_): Tokens,
) -> Result<Response, Problem> {
    let mut notifications = edge.upstreams().notifications.clone();
    let listed = call
        .to(NOTIFICATION)
        .read(wire::ListEndpointsRequest {}, async |request| {
            notifications.list_endpoints(request).await
        })
        .await?;
    let list: List<WebhookView> = List::whole(listed.endpoints);
    Ok(Answer::json(StatusCode::OK, &list)?.finish())
}

/// `DELETE /v1/webhooks/{webhookId}`
pub(super) async fn delete(
    State(edge): State<Edge>,
    _: Principal,
    call: Call,
    Id(webhook): Id<WebhookId>,
) -> Result<Response, Problem> {
    let message = wire::DeleteEndpointRequest {
        endpoint_id: webhook.0.to_string(),
    };
    let mut notifications = edge.upstreams().notifications.clone();
    let deleted = call
        .to(NOTIFICATION)
        .write(message, async |request| {
            notifications.delete_endpoint(request).await
        })
        .await?;
    let token = token(&webhook.0.to_string(), deleted.version);
    let answer = Answer::empty(StatusCode::NO_CONTENT);
    Ok(answer.with(CONSISTENCY, token).finish())
}

/// `POST /v1/webhooks/{webhookId}/redeliver`
pub(super) async fn redeliver(
    State(edge): State<Edge>,
    _: Principal,
    call: Call,
    Id(webhook): Id<WebhookId>,
    OptionalJson(body): OptionalJson<Redeliver>,
) -> Result<Response, Problem> {
    let event_id = body.event_id.unwrap_or_default();
    let mut faults = Faults::default();
    if !event_id.is_empty() {
        faults.parse::<Uuid>("eventId", &event_id);
    }
    faults.finish()?;
    let message = wire::RedeliverEndpointRequest {
        endpoint_id: webhook.0.to_string(),
        event_id,
    };
    let mut notifications = edge.upstreams().notifications.clone();
    let answer = call
        .to(NOTIFICATION)
        .write(message, async |request| {
            notifications.redeliver_endpoint(request).await
        })
        .await?;
    let view = RedeliveredView {
        redelivered: answer.redelivered,
    };
    let token = token(&webhook.0.to_string(), answer.version);
    let answer = Answer::json(StatusCode::ACCEPTED, &view)?;
    Ok(answer.with(CONSISTENCY, token).finish())
}

fn token(webhook_id: &str, version: i64) -> Option<HeaderValue> {
    let subject = format!("webhook/{webhook_id}");
    consistency::token(consistency::NOTIFICATIONS, &subject, version)
}

// === impl WebhookId ===

impl FromStr for WebhookId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = Uuid::try_parse(text).map(Self);
        id.map_err(|_| "a webhook's id is a UUID")
    }
}

impl Named for WebhookId {
    const NAME: &'static str = "webhookId";
}

// === impl CreateWebhook ===

impl CreateWebhook {
    fn check(&self) -> Result<(), Problem> {
        let mut faults = Faults::default();
        faults.some_text("url", &self.url, URL_CHARS_MAX);
        if self.types.len() > TYPES_MAX {
            faults.add("types", format!("at most {TYPES_MAX}"));
        }
        for (place, name) in self.types.iter().enumerate() {
            faults.some_text(&format!("types[{place}]"), name, TYPE_CHARS_MAX);
        }
        if let Some(store) = &self.store_id {
            faults.parse::<StoreId>("storeId", store);
        }
        faults.finish()
    }
}

// === impl WebhookView ===

impl From<wire::Endpoint> for WebhookView {
    fn from(endpoint: wire::Endpoint) -> Self {
        Self {
            webhook_id: endpoint.endpoint_id,
            url: endpoint.url,
            types: endpoint.types,
            store_id: endpoint.store_id,
            created_at: endpoint.created_at.map(Into::into),
            disabled_at: endpoint.disabled_at.map(Into::into),
            pending: endpoint.pending,
            failed: endpoint.failed,
        }
    }
}
