//! The four operations on money, each with whatever is told to go wrong with it.

use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use brewline_sandbox_domain::{
    DeclineCode, Kind, Misbehaviour, Operation, Outcome, Rejection, Request,
};
use serde_json::json;

use super::body::{self, Body};
use super::door::Cut;
use super::problem::Problem;
use super::views::Answer;
use crate::app::{Done, Hold, Replayed, World};
use crate::{Error, signals};

/// Told to a caller whose first answer may have been lost.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

type Decided = Result<Result<Done, Rejection>, Error>;

/// `POST /v1/authorisations`
pub(super) async fn authorise(
    State(world): State<World>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let key = body::key(&headers)?;
    let operation = body::json::<body::Authorise>(body)?.into_operation()?;
    perform(world, cut, Request { key, operation }).await
}

/// `POST /v1/authorisations/{id}/captures`
pub(super) async fn capture(
    State(world): State<World>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let request = follow_up(&id, &headers, body, Operation::Capture)?;
    perform(world, cut, request).await
}

/// `POST /v1/authorisations/{id}/voids`
pub(super) async fn void(
    State(world): State<World>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let request = follow_up(&id, &headers, body, Operation::Void)?;
    perform(world, cut, request).await
}

/// `POST /v1/authorisations/{id}/refunds`
pub(super) async fn refund(
    State(world): State<World>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let request = follow_up(&id, &headers, body, Operation::Refund)?;
    perform(world, cut, request).await
}

fn follow_up(
    id: &str,
    headers: &HeaderMap,
    body: Body,
    operation: impl FnOnce(brewline_sandbox_domain::Target) -> Operation,
) -> Result<Request, Problem> {
    let key = body::key(headers)?;
    let target = body::json_or_nothing::<body::FollowUp>(body)?.into_target(id)?;
    let operation = operation(target);
    Ok(Request { key, operation })
}

/// Does a request, or goes wrong with it in the way that is told.
async fn perform(world: World, cut: Cut, request: Request) -> Result<Response, Problem> {
    let kind = request.operation.kind();
    let lifetime = world.key_lifetime();
    match world.judge(kind) {
        None => answer(kind, world.desk().perform(request, None, lifetime).await),
        Some(Misbehaviour::Decline) => {
            let bank = Some(Outcome::Declined(DeclineCode::CardDeclined));
            answer(kind, world.desk().perform(request, bank, lifetime).await)
        }
        Some(Misbehaviour::Error(status) | Misbehaviour::Redirect(status)) => {
            Err(told_to_fail(kind, status))
        }
        Some(Misbehaviour::Slow(delay) | Misbehaviour::Trickle(delay)) => {
            let landing = world.clone();
            let slow = world.go_on(async move { land_late(&landing, request, delay).await });
            answer(kind, slow.await.unwrap_or(Err(Error::ClerkGone)))
        }
        Some(Misbehaviour::Hang) => Err(hang(&world, kind, &cut).await),
        Some(Misbehaviour::DoneThenHang) => {
            // Whatever came of it, nobody is told.
            drop(world.desk().perform(request, None, lifetime).await);
            Err(hang(&world, kind, &cut).await)
        }
        Some(Misbehaviour::DoneThenReset) => {
            drop(world.desk().perform(request, None, lifetime).await);
            Err(reset(kind, &cut))
        }
        Some(Misbehaviour::RefuseConnection) => Err(reset(kind, &cut)),
    }
}

/// A request that is long on its way: it is done late, whoever has stopped waiting for it, and its
/// key is taken all that time.
async fn land_late(world: &World, request: Request, delay: std::time::Duration) -> Decided {
    let lifetime = world.key_lifetime();
    let hold = world.desk().hold(request.clone(), lifetime).await?;
    tokio::time::sleep(delay).await;
    match hold {
        Hold::Mine => world.desk().perform_held(request, lifetime).await,
        Hold::Taken => world.desk().perform(request, None, lifetime).await,
    }
}

fn told_to_fail(kind: Kind, status: u16) -> Problem {
    signals::operation(kind.name(), "error");
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let detail = "told to fail; nothing was done";
    Problem::new(status, "misbehaviour", detail)
}

async fn hang(world: &World, kind: Kind, cut: &Cut) -> Problem {
    signals::operation(kind.name(), "hang");
    world.hang().await;
    reset(kind, cut)
}

/// Cuts the connection; the problem it returns never arrives.
fn reset(kind: Kind, cut: &Cut) -> Problem {
    signals::operation(kind.name(), "reset");
    cut.cut();
    Problem::closing()
}

fn answer(kind: Kind, decided: Decided) -> Result<Response, Problem> {
    let Ok(decided) = decided else {
        return Err(Problem::closing());
    };
    let (entry, replayed) = decided.map_err(|rejection| {
        signals::operation(kind.name(), "rejected");
        Problem::from(rejection)
    })?;
    let declined = entry.outcome != Outcome::Done;
    signals::operation(kind.name(), if declined { "declined" } else { "done" });
    if declined && kind != Kind::Authorise {
        let detail = format!("the bank refuses the {kind}");
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return Err(Problem::new(status, "declined", detail));
    }
    let text = serde_json::to_string(&Answer::from(&*entry))
        .unwrap_or_else(|error| json!({ "error": error.to_string() }).to_string());
    let kind = HeaderValue::from_static("application/json");
    let mut response = (StatusCode::CREATED, [(header::CONTENT_TYPE, kind)], text).into_response();
    if replayed == Replayed::Again {
        let yes = HeaderValue::from_static("true");
        response.headers_mut().insert(REPLAYED, yes);
    }
    Ok(response)
}
