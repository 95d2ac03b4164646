//! `/v1/orders/{orderId}/events`

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::response::sse::Event;
use brewline_kernel::OrderId;
use brewline_proto::order::v1 as wire;

use super::call::Call;
use super::edge::Edge;
use super::order_view::OrderView;
use super::path::Id;
use super::principal::Principal;
use super::problem::Problem;
use super::respond::Answer;
use super::sse::{self, LastEventId};
use super::status::nonsense;

/// The events of an order, and what a stream calls them.
const NAMES: [(&str, &str); 9] = [
    ("OrderPlaced", "order.placed"),
    ("OrderConfirmed", "order.confirmed"),
    ("OrderRejected", "order.rejected"),
    ("OrderCancellationRequested", "order.cancellation-requested"),
    ("OrderCancellationRefused", "order.cancellation-refused"),
    ("OrderCancelled", "order.cancelled"),
    ("OrderPreparationStarted", "order.preparation-started"),
    ("OrderReady", "order.ready"),
    ("OrderCollected", "order.collected"),
];

/// Said by the service when the caller has seen everything that ever happens to the order.
const FINAL: &str = "order-final";

/// Said where a newer service tells of something that this edge does not know yet.
const UNKNOWN: &str = "order.unknown";

/// `GET /v1/orders/{orderId}/events`
pub(super) async fn watch(
    State(edge): State<Edge>,
    _: Principal,
    call: Call,
    Id(order_id): Id<OrderId>,
    LastEventId(last): LastEventId,
) -> Result<Response, Problem> {
    let after_version = last.as_deref().map_or(Ok(0), version)?;
    let place = edge.streams().place()?;
    let message = wire::WatchOrderRequest {
        order_id: order_id.to_string(),
        after_version,
    };
    let mut orders = edge.upstreams().orders.clone();
    let events = call
        .stream(message, async |request| orders.watch_order(request).await)
        .await;
    match events {
        Ok(events) => Ok(sse::relay(place, events, show)),
        // A browser goes on to reconnect until it is told that there is nothing more.
        Err(problem) if problem.is(FINAL) => Ok(Answer::empty(StatusCode::NO_CONTENT).finish()),
        Err(problem) => Err(problem),
    }
}

/// Our ids are the order's versions.
fn version(text: &str) -> Result<i64, Problem> {
    let version = text.parse().ok().filter(|version| *version >= 0);
    version.ok_or_else(|| {
        let detail = "Last-Event-ID is none that this stream gave: it is the order's version";
        Problem::malformed("invalid-last-event-id", detail)
    })
}

fn show(event: wire::WatchOrderResponse) -> Result<Event, Problem> {
    let order = event.order.ok_or_else(|| nonsense("the order"))?;
    let id = order.version.to_string();
    sse::event(&id, Some(name(&event.event_type)), &OrderView::from(order))
}

fn name(event_type: &str) -> &'static str {
    let short = event_type.rsplit('.').next().unwrap_or_default();
    let known = NAMES.iter().find(|(known, _)| *known == short);
    known.map_or(UNKNOWN, |(_, name)| name)
}
