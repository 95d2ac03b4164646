//! `/v1/stores/{storeId}/wall`: as JSON, or as a stream for who asks for one.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::response::sse::Event;
use brewline_kernel::StoreId;
use brewline_proto::fulfilment::v1 as wire;
use tonic::Streaming;

use super::call::Call;
use super::consistency::Tokens;
use super::edge::Edge;
use super::path::Id;
use super::prefer::{PREFERENCE_APPLIED, Patience};
use super::principal::Principal;
use super::problem::Problem;
use super::respond::Answer;
use super::sse::{self, LastEventId};
use super::status::nonsense;
use super::tickets::BARISTA;
use super::wall_view::WallView;

/// `GET /v1/stores/{storeId}/wall`
#[allow(
    clippy::too_many_arguments,
    reason = "extractors are what the request consists of"
)]
pub(super) async fn get(
    State(edge): State<Edge>,
    _: Principal,
    call: Call,
    Id(store_id): Id<StoreId>,
    Tokens(tokens): Tokens,
    patience: Patience,
    LastEventId(last): LastEventId,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if sse::is_wanted(&headers) {
        let position = last.as_deref().map(position).transpose()?;
        let place = edge.streams().place()?;
        let walls = watch(&edge, call, &store_id, position).await?;
        return Ok(sse::relay(place, walls, show));
    }
    let message = wire::GetWallRequest {
        store_id: store_id.as_str().to_owned(),
        tokens,
        wait_ms: patience.wait_ms(),
    };
    let mut fulfilment = edge.upstreams().fulfilment.clone();
    let answer = call
        .to(BARISTA)
        .waiting(patience.wait())
        .read(message, async |request| fulfilment.get_wall(request).await)
        .await?;
    let wall = answer.wall.ok_or_else(|| nonsense("the wall"))?;
    let answer = Answer::json(StatusCode::OK, &WallView::from(wall))?;
    Ok(answer.with(PREFERENCE_APPLIED, patience.applied()).finish())
}

/// Has the barista tell each change of a wall.
pub(super) async fn watch(
    edge: &Edge,
    call: Call,
    store_id: &StoreId,
    position: Option<i64>,
) -> Result<Streaming<wire::WatchWallResponse>, Problem> {
    let message = wire::WatchWallRequest {
        store_id: store_id.as_str().to_owned(),
        position,
    };
    let mut fulfilment = edge.upstreams().fulfilment.clone();
    call.to(BARISTA)
        .stream(message, async |request| {
            fulfilment.watch_wall(request).await
        })
        .await
}

/// The wall of a message.
pub(super) fn view(message: wire::WatchWallResponse) -> Result<WallView, Problem> {
    let wall = message.wall.ok_or_else(|| nonsense("the wall"))?;
    Ok(wall.into())
}

/// Our ids are the wall's positions.
fn position(text: &str) -> Result<i64, Problem> {
    let position = text.parse().ok().filter(|position| *position >= 0);
    position.ok_or_else(|| {
        let detail = "Last-Event-ID is none that this stream gave: it is the wall's position";
        Problem::malformed("invalid-last-event-id", detail)
    })
}

fn show(message: wire::WatchWallResponse) -> Result<Event, Problem> {
    let wall = view(message)?;
    sse::event(&wall.position.to_string(), None, &wall)
}
