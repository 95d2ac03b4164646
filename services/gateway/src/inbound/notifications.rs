//! `/v1/customers/{customerId}/notifications` and `/v1/customers/{customerId}/preferences`

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use brewline_kernel::CustomerId;
use brewline_proto::notification::v1 as wire;
use brewline_proto::notification::v1::{Channel, DeliveryStatus, Kind};
use serde::{Deserialize, Serialize};

use super::body::Json;
use super::call::Call;
use super::consistency::{self, CONSISTENCY, Tokens};
use super::edge::Edge;
use super::fields::Faults;
use super::path::Id;
use super::prefer::{PREFERENCE_APPLIED, Patience};
use super::principal::Principal;
use super::problem::Problem;
use super::respond::Answer;
use super::views::{Instant, List};

/// The service that is asked here.
pub(super) const NOTIFICATION: &str = "notification";

/// Shown where a newer service says something that this edge does not know yet.
const UNKNOWN: &str = "unknown";

/// The most entries of a list of preferences: more would only be repeats.
const PREFERENCES_MAX: usize = 16;

const KINDS: [(&str, Kind); 4] = [
    ("confirmed", Kind::Confirmed),
    ("rejected", Kind::Rejected),
    ("ready", Kind::Ready),
    ("cancelled", Kind::Cancelled),
];

const CHANNELS: [(&str, Channel); 1] = [("email", Channel::Email)];

/// What a customer wants to be told, and how; also the answer.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Preferences {
    channels: Vec<String>,
    kinds: Vec<String>,
}

/// One message to a customer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct NotificationView {
    order_id: String,
    kind: &'static str,
    channel: &'static str,
    status: &'static str,
    attempts: i32,
    message_id: String,
    created_at: Option<Instant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_at: Option<Instant>,
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
}

/// `GET /v1/customers/{customerId}/notifications`
pub(super) async fn list(
    State(edge): State<Edge>,
    _: Principal,
    call: Call,
    Id(customer_id): Id<CustomerId>,
    Tokens(tokens): Tokens,
    patience: Patience,
) -> Result<Response, Problem> {
    let message = wire::ListDeliveriesRequest {
        customer_id: customer_id.as_str().to_owned(),
        order_id: String::new(),
        tokens,
        wait_ms: patience.wait_ms(),
    };
    let mut notifications = edge.upstreams().notifications.clone();
    let answer = call
        .to(NOTIFICATION)
        .waiting(patience.wait())
        .read(message, async |request| {
            notifications.list_deliveries(request).await
        })
        .await?;
    let list: List<NotificationView> = List::whole(answer.deliveries);
    let answer = Answer::json(StatusCode::OK, &list)?;
    Ok(answer.with(PREFERENCE_APPLIED, patience.applied()).finish())
}

/// `PUT /v1/customers/{customerId}/preferences`
pub(super) async fn put_preferences(
    State(edge): State<Edge>,
    _: Principal,
    call: Call,
    Id(customer_id): Id<CustomerId>,
    Json(preferences): Json<Preferences>,
) -> Result<Response, Problem> {
    let mut faults = Faults::default();
    let channels = values("channels", &preferences.channels, &CHANNELS, &mut faults);
    let kinds = values("kinds", &preferences.kinds, &KINDS, &mut faults);
    faults.finish()?;
    let message = wire::PutPreferencesRequest {
        customer_id: customer_id.as_str().to_owned(),
        channels: channels.into_iter().map(Into::into).collect(),
        kinds: kinds.into_iter().map(Into::into).collect(),
    };
    let mut notifications = edge.upstreams().notifications.clone();
    let answer = call
        .to(NOTIFICATION)
        .write(message, async |request| {
            notifications.put_preferences(request).await
        })
        .await?;
    let subject = format!("preferences/{}", customer_id.as_str());
    let token = consistency::token(consistency::NOTIFICATIONS, &subject, answer.version);
    let preferences = Preferences {
        channels: names(answer.channels(), &CHANNELS),
        kinds: names(answer.kinds(), &KINDS),
    };
    let answer = Answer::json(StatusCode::OK, &preferences)?;
    Ok(answer.with(CONSISTENCY, token).finish())
}

/// The values of names; each unknown one is a fault.
fn values<T: Copy>(
    field: &str,
    names: &[String],
    known: &[(&str, T)],
    faults: &mut Faults,
) -> Vec<T> {
    if names.len() > PREFERENCES_MAX {
        faults.add(field, format!("at most {PREFERENCES_MAX}"));
        return Vec::new();
    }
    let mut values = Vec::new();
    for (place, name) in names.iter().enumerate() {
        match known.iter().find(|(known, _)| known == name) {
            Some((_, value)) => values.push(*value),
            None => {
                let all: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
                let detail = format!("is one of {}", all.join(", "));
                faults.add(format!("{field}[{place}]"), detail);
            }
        }
    }
    values
}

fn names<T: PartialEq>(
    values: impl Iterator<Item = T>,
    known: &[(&'static str, T)],
) -> Vec<String> {
    values.map(|value| name(&value, known).to_owned()).collect()
}

fn name<T: PartialEq>(value: &T, known: &[(&'static str, T)]) -> &'static str {
    let found = known.iter().find(|(_, known)| known == value);
    found.map_or(UNKNOWN, |(name, _)| name)
}

const fn status(status: DeliveryStatus) -> &'static str {
    match status {
        DeliveryStatus::Unspecified => UNKNOWN,
        DeliveryStatus::Waiting => "waiting",
        DeliveryStatus::Pending => "pending",
        DeliveryStatus::Sent => "sent",
        DeliveryStatus::Failed => "failed",
        DeliveryStatus::Expired => "expired",
    }
}

// === impl NotificationView ===

impl From<wire::Delivery> for NotificationView {
    fn from(delivery: wire::Delivery) -> Self {
        Self {
            kind: name(&delivery.kind(), &KINDS),
            channel: name(&delivery.channel(), &CHANNELS),
            status: status(delivery.status()),
            order_id: delivery.order_id,
            attempts: delivery.attempts,
            message_id: delivery.message_id,
            created_at: delivery.created_at.map(Into::into),
            sent_at: delivery.sent_at.map(Into::into),
            reason: delivery.reason,
        }
    }
}
