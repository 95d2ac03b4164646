//! `NotificationService`.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use brewline_kernel::system::SystemIds;
use brewline_kernel::{CustomerId, OrderId, StoreId};
use brewline_messaging::Monitor;
use brewline_messaging::held::{self, Held, Token};
use brewline_notification_domain::{Channel, HOOK_TYPES, Kind, message_id};
use brewline_postgres::Pool;
use brewline_proto::notification::v1 as wire;
use brewline_proto::notification::v1::notification_service_server::NotificationService;
use brewline_proto::order::v1::ConsistencyToken;
use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::app::{endpoints, pull_events};
use crate::error::Error;
use crate::inbound::{customer_consumer, order_consumer};
use crate::outbound::deliveries::{Of, Shown};
use crate::outbound::endpoint_codec::{endpoint, instant};
use crate::outbound::event_log::Filter;
use crate::outbound::idempotency_store::Keyed;
use crate::outbound::{customers, deliveries, event_codec, event_json};

/// The routes under which idempotency keys are kept.
const CREATE: &str = "create-endpoint";
const ROTATE: &str = "rotate-endpoint-secret";

/// The longest a read waits.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// Serves what customers and machines outside are told.
#[derive(Clone, Debug)]
pub struct NotificationGrpc {
    /// The service's own database.
    pub pool: Pool,
    /// How far the consumers are.
    pub monitor: Monitor,
    /// Wakes those who call webhooks.
    pub calls: Arc<Notify>,
    /// Whether webhooks may lead to addresses that are not public.
    pub allow_private: bool,
    /// How long a webhook's former secret signs beside its new one.
    pub secret_overlap: Duration,
}

#[tonic::async_trait]
impl NotificationService for NotificationGrpc {
    async fn list_deliveries(
        &self,
        request: Request<wire::ListDeliveriesRequest>,
    ) -> Result<Response<wire::ListDeliveriesResponse>, Status> {
        let request = request.into_inner();
        let of = match (request.customer_id.as_str(), request.order_id.as_str()) {
            (customer, "") => Of::Customer(parsed::<CustomerId>("customerId", customer)?.1),
            ("", order) => Of::Order(parsed::<OrderId>("orderId", order)?.0.as_uuid()),
            _ => return Err(invalid("orderId", "give a customer or an order, not both")),
        };
        self.hold(&request.tokens, request.wait_ms).await?;
        let connection = self.pool.get().await.map_err(Error::from)?;
        let shown = deliveries::list(&connection, of).await;
        let shown = shown.map_err(Error::from)?;
        let deliveries = shown.into_iter().map(delivery).collect();
        Ok(Response::new(wire::ListDeliveriesResponse { deliveries }))
    }

    async fn put_preferences(
        &self,
        request: Request<wire::PutPreferencesRequest>,
    ) -> Result<Response<wire::PutPreferencesResponse>, Status> {
        let request = request.into_inner();
        let (customer, _) = parsed::<CustomerId>("customerId", &request.customer_id)?;
        let channels: Vec<Channel> = request.channels().filter_map(channel).collect();
        let kinds: Vec<Kind> = request.kinds().filter_map(kind).collect();
        if channels.len() != request.channels.len() || kinds.len() != request.kinds.len() {
            return Err(invalid("kinds", "a channel or a kind is not known here"));
        }
        let version = self.set_wishes(&customer, &channels, &kinds).await?;
        Ok(Response::new(wire::PutPreferencesResponse {
            channels: request.channels,
            kinds: request.kinds,
            version,
        }))
    }

    async fn create_endpoint(
        &self,
        request: Request<wire::CreateEndpointRequest>,
    ) -> Result<Response<wire::CreateEndpointResponse>, Status> {
        let request = request.into_inner();
        let wanted = endpoints::Wanted {
            store: store(&request.store_id)?,
            types: types(request.types)?,
            url: request.url,
        };
        let keyed = keyed(
            CREATE,
            request.principal,
            request.idempotency_key,
            &[
                &wanted.url,
                wanted.store.as_deref().unwrap_or_default(),
                &wanted.types.join(","),
            ],
        );
        let (ids, allow) = (&SystemIds, self.allow_private);
        let made = endpoints::create(&self.pool, ids, wanted, allow, keyed).await?;
        Ok(Response::new(made))
    }

    async fn rotate_endpoint_secret(
        &self,
        request: Request<wire::RotateEndpointSecretRequest>,
    ) -> Result<Response<wire::RotateEndpointSecretResponse>, Status> {
        let request = request.into_inner();
        let (id, _) = parsed::<Uuid>("webhookId", &request.endpoint_id)?;
        let asked = [request.endpoint_id.as_str()];
        let keyed = keyed(ROTATE, request.principal, request.idempotency_key, &asked);
        let rotated = endpoints::rotate(&self.pool, id, self.secret_overlap, keyed).await?;
        Ok(Response::new(rotated))
    }

    async fn list_endpoints(
        &self,
        _: Request<wire::ListEndpointsRequest>,
    ) -> Result<Response<wire::ListEndpointsResponse>, Status> {
        let shown = endpoints::list(&self.pool).await?;
        let endpoints = shown.into_iter().map(endpoint).collect();
        Ok(Response::new(wire::ListEndpointsResponse { endpoints }))
    }

    async fn delete_endpoint(
        &self,
        request: Request<wire::DeleteEndpointRequest>,
    ) -> Result<Response<wire::DeleteEndpointResponse>, Status> {
        let (id, _) = parsed::<Uuid>("webhookId", &request.get_ref().endpoint_id)?;
        let version = endpoints::delete(&self.pool, id).await?;
        Ok(Response::new(wire::DeleteEndpointResponse { version }))
    }

    async fn redeliver_endpoint(
        &self,
        request: Request<wire::RedeliverEndpointRequest>,
    ) -> Result<Response<wire::RedeliverEndpointResponse>, Status> {
        let request = request.into_inner();
        let (id, _) = parsed::<Uuid>("webhookId", &request.endpoint_id)?;
        let event = match request.event_id.as_str() {
            "" => None,
            text => Some(parsed::<Uuid>("eventId", text)?.0),
        };
        let (calls, version) = endpoints::redeliver(&self.pool, id, event).await?;
        self.calls.notify_one();
        Ok(Response::new(wire::RedeliverEndpointResponse {
            redelivered: i64::try_from(calls).unwrap_or(i64::MAX),
            version,
        }))
    }

    async fn pull_events(
        &self,
        request: Request<wire::PullEventsRequest>,
    ) -> Result<Response<wire::PullEventsResponse>, Status> {
        let request = request.into_inner();
        let after = match request.after.as_str() {
            "" => 0,
            text => text
                .parse()
                .map_err(|_| invalid("after", "is not what an answer named"))?,
        };
        let (store, types) = (store(&request.store_id)?, types(request.types)?);
        let (filter, wait) = (Filter { types, store }, wait(request.wait_ms));
        let page = pull_events::pull(&self.pool, &self.monitor, after, &filter, wait).await?;
        let events = page.events.iter().map(|event| {
            Ok::<_, Error>(wire::PulledEvent {
                id: event.id.to_string(),
                r#type: event.kind.clone(),
                time: Some(instant(event.at)),
                store_id: event.store.clone(),
                order_id: event.order.to_string(),
                data_json: event_json::data(event)?.to_string(),
            })
        });
        Ok(Response::new(wire::PullEventsResponse {
            events: events.collect::<Result<_, _>>()?,
            next: page.next.to_string(),
        }))
    }
}

impl NotificationGrpc {
    /// Waits until our consumers have applied what the caller has seen. Topics that are not consumed
    /// here tell of nothing that is shown here.
    async fn hold(&self, tokens: &[ConsistencyToken], wait_ms: u32) -> Result<(), Error> {
        for (consumer, topic) in [
            (order_consumer::CONSUMER.name, order_consumer::ORDERS),
            (
                customer_consumer::CONSUMER.name,
                customer_consumer::CUSTOMERS,
            ),
        ] {
            let tokens: Vec<Token> = tokens
                .iter()
                .filter(|token| token.topic == topic)
                .map(token)
                .collect();
            if tokens.is_empty() {
                continue;
            }
            let held =
                held::wait(&self.pool, &self.monitor, consumer, &tokens, wait(wait_ms)).await?;
            match held {
                Held::Yes => {}
                Held::Parked => return Err(Error::Parked),
                Held::Behind => return Err(Error::ViewBehind),
            }
        }
        Ok(())
    }

    async fn set_wishes(
        &self,
        customer: &CustomerId,
        channels: &[Channel],
        kinds: &[Kind],
    ) -> Result<i64, Error> {
        let mut connection = self.pool.get().await?;
        let tx = connection.transaction().await?;
        let set = customers::set_wishes(&tx, customer, channels, kinds).await?;
        let version = set.ok_or(Error::Erased)?;
        tx.commit().await?;
        Ok(version)
    }
}

/// The key of a request, if its caller gave it one, with what was asked for.
fn keyed(route: &'static str, principal: String, key: String, asked: &[&str]) -> Option<Keyed> {
    // Lengths keep the fields apart.
    let mut fingerprint = Sha256::new();
    for field in asked {
        fingerprint.update(u64::try_from(field.len()).unwrap_or(u64::MAX).to_be_bytes());
        fingerprint.update(field.as_bytes());
    }
    (!key.is_empty()).then(|| Keyed {
        route,
        principal,
        key,
        fingerprint: fingerprint.finalize().into(),
    })
}

fn token(token: &ConsistencyToken) -> Token {
    Token {
        topic: token.topic.clone(),
        subject: token.subject.clone(),
        version: token.version,
    }
}

/// One store, or all.
fn store(id: &str) -> Result<Option<String>, Status> {
    match id {
        "" => Ok(None),
        id => Ok(Some(parsed::<StoreId>("storeId", id)?.1.to_owned())),
    }
}

fn wait(wait_ms: u32) -> Duration {
    Duration::from_millis(u64::from(wait_ms)).min(WAIT_MAX)
}

/// The types that are wanted: all, when none is named.
fn types(named: Vec<String>) -> Result<Vec<String>, Status> {
    let known = HOOK_TYPES.map(|(name, _)| name);
    if named.is_empty() {
        return Ok(known.map(str::to_owned).to_vec());
    }
    match named.iter().find(|name| !known.contains(&name.as_str())) {
        None => Ok(named),
        Some(_) => Err(invalid(
            "types",
            &format!("each is one of {}", known.join(", ")),
        )),
    }
}

/// An id as such and as text, or the fault of its field.
fn parsed<'a, T>(field: &'static str, text: &'a str) -> Result<(T, &'a str), Status>
where
    T: FromStr,
    T::Err: std::fmt::Display,
{
    let id = text.parse::<T>();
    id.map(|id| (id, text))
        .map_err(|error| invalid(field, &error.to_string()))
}

fn invalid(field: &'static str, detail: &str) -> Status {
    Error::Invalid(field, detail.to_owned()).into()
}

fn kind(kind: wire::Kind) -> Option<Kind> {
    Kind::ALL
        .into_iter()
        .find(|known| event_codec::kind(*known) == kind)
}

fn channel(channel: wire::Channel) -> Option<Channel> {
    Channel::ALL
        .into_iter()
        .find(|known| event_codec::channel(*known) == channel)
}

fn status(state: &str) -> wire::DeliveryStatus {
    match state {
        "waiting" => wire::DeliveryStatus::Waiting,
        "pending" => wire::DeliveryStatus::Pending,
        "sent" => wire::DeliveryStatus::Sent,
        "failed" => wire::DeliveryStatus::Failed,
        "expired" => wire::DeliveryStatus::Expired,
        _ => wire::DeliveryStatus::Unspecified,
    }
}

fn delivery(shown: Shown) -> wire::Delivery {
    let order = OrderId::new(shown.order);
    wire::Delivery {
        delivery_id: shown.id.to_string(),
        order_id: order.to_string(),
        customer_id: shown.customer,
        kind: event_codec::kind(shown.kind).into(),
        channel: event_codec::channel(shown.channel).into(),
        status: status(&shown.state).into(),
        attempts: shown.attempts,
        message_id: message_id(order, shown.kind),
        created_at: Some(instant(shown.created_at)),
        sent_at: shown.sent_at.map(instant),
        reason: shown.reason,
    }
}
