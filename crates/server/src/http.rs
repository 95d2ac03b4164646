//! Serving HTTP/1.1 to a world that cannot be trusted to be quick: how many connections there may
//! be, and how long a peer may take over a request's head, are limited.
//!
//! `axum::serve` has neither limit, which is why this module exists.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::{Context, Health};

/// How long to wait after the system could not accept a connection: it lacks descriptors or memory,
/// and trying again at once would only burn what is left.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// What a peer may take up.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many connections may be open; more wait in the system's queue.
    pub connections_max: usize,
    /// How long the head of a request may take, counted from the moment it could have begun: so this
    /// also ends connections that stay idle.
    pub header_read_timeout: Duration,
}

/// Serves `router` until shutdown; requests in flight are answered first. Returns the address, once
/// connections are accepted.
///
/// # Errors
/// When the address cannot be bound.
pub async fn serve(
    context: &Context,
    listen: SocketAddr,
    router: Router,
    limits: Limits,
) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("listen on {listen}"))?;
    let address = listener.local_addr().context("ask for the address")?;
    tracing::info!(listen = %address, "HTTP port is open");
    let (health, shutdown) = (context.health().clone(), context.shutdown());
    context.spawn("http", async move {
        accept(listener, Routes { router, health }, limits, shutdown).await;
        Ok(())
    });
    Ok(address)
}

/// What requests are answered by.
#[derive(Clone)]
struct Routes {
    router: Router,
    health: Health,
}

async fn accept(
    listener: TcpListener,
    routes: Routes,
    limits: Limits,
    shutdown: CancellationToken,
) {
    let slots = Arc::new(Semaphore::new(limits.connections_max));
    let open = TaskTracker::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.header_read_timeout);
    while let Some((stream, slot)) = next(&listener, &slots, &shutdown).await {
        let (http, routes, shutdown) = (http.clone(), routes.clone(), shutdown.clone());
        open.spawn(async move {
            converse(http, stream, routes, shutdown).await;
            drop(slot);
        });
    }
    // Nobody new is let in while those inside are answered.
    drop(listener);
    open.close();
    open.wait().await;
}

/// The next connection with the slot it takes; `None` at shutdown.
async fn next(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
    shutdown: &CancellationToken,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let accepted = async {
        let slot = Arc::clone(slots).acquire_owned().await.ok()?;
        loop {
            match listener.accept().await {
                Ok((stream, _)) => return Some((stream, slot)),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            }
        }
    };
    tokio::select! {
        biased;
        () = shutdown.cancelled() => None,
        accepted = accepted => accepted,
    }
}

async fn converse(
    http: http1::Builder,
    stream: TcpStream,
    routes: Routes,
    shutdown: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "the connection is gone already");
    }
    let answer = service_fn(move |request: Request<Incoming>| {
        let routes = routes.clone();
        async move { Ok::<Response, Infallible>(routes.answer(request).await) }
    });
    // With upgrades, so that a connection may become a WebSocket.
    let connection = http.serve_connection(TokioIo::new(stream), answer);
    let mut connection = pin!(connection.with_upgrades());
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            // The request in flight is answered; then the connection is closed instead of kept.
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

// === impl Routes ===

impl Routes {
    /// While the process drains, each answer asks its caller to come back on another connection: one
    /// that were closed later, between two requests, could cost the second its answer.
    async fn answer(self, request: Request<Incoming>) -> Response {
        let mut response = match self.router.oneshot(request.map(Body::new)).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        // A connection that has become something else is closed in that protocol's own way.
        if self.health.is_draining() && response.status() != StatusCode::SWITCHING_PROTOCOLS {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        response
    }
}
