use std::time::{Duration, Instant};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use brewline_kernel::TraceParent;
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status, Streaming};

use super::problem::Problem;
use super::status;

/// How much earlier a service is to give up than we do, so that its own answer arrives.
const HEAD_START: Duration = Duration::from_millis(50);

/// One request on its way through: the trace it belongs to, and when it must be answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) trace: TraceParent,
    deadline: Instant,
    /// The service that is called, where it is not one that everything needs.
    part: Option<&'static str>,
}

// === impl Call ===

impl Call {
    pub(super) const fn new(trace: TraceParent, deadline: Instant) -> Self {
        Self {
            trace,
            deadline,
            part: None,
        }
    }

    /// The same call with more time: what the caller asked to wait for comes on top.
    pub(super) fn waiting(self, wait: Duration) -> Self {
        Self {
            deadline: self.deadline + wait,
            ..self
        }
    }

    /// The same call, made to `part`: a problem says that it is this part that is missing.
    pub(super) fn to(self, part: &'static str) -> Self {
        Self {
            part: Some(part),
            ..self
        }
    }

    /// A read: when it fails the caller may simply come again.
    pub(super) async fn read<Q, A>(
        self,
        message: Q,
        ask: impl AsyncFnOnce(Request<Q>) -> Result<Response<A>, Status>,
    ) -> Result<A, Problem> {
        self.ask(message, ask).await
    }

    /// A write. It is sent once: whether a failed one took effect only its idempotency key can tell.
    pub(super) async fn write<Q, A>(
        self,
        message: Q,
        ask: impl AsyncFnOnce(Request<Q>) -> Result<Response<A>, Status>,
    ) -> Result<A, Problem> {
        let answer = self.ask(message, ask).await?;
        brewline_failpoint::hit("gateway.answered-before-reply");
        Ok(answer)
    }

    /// A stream. What is limited is the time until it is open.
    pub(super) async fn stream<Q, A>(
        self,
        message: Q,
        ask: impl AsyncFnOnce(Request<Q>) -> Result<Response<Streaming<A>>, Status>,
    ) -> Result<Streaming<A>, Problem> {
        self.within(ask(self.traced(message))).await
    }

    async fn ask<Q, A>(
        self,
        message: Q,
        ask: impl AsyncFnOnce(Request<Q>) -> Result<Response<A>, Status>,
    ) -> Result<A, Problem> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let mut request = self.traced(message);
        request.set_timeout(left.saturating_sub(HEAD_START));
        self.within(ask(request)).await
    }

    fn traced<Q>(self, message: Q) -> Request<Q> {
        let mut request = Request::new(message);
        if let Ok(trace) = MetadataValue::try_from(self.trace.to_string()) {
            request.metadata_mut().insert("traceparent", trace);
        }
        request
    }

    async fn within<A>(
        self,
        asked: impl Future<Output = Result<Response<A>, Status>>,
    ) -> Result<A, Problem> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        // The channel's own timeout does not count the wait for a replica to appear.
        let status = match tokio::time::timeout(left, asked).await {
            Ok(Ok(response)) => return Ok(response.into_inner()),
            Ok(Err(status)) => status,
            Err(_) => Status::deadline_exceeded("no answer in time"),
        };
        let problem = status::problem(&status);
        Err(match self.part {
            Some(part) => problem.missing(part),
            None => problem,
        })
    }
}

impl<S: Sync> FromRequestParts<S> for Call {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        // The layer around every route has put it there.
        parts
            .extensions
            .get()
            .copied()
            .ok_or_else(Problem::internal)
    }
}
