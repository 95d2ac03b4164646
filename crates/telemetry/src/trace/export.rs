//! Sends spans to a collector: OTLP over HTTP, in batches, over one connection that is kept. It never
//! holds anything up: a full queue drops spans, a collector that is away costs the batch in hand.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use prost::Message as _;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::names::attribute;
use crate::metrics::{self, Counter, Family};
use crate::otlp::{
    ExportTraceServiceRequest, KeyValue, Resource, ResourceSpans, Scope, ScopeSpans, Span,
};

/// Spans in one request: some 200 KiB, far below what collectors take.
const BATCH_SPANS_MAX: usize = 512;
/// How long a span waits for others.
const GATHER: Duration = Duration::from_secs(1);
/// How long a request may take, with its connection.
const SEND: Duration = Duration::from_secs(3);
/// How long the last spans may take when the process ends.
const LAST: Duration = Duration::from_secs(1);
/// How often a collector that does not take spans is complained about.
const COMPLAIN_EVERY: u32 = 60;

static EXPORTED: LazyLock<Counter> = LazyLock::new(|| {
    metrics::register(
        "brewline_trace_spans_exported",
        "Spans taken by the collector",
        Counter::default(),
    )
});

static DROPPED: LazyLock<Family<[(&'static str, &'static str); 1], Counter>> =
    LazyLock::new(|| {
        metrics::register(
            "brewline_trace_spans_dropped",
            "Spans given up since the queue was full or the collector did not take them",
            Family::default(),
        )
    });

/// Where a collector listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    authority: String,
    path: String,
}

/// Why a text names no collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a URL such as `http://host:4318`; TLS is the collector's own to add")]
pub struct InvalidEndpoint;

/// Where ended spans wait.
#[derive(Debug)]
pub(super) struct Queue(mpsc::Sender<Span>);

/// Sends spans: has to be run.
pub struct Exporter {
    endpoint: Endpoint,
    resource: Resource,
    ended: mpsc::Receiver<Span>,
    connection: Option<SendRequest<Full<Bytes>>>,
    failures: u32,
}

/// Why a batch was not taken.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("connect: {0}")]
    Connect(#[from] std::io::Error),
    #[error("send: {0}")]
    Send(#[from] hyper::Error),
    #[error("request: {0}")]
    Request(#[from] hyper::http::Error),
    #[error("it answered {0}")]
    Status(StatusCode),
    #[error("no answer in time")]
    Timeout,
}

pub(super) fn new(
    endpoint: Endpoint,
    queue_spans_max: usize,
    service: &str,
    instance: &str,
) -> (Queue, Exporter) {
    let (queue, ended) = mpsc::channel(queue_spans_max.max(1));
    let resource = Resource {
        attributes: vec![
            KeyValue::text(attribute::SERVICE_NAME, service),
            KeyValue::text(attribute::SERVICE_INSTANCE_ID, instance),
            KeyValue::text(attribute::SERVICE_VERSION, env!("CARGO_PKG_VERSION")),
        ],
    };
    LazyLock::force(&EXPORTED);
    let exporter = Exporter {
        endpoint,
        resource,
        ended,
        connection: None,
        failures: 0,
    };
    (Queue(queue), exporter)
}

fn dropped(reason: &'static str, spans: usize) {
    let spans = u64::try_from(spans).unwrap_or(u64::MAX);
    DROPPED.get_or_create(&[("reason", reason)]).inc_by(spans);
}

// === impl Queue ===

impl Queue {
    pub(super) fn push(&self, span: Span) {
        if self.0.try_send(span).is_err() {
            dropped("queue-full", 1);
        }
    }
}

// === impl Exporter ===

impl Exporter {
    /// Sends what ends, for ever.
    pub async fn run(&mut self) -> Infallible {
        loop {
            let mut batch = Vec::new();
            if self.ended.recv_many(&mut batch, BATCH_SPANS_MAX).await == 0 {
                // Every sender is gone, which cannot be: the tracer is static.
                std::future::pending::<()>().await;
            }
            self.gather(&mut batch).await;
            self.send(batch).await;
        }
    }

    /// Sends what is left, within a bounded time.
    pub async fn finish(mut self) {
        let rest = async {
            let mut batch = Vec::new();
            while let Ok(span) = self.ended.try_recv() {
                batch.push(span);
                if batch.len() >= BATCH_SPANS_MAX {
                    self.send(std::mem::take(&mut batch)).await;
                }
            }
            if !batch.is_empty() {
                self.send(batch).await;
            }
        };
        if timeout(LAST, rest).await.is_err() {
            tracing::warn!("the last spans were not sent in time");
        }
    }

    /// Waits a moment for more, so that a quiet service does not send span by span.
    async fn gather(&mut self, batch: &mut Vec<Span>) {
        let more = async {
            while batch.len() < BATCH_SPANS_MAX {
                match self.ended.recv().await {
                    Some(span) => batch.push(span),
                    None => return,
                }
            }
        };
        // Ending early is what the limit is for.
        drop(timeout(GATHER, more).await);
    }

    async fn send(&mut self, batch: Vec<Span>) {
        let spans = batch.len();
        let body = self.encode(batch);
        let sent = timeout(SEND, self.post(body)).await;
        match sent.unwrap_or(Err(Failed::Timeout)) {
            Ok(()) => {
                self.failures = 0;
                EXPORTED.inc_by(u64::try_from(spans).unwrap_or(u64::MAX));
            }
            Err(error) => {
                self.connection = None;
                dropped("not-taken", spans);
                if self.failures.is_multiple_of(COMPLAIN_EVERY) {
                    tracing::warn!(%error, spans, "the collector does not take spans; they are dropped");
                }
                self.failures = self.failures.saturating_add(1);
            }
        }
    }

    fn encode(&self, spans: Vec<Span>) -> Bytes {
        let scope = Scope {
            name: "brewline".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let request = ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(self.resource.clone()),
                scope_spans: vec![ScopeSpans {
                    scope: Some(scope),
                    spans,
                }],
            }],
        };
        Bytes::from(request.encode_to_vec())
    }

    async fn post(&mut self, body: Bytes) -> Result<(), Failed> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(&self.endpoint.path)
            .header(header::HOST, &self.endpoint.authority)
            .header(header::CONTENT_TYPE, "application/x-protobuf")
            .body(Full::new(body))?;
        let mut connection = self.connection().await?;
        let answer = connection.send_request(request).await?;
        let status = answer.status();
        // Read to its end, so that the connection can be used again.
        answer.into_body().collect().await?;
        self.connection = Some(connection);
        if status.is_success() {
            Ok(())
        } else {
            Err(Failed::Status(status))
        }
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "the connection ends with the process; shutdown need not wait for it"
    )]
    async fn connection(&mut self) -> Result<SendRequest<Full<Bytes>>, Failed> {
        if let Some(mut kept) = self.connection.take()
            && kept.ready().await.is_ok()
        {
            return Ok(kept);
        }
        let stream = TcpStream::connect(&self.endpoint.authority).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the connection to the collector ended");
            }
        });
        Ok(sender)
    }
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exporter")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

// === impl Endpoint ===

impl FromStr for Endpoint {
    type Err = InvalidEndpoint;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text.strip_prefix("http://").ok_or(InvalidEndpoint)?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let port = authority
            .rsplit_once(':')
            .and_then(|(host, port)| port.parse::<u16>().ok().filter(|_| !host.is_empty()));
        if port.is_none() {
            return Err(InvalidEndpoint);
        }
        let path = path.trim_end_matches('/');
        let path = match path {
            "" => "/v1/traces".to_owned(),
            base => format!("/{base}/v1/traces"),
        };
        Ok(Self {
            authority: authority.to_owned(),
            path,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_base_urls() {
        let endpoint: Endpoint = "http://127.0.0.1:4318/".parse().unwrap();
        assert_eq!(endpoint.path, "/v1/traces");
        let endpoint: Endpoint = "http://otel:4318/team".parse().unwrap();
        assert_eq!(
            (endpoint.authority.as_str(), endpoint.path.as_str()),
            ("otel:4318", "/team/v1/traces")
        );
        for wrong in [
            "",
            "127.0.0.1:4318",
            "https://x:4318",
            "http://x",
            "http://:1",
        ] {
            assert!(wrong.parse::<Endpoint>().is_err(), "{wrong} was taken");
        }
    }
}
