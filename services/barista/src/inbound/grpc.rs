//! `FulfilmentService`: tickets and walls.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use brewline_barista_domain::TicketId;
use brewline_kernel::{Clock, OrderId, StoreId, TraceParent};
use brewline_messaging::{Monitor, held};
use brewline_proto::fulfilment::v1::fulfilment_service_server::FulfilmentService;
use brewline_proto::fulfilment::v1::{
    FinishTicketRequest, FinishTicketResponse, GetWallRequest, GetWallResponse, ListTicketsRequest,
    ListTicketsResponse, StartTicketRequest, StartTicketResponse, WatchWallRequest,
    WatchWallResponse,
};
use brewline_proto::order::v1::ConsistencyToken;
use futures_util::{Stream, stream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use super::order_consumer::{CONSUMER, ORDERS};
use super::wire;
use crate::app::walls::{Walls, Watcher};
use crate::app::work_ticket::Bench;
use crate::error::Error;
use crate::outbound::{event_codec, store};

/// How many tokens a read may carry.
const TOKENS_MAX: usize = 8;

/// The longest a read may wait for what it must hold.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// How often a waiting read looks again.
const REREAD: Duration = Duration::from_millis(100);

/// Serves tickets and walls.
#[derive(Clone)]
pub struct FulfilmentGrpc {
    /// Where tickets are worked on.
    pub bench: Bench,
    /// The walls.
    pub walls: Walls,
    /// How far the consumers are.
    pub monitor: Monitor,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Ends all streams.
    pub shutdown: CancellationToken,
}

/// What a stream of walls is made of.
struct Watching {
    watcher: Watcher,
    clock: Arc<dyn Clock>,
    shutdown: CancellationToken,
}

#[tonic::async_trait]
impl FulfilmentService for FulfilmentGrpc {
    type WatchWallStream = Pin<Box<dyn Stream<Item = Result<WatchWallResponse, Status>> + Send>>;

    async fn start_ticket(
        &self,
        request: Request<StartTicketRequest>,
    ) -> Result<Response<StartTicketResponse>, Status> {
        let trace = traceparent(request.metadata());
        let ticket: TicketId = parse("ticketId", &request.into_inner().ticket_id)?;
        let worked = self.bench.start(ticket, trace).await?;
        Ok(Response::new(StartTicketResponse {
            ticket: Some(wire::ticket_state(&worked.ticket)),
            version: worked.version,
        }))
    }

    async fn finish_ticket(
        &self,
        request: Request<FinishTicketRequest>,
    ) -> Result<Response<FinishTicketResponse>, Status> {
        let trace = traceparent(request.metadata());
        let ticket: TicketId = parse("ticketId", &request.into_inner().ticket_id)?;
        let worked = self.bench.finish(ticket, trace).await?;
        Ok(Response::new(FinishTicketResponse {
            ticket: Some(wire::ticket_state(&worked.ticket)),
            version: worked.version,
            remaining: worked.remaining,
        }))
    }

    async fn get_wall(
        &self,
        request: Request<GetWallRequest>,
    ) -> Result<Response<GetWallResponse>, Status> {
        let request = request.into_inner();
        let store: StoreId = parse("storeId", &request.store_id)?;
        let wait = Duration::from_millis(u64::from(request.wait_ms)).min(WAIT_MAX);
        self.await_walls(&request.tokens, wait).await?;
        let wall = self.walls.read(&store).await?;
        let wall = Some(wire::wall(&wall, self.clock.now()));
        Ok(Response::new(GetWallResponse { wall }))
    }

    async fn watch_wall(
        &self,
        request: Request<WatchWallRequest>,
    ) -> Result<Response<Self::WatchWallStream>, Status> {
        let request = request.into_inner();
        let store: StoreId = parse("storeId", &request.store_id)?;
        let watching = Watching {
            watcher: self.walls.watch(&store, request.position).await?,
            clock: Arc::clone(&self.clock),
            shutdown: self.shutdown.clone(),
        };
        let walls = stream::unfold(watching, |mut watching| async move {
            let wall = watching.next().await?;
            Some((Ok(wall), watching))
        });
        Ok(Response::new(Box::pin(walls)))
    }

    async fn list_tickets(
        &self,
        request: Request<ListTicketsRequest>,
    ) -> Result<Response<ListTicketsResponse>, Status> {
        let order: OrderId = parse("orderId", &request.into_inner().order_id)?;
        let rows = store::list_tickets(&self.bench.pool, order)
            .await
            .map_err(Error::from)?;
        let tickets = rows.iter().map(wire::ticket_state).collect();
        Ok(Response::new(ListTicketsResponse { tickets }))
    }
}

// === impl FulfilmentGrpc ===

impl FulfilmentGrpc {
    /// Waits until the walls hold what the caller has seen: what it has seen of orders must have come
    /// here, and its tickets must have come as far as it has seen them. A wall is written along with its
    /// tickets, so what holds the one holds the other. What tokens say of other topics says nothing about
    /// walls.
    async fn await_walls(&self, tokens: &[ConsistencyToken], wait: Duration) -> Result<(), Error> {
        if tokens.len() > TOKENS_MAX {
            let (field, detail) = ("consistency", format!("at most {TOKENS_MAX} tokens"));
            return Err(Error::Invalid { field, detail });
        }
        let until = Instant::now() + wait;
        self.hold(CONSUMER.name, &of_topic(tokens, ORDERS), wait)
            .await?;
        self.hold_tickets(&of_topic(tokens, event_codec::TOPIC), until)
            .await
    }

    /// Whoever was told a version of an order's tickets was told what is committed; only a token that was
    /// made up, or a database that was set back, is waited for.
    async fn hold_tickets(&self, told: &[held::Token], until: Instant) -> Result<(), Error> {
        let asked: BTreeMap<OrderId, i64> = told
            .iter()
            .filter_map(|token| Some((token.subject.parse().ok()?, token.version)))
            .collect();
        if asked.len() < told.len() {
            let (field, detail) = ("consistency", "a subject is no order's id".to_owned());
            return Err(Error::Invalid { field, detail });
        }
        let orders: Vec<OrderId> = asked.keys().copied().collect();
        loop {
            let found = store::versions(&self.bench.pool, &orders).await?;
            let held = |(order, version): &(OrderId, i64)| asked.get(order) <= Some(version);
            if found.iter().filter(|found| held(found)).count() == asked.len() {
                return Ok(());
            }
            if Instant::now() >= until {
                return Err(Error::Behind);
            }
            tokio::time::sleep_until(until.min(Instant::now() + REREAD)).await;
        }
    }

    async fn hold(
        &self,
        consumer: &str,
        tokens: &[held::Token],
        wait: Duration,
    ) -> Result<(), Error> {
        if tokens.is_empty() {
            return Ok(());
        }
        match held::wait(&self.bench.pool, &self.monitor, consumer, tokens, wait).await? {
            held::Held::Yes => Ok(()),
            held::Held::Parked => Err(Error::Parked),
            held::Held::Behind => Err(Error::Behind),
        }
    }
}

impl std::fmt::Debug for FulfilmentGrpc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FulfilmentGrpc").finish_non_exhaustive()
    }
}

// === impl Watching ===

impl Watching {
    /// `None` at shutdown: the caller comes again, to another replica.
    async fn next(&mut self) -> Option<WatchWallResponse> {
        let wall = tokio::select! {
            biased;
            () = self.shutdown.cancelled() => return None,
            wall = self.watcher.next() => wall,
        };
        let wall = Some(wire::wall(&wall, self.clock.now()));
        Some(WatchWallResponse { wall })
    }
}

fn of_topic(tokens: &[ConsistencyToken], topic: &str) -> Vec<held::Token> {
    let ours = tokens.iter().filter(|token| token.topic == topic);
    let token = |token: &ConsistencyToken| held::Token {
        topic: token.topic.clone(),
        subject: token.subject.clone(),
        version: token.version,
    };
    ours.map(token).collect()
}

/// The trace a request belongs to; a malformed header is no reason to refuse it.
fn traceparent(metadata: &MetadataMap) -> Option<TraceParent> {
    metadata.get("traceparent")?.to_str().ok()?.parse().ok()
}

/// An id, or the fault of its field.
fn parse<T: std::str::FromStr>(field: &'static str, text: &str) -> Result<T, Error>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error: T::Err| {
        let detail = error.to_string();
        Error::Invalid { field, detail }
    })
}
