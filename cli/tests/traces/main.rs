//! One order through the whole platform with every trace recorded: what the collector gets is one tree
//! with the edges an order's way has; names are the registry's; nothing personal is in spans, logs or
//! metrics.
//!
//! Real processes, real PostgreSQL, real Kafka. `BREWLINE_BIN_DIR` names the build; `./brewline test`
//! sets it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what fails in a test's helper fails the test"
)]

mod receiver;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use brewline_chaos::workload::Client;
use brewline_cli::bench::shop;
use brewline_cli::stack::ports::Ports;
use brewline_cli::stack::{Endpoints, Folder};
use hyper::Method;
use receiver::{Receiver, Span};
use serde_json::{Value, json};
use tokio::process::Command;

/// What must never be seen: a name, an address, a card's token.
const NAME: &str = "Zephyrine Quillfeather";
const EMAIL: &str = "zephyrine.quillfeather@example.com";
const TOKEN: &str = "tok_ok_quillfeather42";
/// Far from the kill tests' platform, which may run at the same time.
const PORT_BASE: u16 = 19_080;
/// How long an order may take until the last of its spans has arrived.
const TOLD_WITHIN: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);

/// Who leads to whom in the trace of an order that is sold, each as `service: name of span`.
const EDGES: &[(&str, &str)] = &[
    (
        "gateway: POST /v1/orders",
        "gateway: brewline.order.v1.OrderService/PlaceOrder",
    ),
    (
        "gateway: brewline.order.v1.OrderService/PlaceOrder",
        "order: brewline.order.v1.OrderService/PlaceOrder",
    ),
    (
        "order: brewline.order.v1.OrderService/PlaceOrder",
        "order: place order",
    ),
    (
        "order: place order",
        "order: publish brewline.order.events.v1",
    ),
    (
        "order: publish brewline.order.events.v1",
        "inventory: process brewline.order.events.v1",
    ),
    (
        "inventory: process brewline.order.events.v1",
        "inventory: publish brewline.inventory.events.v1",
    ),
    (
        "inventory: publish brewline.inventory.events.v1",
        "order: process brewline.inventory.events.v1",
    ),
    (
        "order: process brewline.inventory.events.v1",
        "order: saga authorising",
    ),
    ("order: saga authorising", "order: payment authorise"),
    ("order: payment authorise", "payment: payment authorise"),
    ("payment: payment authorise", "payment: POST authorise"),
    ("payment: POST authorise", "sandbox: authorise"),
    (
        "payment: payment authorise",
        "payment: publish brewline.payment.events.v1",
    ),
    ("order: payment authorise", "order: saga completing"),
    ("order: saga completing", "order: payment capture"),
    (
        "order: saga completing",
        "order: publish brewline.order.events.v1",
    ),
    (
        "order: publish brewline.order.events.v1",
        "barista: process brewline.order.events.v1",
    ),
    (
        "order: publish brewline.order.events.v1",
        "leaderboard: process brewline.order.events.v1",
    ),
    (
        "order: publish brewline.order.events.v1",
        "notification: process brewline.order.events.v1",
    ),
    (
        "notification: process brewline.order.events.v1",
        "notification: send mail",
    ),
];

/// A platform that tells everything.
struct Platform {
    cli: PathBuf,
    data: PathBuf,
}

#[tokio::test]
async fn an_order_is_one_tree_of_spans_and_nobody_is_named() {
    let (receiver, collector) = Receiver::start();
    let platform = Platform::start(&collector).await;
    let order = platform.sell_one().await;
    let trace = told(&receiver, &order).await;
    let metrics = platform.metrics().await;
    let failed = platform.fail_one(&order).await;
    recorded(&receiver, &failed).await;
    let logs = platform.logs();
    platform.stop().await;

    assert_tree(&trace);
    assert_linked(&trace, &receiver.spans());
    assert_registered(&receiver.spans(), &metrics);
    let spans = String::from_utf8_lossy(&receiver.bytes()).into_owned();
    for (place, text) in [("spans", &spans), ("metrics", &metrics), ("logs", &logs)] {
        for secret in [NAME, "Quillfeather", EMAIL, TOKEN] {
            assert!(!text.contains(secret), "`{secret}` is in {place}");
        }
    }
    assert!(logs.contains(r#""service":"order""#), "no logs were read");
}

/// The order's trace, as soon as it has every edge, and every span's parent: each process tells its own in its
/// own time.
async fn told(receiver: &Receiver, order: &str) -> Vec<Span> {
    let deadline = tokio::time::Instant::now() + TOLD_WITHIN;
    loop {
        let spans = receiver.spans();
        let named = |span: &&Span| {
            span.attributes
                .get("brewline.order.id")
                .is_some_and(|id| id == order)
        };
        let id = spans.iter().find(named).map(|span| span.trace.clone());
        let trace: Vec<Span> = spans
            .into_iter()
            .filter(|s| Some(&s.trace) == id.as_ref())
            .collect();
        let found = edges(&trace);
        let missing: Vec<_> = EDGES
            .iter()
            .filter(|edge| !found.contains(&own(edge)))
            .collect();
        let orphans = orphans(&trace);
        if missing.is_empty() && orphans.is_empty() {
            return trace;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "missing: {missing:#?}\nfound: {found:#?}\norphans: {orphans:#?}"
        );
        tokio::time::sleep(LOOK).await;
    }
}

/// A trace that a line of a log names is one that spans were sent of.
async fn recorded(receiver: &Receiver, trace: &str) {
    let hexadecimal = |span: &Span| {
        span.trace
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    until("the failed request's spans", async || {
        let spans = receiver.spans();
        spans
            .iter()
            .any(|span| hexadecimal(span) == trace)
            .then_some(())
    })
    .await;
}

/// Looks again and again until there is something to be seen.
async fn until<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + TOLD_WITHIN;
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "not within {TOLD_WITHIN:?}: {what}"
        );
        tokio::time::sleep(LOOK).await;
    }
}

fn own(edge: &(&str, &str)) -> (String, String) {
    (edge.0.to_owned(), edge.1.to_owned())
}

fn edges(trace: &[Span]) -> BTreeSet<(String, String)> {
    let shown = |span: &Span| format!("{}: {}", span.service, span.name);
    let edge = |child: &Span| {
        let parent = trace.iter().find(|span| span.id == child.parent)?;
        Some((shown(parent), shown(child)))
    };
    trace.iter().filter_map(edge).collect()
}

/// One root, and ids of their own.
fn assert_tree(trace: &[Span]) {
    let roots: Vec<&Span> = trace.iter().filter(|span| span.parent.is_empty()).collect();
    assert_eq!(roots.len(), 1, "roots: {roots:#?}");
    assert_eq!(roots[0].name, "POST /v1/orders");
    let ids: BTreeSet<&[u8]> = trace.iter().map(|span| &*span.id).collect();
    assert_eq!(ids.len(), trace.len(), "an id was used twice");
}

/// Spans whose parents are not there.
fn orphans(trace: &[Span]) -> Vec<&Span> {
    let ids: BTreeSet<&[u8]> = trace.iter().map(|span| &*span.id).collect();
    let has_parent = |span: &Span| span.parent.is_empty() || ids.contains(&*span.parent);
    trace.iter().filter(|span| !has_parent(span)).collect()
}

/// What was done in a batch links to the batch, whose span is in a trace of its own.
fn assert_linked(trace: &[Span], all: &[Span]) {
    for span in trace {
        if span.name.starts_with("process ") || span.name == "place order" {
            assert_eq!(span.links, 1, "{span:#?}");
        }
    }
    let batches = all
        .iter()
        .filter(|s| s.name.starts_with("process batch ") || s.name == "place batch");
    for batch in batches {
        assert_ne!(batch.trace, trace[0].trace);
    }
}

/// Attributes and metrics that came out of the platform are all in the registry.
fn assert_registered(spans: &[Span], metrics: &str) {
    let attributes = registry("attributes.yaml", "id: ");
    for (span, key) in spans
        .iter()
        .flat_map(|s| s.attributes.keys().map(move |key| (s, key)))
    {
        assert!(
            attributes.contains(key),
            "{key} of {span:#?} is not in the registry"
        );
    }
    let known = registry("metrics.yaml", "name: ");
    let labels = registry("attributes.yaml", "label: ");
    for line in metrics
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
    {
        let (name, rest) = line.split_once(['{', ' ']).unwrap();
        let base = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|end| name.strip_suffix(end));
        let is_known = known.contains(name) || base.is_some_and(|base| known.contains(base));
        assert!(is_known, "{name} is not in the registry");
        let pairs = rest.rsplit_once('}').map_or("", |(pairs, _)| pairs);
        for label in pairs
            .split("\",")
            .filter_map(|pair| Some(pair.split_once("=\"")?.0))
        {
            assert!(
                label == "le" || labels.contains(label),
                "{label} of {name} is not in the registry"
            );
        }
    }
}

/// What stands behind a key in a file of the registry.
fn registry(file: &str, key: &str) -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../telemetry/registry")
        .join(file);
    let text = std::fs::read_to_string(path).unwrap();
    let value = |line: &str| {
        Some(
            line.trim()
                .trim_start_matches("- ")
                .strip_prefix(key)?
                .to_owned(),
        )
    };
    text.lines().filter_map(value).collect()
}

// === impl Platform ===

impl Platform {
    async fn start(collector: &str) -> Self {
        let bin_dir = std::env::var_os("BREWLINE_BIN_DIR")
            .expect("these tests need the test build: run them with `./brewline test`");
        let platform = Self {
            cli: PathBuf::from(env!("CARGO_BIN_EXE_brewline")),
            data: std::env::temp_dir().join(format!("brewline-traces-{}", std::process::id())),
        };
        let mut up = Command::new(&platform.cli);
        let base = Ports::first_free(PORT_BASE).unwrap();
        up.args([
            "up",
            "--detach",
            "--no-demo",
            "--port-base",
            &base.to_string(),
        ]);
        // However this run ends, its platform ends with it.
        up.args(["--companion", &std::process::id().to_string()]);
        up.arg("--data")
            .arg(&platform.data)
            .arg("--bin-dir")
            .arg(bin_dir);
        let endpoint = format!("*:BREWLINE_OTLP_ENDPOINT={collector}");
        for setting in [
            &*endpoint,
            "*:BREWLINE_TRACE_RATIO=1",
            "*:BREWLINE_LOG=info,brewline_order=debug",
        ] {
            up.args(["--env", setting]);
        }
        assert!(up.status().await.unwrap().success(), "`brewline up` failed");
        platform
    }

    fn endpoints(&self) -> Endpoints {
        Endpoints::read(&Folder::at(&self.data).unwrap()).unwrap()
    }

    /// Sells something to somebody who wants mails; the order's id.
    async fn sell_one(&self) -> String {
        let gateway = self.endpoints().gateway.unwrap();
        let opening = shop::Opening {
            stock: 100,
            customers: 1,
            mail_percent: 0,
        };
        let shop = shop::open(&gateway, "traces", opening, None).await.unwrap();
        let mut client = Client::new(&gateway, Duration::from_secs(10));
        let customer = json!({ "name": NAME, "email": EMAIL, "locale": "en", "showName": false });
        let made = call(&mut client, "/v1/customers", "z1", &customer).await;
        let order = json!({
            "storeId": shop.stores[0],
            "customerId": made["customerId"],
            "lines": [{ "productId": shop.products[0], "quantity": 1 }],
            "payment": { "token": TOKEN },
        });
        let placed = call(&mut client, "/v1/orders", "z2", &order).await;
        placed["orderId"].as_str().unwrap().to_owned()
    }

    /// Takes the database away and asks for an order until that fails; the trace that the log names then.
    /// An order that goes well writes no line at all.
    async fn fail_one(&self, order: &str) -> String {
        let mut kill = Command::new(&self.cli);
        kill.args(["kill", "postgres", "--data"]).arg(&self.data);
        assert!(kill.status().await.unwrap().success());
        let gateway = self.endpoints().gateway.unwrap();
        let path = format!("/v1/orders/{order}");
        until("a line with a trace", async || {
            let mut client = Client::new(&gateway, Duration::from_secs(10));
            client
                .send(Method::GET, &path, None, String::new())
                .await
                .ok();
            let logs = self.logs();
            let (_, named) = logs.split_once(r#""trace_id":""#)?;
            Some(named.split_once('"')?.0.to_owned())
        })
        .await
    }

    /// What a scrape of every process says.
    async fn metrics(&self) -> String {
        let mut all = String::new();
        let endpoints = self.endpoints();
        for instance in endpoints.services.values().flat_map(|s| &s.instances) {
            let Some(admin) = &instance.admin else {
                continue;
            };
            let mut client = Client::new(admin, Duration::from_secs(5));
            let scraped = client
                .send(Method::GET, "/metrics", None, String::new())
                .await;
            all.push_str(&String::from_utf8_lossy(&scraped.unwrap().body));
        }
        assert!(all.contains("rpc_server_call_duration_seconds_count{"));
        all
    }

    /// Every line that a service wrote.
    fn logs(&self) -> String {
        let folder = Folder::at(&self.data).unwrap();
        let services = self.endpoints().services;
        let text =
            |service: &String| std::fs::read_to_string(folder.log(service, 1)).unwrap_or_default();
        services.keys().map(text).collect()
    }

    async fn stop(&self) {
        let mut down = Command::new(&self.cli);
        down.args(["down", "--purge"]).arg("--data").arg(&self.data);
        down.output().await.unwrap();
    }
}

async fn call(client: &mut Client, path: &str, key: &str, body: &Value) -> Value {
    let sent = client.send(Method::POST, path, Some(key), body.to_string());
    let answer = sent.await.unwrap();
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(
        answer.status.is_success(),
        "{path} answered {}: {text}",
        answer.status
    );
    serde_json::from_str(&text).unwrap()
}
