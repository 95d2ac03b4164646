//! Orders over gRPC: `brewline.order.v1.OrderService`.

mod parse;
pub(super) mod refuse;

use std::time::Duration;

use brewline_messaging::{Monitor, held};
use brewline_proto::order::v1 as wire;
use brewline_telemetry::trace;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use tokio::time::Instant;
use tonic::{Request, Response, Status};
use wire::order_service_server::OrderService;

use super::{catalogue_consumer, tickets_consumer};
use crate::Parts;
use crate::app::place_order::PlaceOrders;
use crate::app::query_orders::{self, Until};
use crate::app::watch_order::Watchers;
use crate::app::{await_catalogue, cancel_order, collect_order};
use crate::outbound::catalogue_store::{Held, Token};
use crate::outbound::order_view;
pub(super) use parse::{Faults, traceparent};

/// Serves orders.
#[derive(Debug, Clone)]
pub struct OrderGrpc {
    parts: Parts,
    place: PlaceOrders,
    monitor: Monitor,
    watchers: Watchers,
}

// === impl OrderGrpc ===

impl OrderGrpc {
    /// Serves what `place` accepts and what `parts` hold, to `watchers` too.
    #[must_use]
    pub const fn new(
        parts: Parts,
        place: PlaceOrders,
        monitor: Monitor,
        watchers: Watchers,
    ) -> Self {
        Self {
            parts,
            place,
            monitor,
            watchers,
        }
    }

    /// Waits until the copy of the catalogue holds what the caller has seen elsewhere.
    async fn await_catalogue(&self, tokens: &[Token], wait: Duration) -> Result<(), Status> {
        let consumer = catalogue_consumer::SPEC.name;
        let held = await_catalogue::wait(&self.parts, &self.monitor, consumer, tokens, wait).await;
        match held.map_err(|error| refuse::database(&error))? {
            Held::Yes => Ok(()),
            Held::Behind => Err(refuse::behind()),
            Held::Parked => Err(refuse::parked()),
        }
    }

    /// Waits until what the caller has seen of tickets has moved their orders on; says how much of `wait`
    /// is left.
    async fn await_tickets(
        &self,
        tokens: &[wire::ConsistencyToken],
        wait: Duration,
    ) -> Result<Duration, Status> {
        let spec = tickets_consumer::SPEC;
        let told = tokens
            .iter()
            .filter(|token| spec.kind(&token.topic).is_some());
        let token = |token: &wire::ConsistencyToken| held::Token {
            topic: token.topic.clone(),
            subject: token.subject.clone(),
            version: token.version,
        };
        let told: Vec<held::Token> = told.map(token).collect();
        if told.is_empty() {
            return Ok(wait);
        }
        let until = Instant::now() + wait;
        let held = held::wait(&self.parts.pool, &self.monitor, spec.name, &told, wait).await;
        match held.map_err(|error| refuse::database(&error))? {
            held::Held::Yes => Ok(until.saturating_duration_since(Instant::now())),
            held::Held::Behind => Err(refuse::behind()),
            held::Held::Parked => Err(refuse::parked()),
        }
    }
}

#[tonic::async_trait]
impl OrderService for OrderGrpc {
    async fn place_order(
        &self,
        request: Request<wire::PlaceOrderRequest>,
    ) -> Result<Response<wire::PlaceOrderResponse>, Status> {
        let request = request.into_inner();
        let tokens = parse::catalogue_tokens(&request.tokens)?;
        let wait = parse::wait(request.wait_ms);
        let mut order = parse::place_order(request)?;
        // The call's own span stands nearer than what its caller wrote into the message.
        order.traceparent = trace::current().or(order.traceparent);
        self.await_catalogue(&tokens, wait).await?;
        let placed = self.place.place(order).await.map_err(refuse::place)?;
        Ok(Response::new(wire::PlaceOrderResponse {
            order: Some(order_view::as_placed(&placed.order)),
            replayed: placed.replayed,
        }))
    }

    async fn cancel_order(
        &self,
        request: Request<wire::CancelOrderRequest>,
    ) -> Result<Response<wire::CancelOrderResponse>, Status> {
        let request = request.into_inner();
        let order_id = parse::order_id(&request.order_id)?;
        let reason = parse::cancel_reason(&request.reason)?;
        // A caller that goes away in the middle leaves a transaction that is rolled back, or a commit
        // whose calls the timers pick up: nothing is lost either way.
        let order = cancel_order::cancel(&self.parts, order_id, &reason).await;
        Ok(Response::new(wire::CancelOrderResponse {
            order: Some(order.map_err(|error| refuse::change(error, "not-cancellable"))?),
        }))
    }

    async fn collect_order(
        &self,
        request: Request<wire::CollectOrderRequest>,
    ) -> Result<Response<wire::CollectOrderResponse>, Status> {
        let request = request.into_inner();
        let order_id = parse::order_id(&request.order_id)?;
        let tokens = parse::limited(&request.tokens)?;
        self.await_tickets(tokens, parse::wait(request.wait_ms))
            .await?;
        let order = collect_order::collect(&self.parts, order_id).await;
        Ok(Response::new(wire::CollectOrderResponse {
            order: Some(order.map_err(|error| refuse::change(error, "not-collectable"))?),
        }))
    }

    type WatchOrderStream = BoxStream<'static, Result<wire::WatchOrderResponse, Status>>;

    async fn watch_order(
        &self,
        request: Request<wire::WatchOrderRequest>,
    ) -> Result<Response<Self::WatchOrderStream>, Status> {
        let request = request.into_inner();
        let order_id = parse::order_id(&request.order_id)?;
        let seen = request.after_version.max(0);
        let watch = self.watchers.watch(&self.parts, order_id, seen).await;
        let watch = watch.map_err(refuse::watch)?;
        let watch = watch.ok_or_else(refuse::too_many_watchers)?;
        if watch.has_seen_too_much() {
            return Err(refuse::not_seen());
        }
        if watch.is_over() {
            return Err(refuse::nothing_to_watch());
        }
        let events = stream::try_unfold(watch, async |mut watch| {
            let event = watch.next().await.map_err(refuse::watch)?;
            Ok(event.map(|event| (event, watch)))
        });
        Ok(Response::new(events.boxed()))
    }

    async fn get_order(
        &self,
        request: Request<wire::GetOrderRequest>,
    ) -> Result<Response<wire::GetOrderResponse>, Status> {
        let request = request.into_inner();
        let order_id = parse::order_id(&request.order_id)?;
        let mut patience = parse::patience(&request.tokens, request.wait_ms)?;
        patience.wait = self.await_tickets(&request.tokens, patience.wait).await?;
        let until = if request.until_settled {
            Until::Settled
        } else {
            Until::Now
        };
        let order = query_orders::get(&self.parts, order_id, until, &patience).await;
        Ok(Response::new(wire::GetOrderResponse {
            order: Some(order.map_err(refuse::query)?),
        }))
    }

    async fn list_orders(
        &self,
        request: Request<wire::ListOrdersRequest>,
    ) -> Result<Response<wire::ListOrdersResponse>, Status> {
        let request = request.into_inner();
        let filter = parse::filter(&request)?;
        let page_size = parse::page_size(request.page_size)?;
        let mut patience = parse::patience(&request.tokens, request.wait_ms)?;
        patience.wait = self.await_tickets(&request.tokens, patience.wait).await?;
        let token = &request.page_token;
        let page = query_orders::list(&self.parts, &filter, page_size, token, &patience).await;
        let page = page.map_err(refuse::query)?;
        Ok(Response::new(wire::ListOrdersResponse {
            orders: page.orders,
            next_page_token: page.next,
        }))
    }
}
