use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// One HTTP/1.1 connection to the gateway, made again when it breaks. A load generator shares the
/// machine with what it measures, so it does as little as it can.
#[derive(Debug)]
pub struct Client {
    authority: String,
    timeout: Duration,
    connection: Option<SendRequest<Full<Bytes>>>,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its body.
    pub body: Bytes,
}

/// Why there is no answer: whether the request took effect is not known.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It took too long.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The connection could not be made or broke.
    #[error("connection: {0}")]
    Io(#[from] std::io::Error),
    /// The exchange broke off.
    #[error("exchange: {0}")]
    Http(#[from] hyper::Error),
    /// The request cannot be written.
    #[error("request: {0}")]
    Request(#[from] hyper::http::Error),
}

// === impl Client ===

impl Client {
    /// A client of the gateway at `url` (`http://host:port`) that waits at most `timeout`.
    #[must_use]
    pub fn new(url: &str, timeout: Duration) -> Self {
        let authority = url
            .trim_start_matches("http://")
            .trim_end_matches('/')
            .to_owned();
        Self {
            authority,
            timeout,
            connection: None,
        }
    }

    /// Sends one request.
    ///
    /// # Errors
    /// When no answer comes; the connection is then given up.
    pub async fn send(
        &mut self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: String,
    ) -> Result<Answer, Error> {
        let timeout = self.timeout;
        let exchange = self.exchange(method, path, key, body);
        let answer = match tokio::time::timeout(timeout, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::Timeout(timeout)),
        };
        // After a fault the connection may still carry the old answer: it is never used again.
        answer.inspect_err(|_| self.connection = None)
    }

    async fn exchange(
        &mut self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: String,
    ) -> Result<Answer, Error> {
        let mut connection = match self.connection.take() {
            Some(connection) if !connection.is_closed() => connection,
            _ => connect(&self.authority).await?,
        };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", &self.authority);
        if !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        connection.ready().await?;
        let response = connection
            .send_request(request.body(Full::from(body))?)
            .await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        self.connection = Some(connection);
        Ok(Answer { status, body })
    }
}

async fn connect(authority: &str) -> Result<SendRequest<Full<Bytes>>, Error> {
    let stream = TcpStream::connect(authority).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    // It ends with its sender, which this client owns.
    #[allow(
        clippy::disallowed_methods,
        reason = "a client has no task tracker; the task is bounded"
    )]
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection of the workload broke");
        }
    });
    Ok(sender)
}
