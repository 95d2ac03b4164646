//! An edge to talk to.

use std::net::SocketAddr;
use std::time::Duration;

use brewline_gateway::Config;
use brewline_server::Context;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;

use crate::stub::Stub;

/// The longest a test waits for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A running edge with its client and the services behind it.
pub(crate) struct Edge {
    pub(crate) address: SocketAddr,
    pub(crate) client: Client,
    pub(crate) stub: Stub,
    context: Context,
    services: Context,
}

/// A port that was free a moment ago.
pub(crate) fn free_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// Settings that suit a test: nothing is slow on loopback.
pub(crate) fn config(services: SocketAddr) -> Config {
    Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        order_url: format!("http://{services}"),
        inventory_url: format!("http://{services}"),
        barista_url: format!("http://{services}"),
        notification_url: format!("http://{services}"),
        leaderboard_url: format!("http://{services}"),
        connections_max: 100,
        requests_max: 100,
        waiting_requests_max: 100,
        streams_max: 100,
        request_timeout: Duration::from_secs(5),
        header_read_timeout: Duration::from_secs(5),
        body_read_timeout: Duration::from_secs(3),
    }
}

impl Edge {
    pub(crate) async fn start() -> Self {
        Self::with(|_| ()).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let (stub, address) = (Stub::default(), free_address());
        let services = Context::new("stub", "stub-test");
        brewline_server::grpc::serve(&services, address, stub.routes())
            .await
            .unwrap();
        let mut config = config(address);
        change(&mut config);
        let context = Context::new("gateway", "gateway-test");
        let address = brewline_gateway::start(config, context.clone())
            .await
            .unwrap();
        Self {
            address,
            client: Client::builder().timeout(PATIENCE).build().unwrap(),
            stub,
            context,
            services,
        }
    }

    /// Takes the services down, as a crash would.
    pub(crate) async fn stop_services(&self) {
        self.services.shutdown().cancel();
        self.services.drain(PATIENCE).await;
    }

    /// Tells the edge to end.
    pub(crate) fn stop(&self) {
        self.context.shutdown().cancel();
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("http://{}{path}", self.address);
        self.client.request(method, url)
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    /// A write with a key of its own.
    pub(crate) fn write(&self, method: Method, path: &str, body: &Value) -> RequestBuilder {
        self.request(method, path)
            .header("idempotency-key", "key-1")
            .header("content-type", "application/json")
            .body(body.to_string())
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Response {
        self.write(Method::POST, path, body).send().await.unwrap()
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Response {
        self.write(Method::PUT, path, body).send().await.unwrap()
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.context.shutdown().cancel();
        self.services.shutdown().cancel();
    }
}

pub(crate) async fn json(response: Response) -> Value {
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

pub(crate) fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    let value = response.headers().get(name);
    value.map_or("", |value| value.to_str().unwrap())
}

/// The problem of a refused request, after looking at what every problem must be.
pub(crate) async fn problem(response: Response, status: u16, code: &str) -> Value {
    assert_eq!(response.status().as_u16(), status, "expected {code}");
    assert_eq!(
        header(&response, "content-type"),
        "application/problem+json"
    );
    let problem = json(response).await;
    assert_eq!(problem["code"], code, "{problem}");
    assert_eq!(problem["type"], format!("urn:brewline:problem:{code}"));
    assert_eq!(problem["status"], status);
    assert!(!problem["title"].as_str().unwrap().is_empty());
    assert!(!problem["detail"].as_str().unwrap().is_empty(), "{problem}");
    assert!(problem["errors"].is_array());
    let trace = problem["traceId"].as_str().unwrap();
    assert!(trace.len() == 32 && trace != "0".repeat(32));
    problem
}
