//! The switches of misbehaviour.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use brewline_sandbox_domain::{Behaviour, Kind, Misbehaviour, Part};

use super::body::{self, Body};
use super::problem::Problem;
use crate::app::World;

/// How long `slow` takes unless told: longer than a caller's patience, shorter than a test's.
const SLOW: Duration = Duration::from_secs(1);

/// The longest delay and key lifetime, in milliseconds: a day.
const TIME_MS_MAX: u64 = 86_400_000;

/// `PUT /behaviour/{kind}`
pub(super) async fn tell(
    State(world): State<World>,
    Path(kind): Path<String>,
    body: Body,
) -> Result<StatusCode, Problem> {
    let part = part(&kind).ok_or_else(|| {
        let detail =
            "behaviour can be told to authorise, capture, void, refund, keys, mail and hook";
        Problem::not_found(detail)
    })?;
    let body = body::json::<body::Behaviour>(body)?;
    let behaviour = misbehaviour(part, &body)?
        .map(|it| {
            let share = body.share()?;
            Ok::<_, Problem>(Behaviour::new(
                it,
                share,
                body.seed.unwrap_or(0),
                body.count,
            ))
        })
        .transpose()?;
    tracing::info!(?part, ?behaviour, "told how to behave");
    world.tell(part, behaviour);
    Ok(StatusCode::NO_CONTENT)
}

/// `PUT /behaviour/keys`
pub(super) async fn keys(State(world): State<World>, body: Body) -> Result<StatusCode, Problem> {
    let body = body::json::<body::Keys>(body)?;
    let lifetime = body.ttl_ms.map(|ms| millis("ttlMs", ms)).transpose()?;
    tracing::info!(?lifetime, "told how long keys are remembered");
    world.set_key_lifetime(lifetime);
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /behaviour`
pub(super) async fn behave(State(world): State<World>) -> StatusCode {
    tracing::info!("told to behave well");
    world.behave();
    StatusCode::NO_CONTENT
}

fn part(name: &str) -> Option<Part> {
    match name {
        "mail" => Some(Part::Mail),
        "hook" => Some(Part::Hook),
        money => Kind::from_name(money).map(Part::Money),
    }
}

/// What an `error` is, unless told: an outage for programs, a greylisting for mails.
const fn usual_error(part: Part) -> u16 {
    match part {
        Part::Mail => 451,
        Part::Money(_) | Part::Hook => 500,
    }
}

fn failing(part: Part, body: &body::Behaviour) -> Result<Misbehaviour, Problem> {
    let status = body.status.unwrap_or_else(|| usual_error(part));
    if part == Part::Hook && (300..400).contains(&status) {
        return Ok(Misbehaviour::Redirect(status));
    }
    Misbehaviour::error(status).map_err(|error| Problem::field("status", error))
}

fn misbehaviour(part: Part, body: &body::Behaviour) -> Result<Option<Misbehaviour>, Problem> {
    let delay = match body.delay_ms {
        None => SLOW,
        Some(ms) => millis("delayMs", ms)?,
    };
    Ok(Some(match body.mode.as_str() {
        "ok" => return Ok(None),
        "decline" => Misbehaviour::Decline,
        "error" => failing(part, body)?,
        "slow" => Misbehaviour::Slow(delay),
        "hang" => Misbehaviour::Hang,
        "done-then-hang" => Misbehaviour::DoneThenHang,
        "done-then-reset" => Misbehaviour::DoneThenReset,
        "refuse-connection" => Misbehaviour::RefuseConnection,
        "trickle" if part == Part::Hook => Misbehaviour::Trickle(delay),
        _ => {
            let detail = "one of ok, decline, error, slow, hang, done-then-hang, done-then-reset, \
                          refuse-connection; for hook also trickle";
            return Err(Problem::field("mode", detail));
        }
    }))
}

fn millis(field: &'static str, ms: u64) -> Result<Duration, Problem> {
    if ms > TIME_MS_MAX {
        let detail = format!("at most {TIME_MS_MAX} (a day)");
        return Err(Problem::field(field, detail));
    }
    Ok(Duration::from_millis(ms))
}
