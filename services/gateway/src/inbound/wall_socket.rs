//! `/v1/stores/{storeId}/wall/socket`: the barista's tablet. Down come walls, whole, each time they have
//! changed; up go `{"ticketId", "action": "start" | "done"}`, each answered in its turn.
//!
//! One task serves a socket and does one thing at a time: while a tablet does not read, nothing is taken
//! from upstream, and while an action is under way, nothing is read from the tablet. So there is no queue
//! that could grow.

use std::ops::ControlFlow;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseCode, CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use brewline_kernel::{StoreId, TraceParent};
use brewline_proto::fulfilment::v1 as wire;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, MissedTickBehavior};
use tonic::{Status, Streaming};

use super::call::Call;
use super::edge::Edge;
use super::path::Id;
use super::principal::Principal;
use super::problem::Problem;
use super::sse::Place;
use super::tickets::{self, TicketId};
use super::wall;

/// The longest message a tablet may send, in bytes: an action has about 80.
const MESSAGE_BYTES_MAX: usize = 1_024;

/// How often a tablet is asked whether it is there.
const PING_INTERVAL: Duration = Duration::from_secs(20);

/// A tablet that has said nothing for so long, not even that it is there, is gone.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// How long a tablet may take to take a message.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// One tablet.
struct Tablet {
    socket: WebSocket,
    walls: Streaming<wire::WatchWallResponse>,
    edge: Edge,
    trace: TraceParent,
    heard_at: Instant,
    place: Place,
}

/// What a tablet asks for.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Asked {
    ticket_id: String,
    action: Action,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    Start,
    Done,
}

/// What a tablet is answered.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answered<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    ticket_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<Action>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<serde_json::Value>,
}

/// Whether the socket goes on, or why it ends.
type Flow = ControlFlow<Option<CloseCode>>;

/// `GET /v1/stores/{storeId}/wall/socket`
pub(super) async fn open(
    State(edge): State<Edge>,
    _: Principal,
    call: Call,
    Id(store_id): Id<StoreId>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = upgrade.map_err(|why| {
        let status = StatusCode::UPGRADE_REQUIRED;
        Problem::new(status, "upgrade-required", why.body_text())
    })?;
    check_origin(&headers)?;
    let place = edge.streams().place()?;
    let walls = wall::watch(&edge, call, &store_id, None).await?;
    let upgrade = upgrade
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX);
    Ok(upgrade.on_upgrade(move |socket| {
        let tablet = Tablet {
            socket,
            walls,
            edge,
            trace: call.trace,
            heard_at: Instant::now(),
            place,
        };
        tablet.serve()
    }))
}

/// Browsers let any page open a socket to any place, and say from where: pages of others stay outside.
fn check_origin(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(());
    };
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let from = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.split_once("://"));
    match (from, host) {
        (Some((_, from)), Some(host)) if from == host => Ok(()),
        _ => {
            let detail = "a page of another origin may not open this socket";
            Err(Problem::new(
                StatusCode::FORBIDDEN,
                "foreign-origin",
                detail,
            ))
        }
    }
}

// === impl Tablet ===

impl Tablet {
    async fn serve(mut self) {
        let mut pings = tokio::time::interval(PING_INTERVAL);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let flow = tokio::select! {
                () = self.place.shutdown_requested() => Flow::Break(Some(close_code::AWAY)),
                message = self.walls.message() => self.tell(message).await,
                message = self.socket.recv() => self.hear(message).await,
                _ = pings.tick() => self.ping().await,
            };
            if let ControlFlow::Break(code) = flow {
                return self.close(code).await;
            }
        }
    }

    /// A wall that has changed; or the barista's service is going, and another replica can be asked.
    async fn tell(&mut self, message: Result<Option<wire::WatchWallResponse>, Status>) -> Flow {
        match message {
            Ok(Some(message)) => match wall::view(message) {
                Ok(wall) => self.send_json(&wall).await,
                Err(_) => Flow::Break(Some(close_code::ERROR)),
            },
            Ok(None) => Flow::Break(Some(close_code::RESTART)),
            Err(status) => {
                tracing::debug!(%status, "a stream was cut off");
                Flow::Break(Some(close_code::RESTART))
            }
        }
    }

    async fn hear(&mut self, message: Option<Result<Message, axum::Error>>) -> Flow {
        self.heard_at = Instant::now();
        match message {
            Some(Ok(Message::Text(text))) => self.act(&text).await,
            // The library answers pings by itself.
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Flow::Continue(()),
            Some(Ok(Message::Binary(_))) => Flow::Break(Some(close_code::UNSUPPORTED)),
            Some(Ok(Message::Close(_)) | Err(_)) | None => Flow::Break(None),
        }
    }

    async fn act(&mut self, text: &str) -> Flow {
        let asked: Asked = match serde_json::from_str(text) {
            Ok(asked) => asked,
            Err(error) => {
                let detail = format!(
                    "an action is {{\"ticketId\", \"action\": \"start\" or \"done\"}}: {error}"
                );
                let problem = Problem::malformed("invalid-action", detail);
                return self.answer(None, Err(problem)).await;
            }
        };
        let done = work(&self.edge, self.trace, &asked).await;
        self.answer(Some(&asked), done).await
    }

    async fn answer(&mut self, asked: Option<&Asked>, done: Result<(), Problem>) -> Flow {
        let ok = done.is_ok();
        let problem = done.err().map(|problem| problem.document(&self.trace));
        let answered = Answered {
            ticket_id: asked.map(|asked| asked.ticket_id.as_str()),
            action: asked.map(|asked| asked.action),
            ok,
            problem,
        };
        self.send_json(&answered).await
    }

    async fn ping(&mut self) -> Flow {
        if self.heard_at.elapsed() > IDLE_MAX {
            return Flow::Break(Some(close_code::AWAY));
        }
        self.send(Message::Ping(Vec::new().into())).await
    }

    async fn send_json(&mut self, body: &impl Serialize) -> Flow {
        match serde_json::to_string(body) {
            Ok(text) => self.send(Message::Text(text.into())).await,
            Err(_) => Flow::Break(Some(close_code::ERROR)),
        }
    }

    /// A tablet that does not take its messages is left.
    async fn send(&mut self, message: Message) -> Flow {
        match tokio::time::timeout(SEND_TIMEOUT, self.socket.send(message)).await {
            Ok(Ok(())) => Flow::Continue(()),
            Ok(Err(_)) | Err(_) => Flow::Break(None),
        }
    }

    async fn close(mut self, code: Option<CloseCode>) {
        if let Some(code) = code {
            let reason = "".into();
            let frame = CloseFrame { code, reason };
            // Whether it still hears that does not matter: the connection ends here either way.
            let last = self.send(Message::Close(Some(frame))).await;
            tracing::debug!(code, heard = last.is_continue(), "a socket was closed");
        }
    }
}

async fn work(edge: &Edge, trace: TraceParent, asked: &Asked) -> Result<(), Problem> {
    let ticket: TicketId = asked
        .ticket_id
        .parse()
        .map_err(|detail: &'static str| Problem::malformed("invalid-id", detail).at("ticketId"))?;
    let call = edge.call(trace);
    match asked.action {
        Action::Start => tickets::begin(edge, call, ticket).await,
        Action::Done => tickets::finish(edge, call, ticket).await,
    }
    .map(drop)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn pages_of_other_origins_stay_outside() {
        for (origin, host, inside) in [
            (None, "127.0.0.1:8080", true),
            (Some("http://127.0.0.1:8080"), "127.0.0.1:8080", true),
            (Some("https://shop.example"), "shop.example", true),
            (Some("https://evil.example"), "127.0.0.1:8080", false),
            (Some("null"), "127.0.0.1:8080", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(host));
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            assert_eq!(check_origin(&headers).is_ok(), inside, "{origin:?}");
        }
    }
}
