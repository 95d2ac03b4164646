//! The barista's tablet.

use std::time::Duration;

use brewline_proto::fulfilment::v1::{StartTicketRequest, StartTicketResponse};
use brewline_server::status::rejection;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use tonic::Code;

use crate::behind::until;
use crate::edge::{Edge, PATIENCE, problem};
use crate::samples::{self, TICKET_ID};
use crate::wall::told;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

const PATH: &str = "/v1/stores/store-lisbon/wall/socket";

async fn connect(it: &Edge) -> Result<Socket, Error> {
    connect_async(format!("ws://{}{PATH}", it.address))
        .await
        .map(|(socket, _)| socket)
}

/// The next message that is no ping.
async fn message(socket: &mut Socket) -> Option<Message> {
    loop {
        let next = tokio::time::timeout(PATIENCE, socket.next());
        let message = next.await.expect("a message in time")?.ok()?;
        if !matches!(message, Message::Ping(_) | Message::Pong(_)) {
            return Some(message);
        }
    }
}

async fn body(socket: &mut Socket) -> Value {
    let message = message(socket).await.expect("the socket is open");
    serde_json::from_str(message.to_text().unwrap()).unwrap()
}

async fn say(socket: &mut Socket, body: &Value) {
    socket.send(Message::text(body.to_string())).await.unwrap();
}

/// The code with which the edge closes.
async fn close_code(socket: &mut Socket) -> u16 {
    match message(socket).await {
        Some(Message::Close(Some(frame))) => frame.code.into(),
        other => panic!("{other:?} instead of a close"),
    }
}

#[tokio::test]
async fn walls_come_down_and_actions_go_up() {
    let it = Edge::start().await;
    it.stub.stream_on("watch_wall", vec![told(), told()]);
    let ticket = Some(samples::ticket());
    it.stub
        .say("start_ticket", StartTicketResponse { ticket, version: 2 });
    let early = rejection(
        Code::FailedPrecondition,
        "ticket-not-started",
        "nobody has begun",
    );
    it.stub.refuse("finish_ticket", early);
    let mut socket = connect(&it).await.unwrap();
    for _ in 0..2 {
        assert_eq!(body(&mut socket).await["position"], 7);
    }
    say(
        &mut socket,
        &json!({ "ticketId": TICKET_ID, "action": "start" }),
    )
    .await;
    let wanted = json!({ "ticketId": TICKET_ID, "action": "start", "ok": true });
    assert_eq!(body(&mut socket).await, wanted);
    let (_, sent): (_, StartTicketRequest) = it.stub.last("start_ticket");
    assert_eq!(sent.ticket_id, TICKET_ID);
    say(
        &mut socket,
        &json!({ "ticketId": TICKET_ID, "action": "done" }),
    )
    .await;
    let refused = body(&mut socket).await;
    assert_eq!(refused["ticketId"], TICKET_ID);
    assert_eq!(refused["problem"]["code"], "ticket-not-started");
    assert!(refused.get("ok").is_none());
}

#[tokio::test]
async fn nonsense_is_answered_and_the_tablet_stays() {
    let it = Edge::start().await;
    it.stub.stream_on("watch_wall", vec![told()]);
    let mut socket = connect(&it).await.unwrap();
    body(&mut socket).await;
    for (nonsense, code) in [
        (json!("start"), "invalid-action"),
        (
            json!({ "ticketId": TICKET_ID, "action": "drink" }),
            "invalid-action",
        ),
        (
            json!({ "ticketId": TICKET_ID, "action": "done", "more": 1 }),
            "invalid-action",
        ),
        (json!({ "ticketId": "7", "action": "start" }), "invalid-id"),
    ] {
        say(&mut socket, &nonsense).await;
        assert_eq!(body(&mut socket).await["problem"]["code"], code);
    }
}

#[tokio::test]
async fn a_message_that_is_too_long_ends_the_socket() {
    let it = Edge::start().await;
    it.stub.stream_on("watch_wall", vec![told()]);
    let mut socket = connect(&it).await.unwrap();
    body(&mut socket).await;
    say(
        &mut socket,
        &json!({ "ticketId": "x".repeat(2_000), "action": "start" }),
    )
    .await;
    let end = message(&mut socket).await;
    assert!(matches!(end, None | Some(Message::Close(_))), "{end:?}");
}

#[tokio::test]
async fn the_socket_ends_with_the_edge_and_with_the_barista() {
    let it = Edge::start().await;
    it.stub.stream_on("watch_wall", vec![told()]);
    let mut socket = connect(&it).await.unwrap();
    body(&mut socket).await;
    it.stop();
    assert_eq!(close_code(&mut socket).await, 1001);
    let it = Edge::start().await;
    it.stub.stream("watch_wall", vec![told()]);
    let mut socket = connect(&it).await.unwrap();
    body(&mut socket).await;
    assert_eq!(close_code(&mut socket).await, 1012);
}

#[tokio::test]
async fn sockets_are_bounded_and_give_their_place_back() {
    let it = Edge::with(|config| config.streams_max = 1).await;
    it.stub.stream_on("watch_wall", vec![told()]);
    let mut first = connect(&it).await.unwrap();
    body(&mut first).await;
    let Err(Error::Http(refused)) = connect(&it).await else {
        panic!("a second socket found a place");
    };
    assert_eq!(refused.status().as_u16(), 503);
    drop(first);
    until("the place is free again", async || {
        connect(&it).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn a_foreign_page_and_a_plain_request_are_refused() {
    let it = Edge::with(|config| config.request_timeout = Duration::from_secs(1)).await;
    let mut request = format!("ws://{}{PATH}", it.address)
        .into_client_request()
        .unwrap();
    request
        .headers_mut()
        .insert("origin", "https://evil.example".parse().unwrap());
    let Err(Error::Http(refused)) = connect_async(request).await else {
        panic!("a foreign page was let in");
    };
    assert_eq!(refused.status().as_u16(), 403);
    problem(it.get(PATH).await, 426, "upgrade-required").await;
    assert_eq!(it.stub.count("watch_wall"), 0);
}
