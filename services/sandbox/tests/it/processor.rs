//! A card processor to talk to.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use brewline_sandbox::Config;
use brewline_server::Context;
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};

/// The longest a test waits for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A folder of its own, removed at the end.
pub(crate) struct Folder(PathBuf);

/// A running processor with its client.
pub(crate) struct Processor {
    pub(crate) url: String,
    pub(crate) control: String,
    pub(crate) client: Client,
    pub(crate) smtp: SocketAddr,
    pub(crate) context: Context,
    _folder: Folder,
}

impl Folder {
    pub(crate) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("brewline-sandbox-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.0.join("processor.journal")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// A client that gives up after [`PATIENCE`] and opens a new connection for each request.
pub(crate) fn client() -> Client {
    Client::builder()
        .timeout(PATIENCE)
        .pool_max_idle_per_host(0)
        .build()
        .unwrap()
}

impl Processor {
    /// With a control address of its own.
    pub(crate) async fn start() -> Self {
        let (listen, control) = (free_address(), free_address());
        Self::listen(listen, Some(control)).await
    }

    /// With one address for everything.
    pub(crate) async fn start_on_one_address() -> Self {
        Self::listen(free_address(), None).await
    }

    async fn listen(listen: SocketAddr, control: Option<SocketAddr>) -> Self {
        let (folder, smtp) = (Folder::new(), free_address());
        let config = Config {
            listen,
            control_listen: control,
            smtp_listen: Some(smtp),
            data_dir: folder.path().to_owned(),
            key_lifetime: Duration::from_secs(3_600),
        };
        let context = Context::new("sandbox", "sandbox-test");
        brewline_sandbox::run(config, context.clone())
            .await
            .unwrap();
        Self {
            url: format!("http://{listen}"),
            control: format!("http://{}", control.unwrap_or(listen)),
            client: client(),
            smtp,
            context,
            _folder: folder,
        }
    }

    pub(crate) async fn post(
        &self,
        path: &str,
        key: &str,
        body: &Value,
    ) -> reqwest::Result<Response> {
        self.client
            .post(format!("{}{path}", self.url))
            .header("idempotency-key", key)
            .body(body.to_string())
            .send()
            .await
    }

    pub(crate) async fn authorise(&self, key: &str, reference: &str) -> reqwest::Result<Response> {
        self.post("/v1/authorisations", key, &authorise(reference, "tok_ok"))
            .await
    }

    /// An authorisation that went well; its id.
    pub(crate) async fn authorised(&self, key: &str, reference: &str) -> String {
        let response = self.authorise(key, reference).await.unwrap();
        assert_eq!(response.status(), StatusCode::CREATED);
        let body = json(response).await;
        assert_eq!(body["status"], "authorised");
        body["id"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn follow(
        &self,
        id: &str,
        what: &str,
        key: &str,
    ) -> reqwest::Result<Response> {
        let path = format!("/v1/authorisations/{id}/{what}");
        self.post(&path, key, &json!({})).await
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        let url = format!("{}{path}", self.control);
        self.client.get(url).send().await.unwrap()
    }

    /// The kinds and statuses of the ledger's lines under a reference.
    pub(crate) async fn ledger(&self, reference: &str) -> Vec<(String, String)> {
        let text = self.get(&format!("/ledger?reference={reference}")).await;
        let text = text.text().await.unwrap();
        let field = |line: &Value, name: &str| line[name].as_str().unwrap().to_owned();
        text.lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .map(|line| (field(&line, "kind"), field(&line, "status")))
            .collect()
    }

    pub(crate) async fn tell(&self, kind: &str, body: Value) -> StatusCode {
        let url = format!("{}/behaviour/{kind}", self.control);
        let request = self.client.put(url).body(body.to_string());
        request.send().await.unwrap().status()
    }

    pub(crate) async fn behave(&self) {
        let url = format!("{}/behaviour", self.control);
        let request = self.client.request(Method::DELETE, url);
        assert!(request.send().await.unwrap().status().is_success());
    }
}

impl Drop for Processor {
    fn drop(&mut self) {
        self.context.shutdown().cancel();
    }
}

pub(crate) fn authorise(reference: &str, token: &str) -> Value {
    json!({ "reference": reference, "amountMinor": 350, "currency": "EUR", "token": token })
}

pub(crate) async fn json(response: Response) -> Value {
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

/// Asks again until the answer is yes, within [`PATIENCE`].
pub(crate) async fn until(what: &str, mut yes: impl AsyncFnMut() -> bool) {
    let patience = tokio::time::timeout(PATIENCE, async {
        while !yes().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(patience.await.is_ok(), "{what} did not come true");
}
