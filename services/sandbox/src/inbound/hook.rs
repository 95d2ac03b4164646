//! A receiver of webhooks: `POST /hook/{name}` takes any call, `GET /hook/{name}` shows them.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use brewline_sandbox_domain::{Misbehaviour, Part};
use futures_util::stream;
use serde::Serialize;

use super::body::Body as Received;
use super::door::Cut;
use super::kept;
use super::problem::Problem;
use super::views::instant;
use crate::app::World;
use crate::signals;

/// The longest name of a hook, in bytes.
const NAME_BYTES_MAX: usize = 100;

/// What `GET` shows of a call.
const SHOWN: &[&str] = &["at", "headers", "body"];

/// A call as it is kept.
#[derive(Debug, Serialize)]
struct Call {
    name: String,
    at: String,
    headers: BTreeMap<String, String>,
    body: String,
}

/// `POST /hook/{name}`
pub(super) async fn receive(
    State(world): State<World>,
    ConnectInfo(cut): ConnectInfo<Cut>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Received,
) -> Result<Response, Problem> {
    let body = body.map_err(|_| Problem::malformed("the body did not arrive whole"))?;
    let call = Call::new(checked(name)?, instant(world.now()), &headers, &body);
    let told = world.judge(Part::Hook);
    signals::operation("hook", if told.is_some() { "misbehaved" } else { "done" });
    match told {
        None => keep(&world, call).await,
        Some(Misbehaviour::Error(status)) => Err(refusal(status)),
        Some(Misbehaviour::Decline) => Err(refusal(403)),
        Some(Misbehaviour::Redirect(status)) => Ok(redirect(status, &call.name)),
        Some(Misbehaviour::Slow(delay)) => {
            let landing = world.clone();
            let late = world.go_on(async move {
                tokio::time::sleep(delay).await;
                keep(&landing, call).await
            });
            late.await.map_err(|_| Problem::closing())?
        }
        Some(Misbehaviour::Trickle(pause)) => {
            keep(&world, call).await?;
            Ok(trickle(pause))
        }
        Some(Misbehaviour::Hang) => {
            world.hang().await;
            Err(reset(&cut))
        }
        Some(Misbehaviour::DoneThenHang) => {
            keep(&world, call).await?;
            world.hang().await;
            Err(reset(&cut))
        }
        Some(Misbehaviour::DoneThenReset) => {
            keep(&world, call).await?;
            Err(reset(&cut))
        }
        Some(Misbehaviour::RefuseConnection) => Err(reset(&cut)),
    }
}

/// `GET /hook/{name}`
pub(super) async fn calls(
    State(world): State<World>,
    Path(name): Path<String>,
) -> Result<Response, Problem> {
    kept::answer(world.hooks(), Some(("name", checked(name)?)), Some(SHOWN)).await
}

async fn keep(world: &World, call: Call) -> Result<Response, Problem> {
    let kept = world.hooks().put(&[call]).await;
    kept.map_err(|_| Problem::closing())?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn checked(name: String) -> Result<String, Problem> {
    if name.len() > NAME_BYTES_MAX {
        let detail = format!("a hook's name has at most {NAME_BYTES_MAX} bytes");
        return Err(Problem::malformed(detail));
    }
    Ok(name)
}

fn refusal(status: u16) -> Problem {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Problem::new(status, "misbehaviour", "told to fail; nothing was kept")
}

/// Elsewhere is a hook too, so that a test sees whether anybody followed.
fn redirect(status: u16, name: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FOUND);
    let place = HeaderValue::try_from(format!("/hook/{name}-elsewhere"));
    let place = place.unwrap_or(HeaderValue::from_static("/hook/elsewhere"));
    (status, [(header::LOCATION, place)]).into_response()
}

/// An answer that never ends, a byte at a time.
fn trickle(pause: Duration) -> Response {
    let drops = stream::unfold((), move |()| async move {
        tokio::time::sleep(pause).await;
        Some((Ok::<_, std::io::Error>(" "), ()))
    });
    Body::from_stream(drops).into_response()
}

/// Cuts the connection; the problem it returns never arrives.
fn reset(cut: &Cut) -> Problem {
    cut.cut();
    Problem::closing()
}

// === impl Call ===

impl Call {
    fn new(name: String, at: String, headers: &HeaderMap, body: &[u8]) -> Self {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        Self {
            name,
            at,
            headers: headers
                .iter()
                .map(|(name, value)| (name.as_str().to_owned(), text(value)))
                .collect(),
            body: String::from_utf8_lossy(body).into_owned(),
        }
    }
}
