//! What is told about each gRPC call, on either side: rate, errors and duration by method, and its span.
//!
//! A layer around the server and one around every channel do it, so that no service writes a line for it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{LazyLock, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::Instant;

use brewline_kernel::TraceParent;
use brewline_telemetry::metrics::{self, Family, Histogram};
use brewline_telemetry::trace::names::attribute;
use brewline_telemetry::trace::{self, Span, names};
use hyper::body::{Frame, SizeHint};
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, HeaderValue, Request, Response};
use tonic::{Code, Status};
use tower::{Layer, Service};

type Histograms = Family<[(&'static str, &'static str); 2], Histogram, fn() -> Histogram>;
type Boxed<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

static SERVED: LazyLock<Histograms> = LazyLock::new(|| {
    metrics::register(
        "rpc_server_call_duration_seconds",
        "Time to answer a gRPC call, to the end of its stream",
        Family::new_with_constructor(metrics::histogram_seconds),
    )
});

static CALLED: LazyLock<Histograms> = LazyLock::new(|| {
    metrics::register(
        "rpc_client_call_duration_seconds",
        "Time a gRPC call took as its caller saw it, to the end of its stream",
        Family::new_with_constructor(metrics::histogram_seconds),
    )
});

/// Methods by path. Only of those that are served: strangers' paths must not become labels.
static METHODS: LazyLock<RwLock<HashMap<String, &'static str>>> = LazyLock::new(RwLock::default);

/// What methods nobody serves are counted under.
const OTHER: &str = "_OTHER";
const TRACEPARENT: &str = "traceparent";
const STATUS: &str = "grpc-status";

/// Tells about what a server answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServedLayer;

/// A server that tells about what it answers.
#[derive(Clone, Debug)]
pub(crate) struct Served<S>(S);

/// A client's channel that tells about what it asks.
#[derive(Clone, Debug)]
pub struct Channel(tonic::transport::Channel);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Server,
    Client,
}

/// A call that is going on; told about when it is dropped.
#[derive(Debug)]
struct Call {
    side: Side,
    path: String,
    begun: Instant,
    span: Span,
    code: Option<Code>,
}

/// An answer on its way: the call ends with it.
struct Answer {
    body: Body,
    call: Call,
}

// === impl ServedLayer ===

impl<S> Layer<S> for ServedLayer {
    type Service = Served<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Served(inner)
    }
}

// === impl Served ===

impl<S> Service<Request<Body>> for Served<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Boxed<Response<Body>, Infallible>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let parent = parent(request.headers());
        let call = Call::new(Side::Server, request.uri().path(), parent);
        hand_on(&call, request.headers_mut());
        let trace = call.span.context().or(parent);
        let answer = self.0.call(request);
        let answered = async move {
            let response = answer.await?;
            Ok(call.answered(response))
        };
        match trace {
            Some(trace) => Box::pin(trace::within(trace, answered)),
            None => Box::pin(answered),
        }
    }
}

// === impl Channel ===

impl Service<Request<Body>> for Channel {
    type Response = Response<Body>;
    type Error = tonic::transport::Error;
    type Future = Boxed<Response<Body>, tonic::transport::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let parent = parent(request.headers());
        let call = Call::new(Side::Client, request.uri().path(), parent);
        hand_on(&call, request.headers_mut());
        let answer = self.0.call(request);
        Box::pin(async move {
            match answer.await {
                Ok(response) => Ok(call.answered(response)),
                Err(error) => {
                    call.ended(code_of(&error));
                    Err(error)
                }
            }
        })
    }
}

impl From<tonic::transport::Channel> for Channel {
    fn from(channel: tonic::transport::Channel) -> Self {
        Self(channel)
    }
}

// === impl Call ===

impl Call {
    fn new(side: Side, path: &str, parent: Option<TraceParent>) -> Self {
        let name = match side {
            Side::Server => &names::RPC_SERVER,
            Side::Client => &names::RPC_CLIENT,
        };
        Self {
            side,
            path: path.to_owned(),
            begun: Instant::now(),
            span: Span::start(name, parent),
            code: None,
        }
    }

    /// The answer has begun. What follows may be a stream, which is never too slow.
    fn answered(mut self, response: Response<Body>) -> Response<Body> {
        self.span.be_patient_if_quick();
        // An error that is known at once stands in the header; else the status follows the body.
        self.code = status(response.headers());
        if self.code.is_some() {
            return response;
        }
        response.map(|body| Body::new(Answer { body, call: self }))
    }

    fn ended(mut self, code: Code) {
        self.code = Some(code);
    }

    fn method(&self) -> &'static str {
        let known = METHODS.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(method) = known.get(&self.path) {
            return method;
        }
        drop(known);
        if self.code == Some(Code::Unimplemented) && self.side == Side::Server {
            return OTHER;
        }
        let mut known = METHODS.write().unwrap_or_else(PoisonError::into_inner);
        // As many as our own services have; they live as long as the process.
        let leak = || -> &'static str { Box::leak(self.path.trim_start_matches('/').into()) };
        known.entry(self.path.clone()).or_insert_with(leak)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let (method, code) = (self.method(), self.code.unwrap_or(Code::Cancelled));
        let labels = [
            ("rpc_method", method),
            ("rpc_response_status_code", code_name(code)),
        ];
        let histograms = match self.side {
            Side::Server => &SERVED,
            Side::Client => &CALLED,
        };
        let took = self.begun.elapsed();
        histograms
            .get_or_create(&labels)
            .observe(took.as_secs_f64());
        if is_fault(code) {
            self.span.fail(code_name(code));
        }
        self.span.named(|| method.to_owned());
        self.span.set(attribute::RPC_SYSTEM_NAME, || "grpc");
        self.span.set(attribute::RPC_METHOD, || method);
        self.span
            .set(attribute::RPC_RESPONSE_STATUS_CODE, || code_name(code));
        if self.side == Side::Server && is_bug(code) {
            tracing::error!(method, code = code_name(code), "a call failed");
        }
    }
}

// === impl Answer ===

impl hyper::body::Body for Answer {
    type Data = <Body as hyper::body::Body>::Data;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(trailers) = frame.trailers_ref() {
                    self.call.code = status(trailers);
                }
            }
            Poll::Ready(Some(Err(status))) => self.call.code = Some(status.code()),
            Poll::Ready(None) | Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn parent(headers: &HeaderMap) -> Option<TraceParent> {
    headers.get(TRACEPARENT)?.to_str().ok()?.parse().ok()
}

/// Has what the call leads to name its span as the parent.
fn hand_on(call: &Call, headers: &mut HeaderMap) {
    if let Some(own) = call.span.context().filter(|own| own.sampled)
        && let Ok(value) = HeaderValue::try_from(own.to_string())
    {
        headers.insert(TRACEPARENT, value);
    }
}

/// What a channel's error means: no answer came in time, or none could.
fn code_of(error: &tonic::transport::Error) -> Code {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error.is::<tonic::TimeoutExpired>() {
            return Code::DeadlineExceeded;
        }
        cause = error.source();
    }
    Code::Unavailable
}

fn status(headers: &HeaderMap) -> Option<Code> {
    headers
        .get(STATUS)
        .map(|code| Code::from_bytes(code.as_bytes()))
}

/// The platform failed, not the caller.
const fn is_fault(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

/// Neither the caller nor an outage: somebody should look at the code.
const fn is_bug(code: Code) -> bool {
    matches!(code, Code::Unknown | Code::Internal | Code::DataLoss)
}

const fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
