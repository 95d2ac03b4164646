//! What every request goes through, whatever its route: a limit, a trace, a deadline, a metric, and a
//! problem document when it fails.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use brewline_kernel::TraceParent;
use brewline_telemetry::trace::names::attribute;
use brewline_telemetry::trace::{self, Span, names};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;

use super::call::Call;
use super::prefer;
use super::problem::{self, Problem};
use super::query;
use super::routes;
use super::sse::Streams;
use crate::outbound::Upstreams;
use crate::{Config, signals};

/// What handlers share. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Edge(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    upstreams: Upstreams,
    requests: Semaphore,
    /// A bulkhead: reads that wait must not take the places of orders.
    waiting: Semaphore,
    streams: Streams,
    request_timeout: Duration,
    body_read_timeout: Duration,
}

// === impl Edge ===

impl Edge {
    pub(crate) fn new(upstreams: Upstreams, config: &Config, shutdown: CancellationToken) -> Self {
        Self(Arc::new(Inner {
            upstreams,
            requests: Semaphore::new(config.requests_max),
            waiting: Semaphore::new(config.waiting_requests_max),
            streams: Streams::new(config.streams_max, shutdown),
            request_timeout: config.request_timeout,
            body_read_timeout: config.body_read_timeout,
        }))
    }

    pub(super) fn upstreams(&self) -> &Upstreams {
        &self.0.upstreams
    }

    /// One more call of a conversation that goes on for longer than any call may.
    pub(super) fn call(&self, trace: TraceParent) -> Call {
        Call::new(trace, Instant::now() + self.0.request_timeout)
    }

    pub(super) fn streams(&self) -> &Streams {
        &self.0.streams
    }

    pub(super) fn body_read_timeout(&self) -> Duration {
        self.0.body_read_timeout
    }

    /// A place for the request; `None`: there is none, and queueing would only make it late.
    fn admit(&self, method: &Method, headers: &HeaderMap) -> Option<SemaphorePermit<'_>> {
        let waits = *method == Method::GET && headers.contains_key(prefer::PREFER);
        let places = if waits {
            &self.0.waiting
        } else {
            &self.0.requests
        };
        places.try_acquire().ok()
    }
}

/// The layer around every route.
pub(super) async fn pass(State(edge): State<Edge>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let in_flight = signals::InFlight::enter();
    let caller = caller(request.headers());
    let trace = trace::enter(caller);
    let mut span = Span::at(&names::HTTP_SERVER, trace, caller);
    if request.headers().contains_key(prefer::PREFER) {
        // Somebody asked it to wait.
        span.be_patient();
    }
    let method = routes::method_name(request.method());
    let route = routes::name(request.extensions().get::<MatchedPath>());
    let response = match edge.admit(request.method(), request.headers()) {
        None => {
            signals::shed();
            Problem::overloaded().into_response()
        }
        Some(_place) => {
            let call = Call::new(trace, began + edge.0.request_timeout);
            request.extensions_mut().insert(call);
            match query::unknown(&request) {
                Some(problem) => problem.into_response(),
                None => trace::within(trace, next.run(request)).await,
            }
        }
    };
    let response = problem::render(response, &trace);
    let status = response.status();
    signals::answered(route, method, status, began.elapsed());
    describe(&mut span, method, route, status);
    drop(in_flight);
    response
}

/// A panic in a handler, as a problem instead of a broken connection.
pub(super) fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    Problem::internal().into_response()
}

/// The caller's position in its own trace, if it has one.
fn caller(headers: &HeaderMap) -> Option<TraceParent> {
    headers.get("traceparent")?.to_str().ok()?.parse().ok()
}

fn describe(span: &mut Span, method: &'static str, route: &'static str, status: StatusCode) {
    if status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE {
        span.fail("server-error");
    }
    span.named(|| format!("{method} {route}"));
    span.set(attribute::HTTP_REQUEST_METHOD, || method);
    span.set(attribute::HTTP_ROUTE, || route);
    span.set(attribute::HTTP_RESPONSE_STATUS_CODE, || {
        i64::from(status.as_u16())
    });
}
