use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use brewline_chaos::workload::{self, Bar, Client, Load, Mix, Shop};
use brewline_cli::bench::shop;
use brewline_cli::stack::ports::Ports;
use brewline_cli::stack::{Endpoints, Folder};
use hyper::Method;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::prometheus::Prometheus;

/// Far from the ports of the other tests.
const PORT_BASE: u16 = 20_080;
/// An hour of the rules is a minute here, a scrape a second.
const TIME_SCALE: &str = "60";
/// Orders a second: enough that a share means something, little enough that nothing is slow by itself.
const RATE: u64 = 10;
const CUSTOMERS: usize = 60;
/// More than the faults take.
const LOAD_FOR: Duration = Duration::from_secs(3_600);
const SETTINGS: [&str; 9] = [
    // Room for what rush hour brings, and no more: then the gateway sheds.
    "gateway:BREWLINE_REQUESTS_MAX=200",
    // Small batches: what waits for a database that hangs, waits in the queue.
    "order:BREWLINE_PLACE_BATCH_ORDERS_MAX=10",
    "*:BREWLINE_RELAY_LEASE_MS=2000",
    "*:BREWLINE_KAFKA_SESSION_TIMEOUT_MS=3000",
    "payment:BREWLINE_PROCESSOR_TIMEOUT_MS=1000",
    "order:BREWLINE_CHECKOUT_CALL_TIMEOUT_MS=2000",
    "notification:BREWLINE_MAIL_TIMEOUT_MS=1500",
    "notification:BREWLINE_WEBHOOK_TIMEOUT_MS=1000",
    "leaderboard:BREWLINE_SNAPSHOT_INTERVAL_MS=1500",
];

/// A platform under load with Prometheus beside it.
pub(crate) struct Platform {
    cli: PathBuf,
    data: PathBuf,
    pub(crate) prometheus: Prometheus,
    pub(crate) shop: Shop,
    customers: CancellationToken,
    work: Vec<JoinHandle<()>>,
}

// === impl Platform ===

impl Platform {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let bin_dir = std::env::var_os("BREWLINE_PLAIN_BIN_DIR")
            .context("this test needs a build: run it with `./brewline test`")?;
        let cli = PathBuf::from(env!("CARGO_BIN_EXE_brewline"));
        let data = std::env::temp_dir().join(format!("brewline-observe-{}", std::process::id()));
        let mut up = Command::new(&cli);
        up.args([
            "up",
            "--detach",
            "--no-demo",
            "--observe",
            "--time-scale",
            TIME_SCALE,
        ]);
        up.args(["--port-base", &Ports::first_free(PORT_BASE)?.to_string()]);
        up.args(["--restart-pause-ms-max", "500"]);
        // However this run ends, its platform ends with it.
        up.args(["--companion", &std::process::id().to_string()]);
        up.arg("--data").arg(&data).arg("--bin-dir").arg(bin_dir);
        for setting in SETTINGS {
            up.args(["--env", setting]);
        }
        let status = up.status().await.context("run `brewline up --observe`")?;
        ensure!(status.success(), "`brewline up --observe` failed");
        let endpoints = Endpoints::read(&Folder::at(&data)?)?;
        let prometheus = endpoints
            .prometheus
            .context("Prometheus is not in endpoints.json")?;
        let gateway = endpoints.gateway.context("no gateway")?;
        let opening = shop::Opening {
            stock: 1_000_000,
            customers: CUSTOMERS,
            mail_percent: 50,
        };
        let shop = shop::open(&gateway, "observe", opening, None).await?;
        let mut platform = Self {
            cli,
            data,
            prometheus: Prometheus::at(prometheus)?,
            shop,
            customers: CancellationToken::new(),
            work: vec![],
        };
        platform.listen().await?;
        platform.open_doors(gateway)?;
        Ok(platform)
    }

    /// Customers come, and baristas work.
    fn open_doors(&mut self, gateway: String) -> anyhow::Result<()> {
        let bar = Bar {
            gateway: gateway.clone(),
            store: self.shop.stores.first().context("no store")?.clone(),
            hands: 2,
            timeout: Duration::from_secs(3),
        };
        let load = self.load(gateway, Some(RATE), 32);
        let stop = || self.customers.clone();
        #[allow(clippy::disallowed_methods, reason = "a test has no task tracker")]
        let work = [
            tokio::spawn(bar.work(stop())),
            tokio::spawn(order(load, stop())),
        ];
        self.work = work.into();
        Ok(())
    }

    /// Orders of every outcome.
    pub(crate) fn load(&self, gateway: String, rate: Option<u64>, connections: usize) -> Load {
        Load {
            gateway,
            shop: self.shop.clone(),
            mix: Mix {
                declined_percent: 5,
                cancelled_percent: 8,
                reads_percent: 50,
                ..Mix::default()
            },
            rate,
            duration: LOAD_FOR,
            connections,
            timeout: Duration::from_secs(8),
            insist: Duration::from_secs(20),
            seed: 11,
            journal: None,
        }
    }

    /// Has the webhook receiver told of every store's orders.
    async fn listen(&self) -> anyhow::Result<()> {
        let url = format!(
            "{}/hook/till",
            self.endpoints()?.sandbox.context("no sandbox")?
        );
        let body = json!({ "url": url, "types": ["order.confirmed", "order.rejected"] });
        let answer = self.post("/v1/webhooks", "till", &body).await?;
        ensure!(answer.is_success(), "/v1/webhooks answered {answer}");
        Ok(())
    }

    async fn post(&self, path: &str, key: &str, body: &Value) -> anyhow::Result<hyper::StatusCode> {
        let mut client = Client::new(&self.gateway()?, Duration::from_secs(10));
        let sent = client.send(Method::POST, path, Some(key), body.to_string());
        Ok(sent.await?.status)
    }

    pub(crate) fn endpoints(&self) -> anyhow::Result<Endpoints> {
        Endpoints::read(&Folder::at(&self.data)?)
    }

    pub(crate) fn gateway(&self) -> anyhow::Result<String> {
        self.endpoints()?.gateway.context("no gateway")
    }

    /// Where the card processor, the mailbox and the receiver of webhooks take orders about their behaviour.
    pub(crate) fn sandbox(&self) -> anyhow::Result<String> {
        let endpoints = self.endpoints()?;
        let sandbox = endpoints.services.get("sandbox").context("no sandbox")?;
        sandbox
            .control
            .clone()
            .context("no way to tell the sandbox")
    }

    pub(crate) fn folder(&self) -> anyhow::Result<Folder> {
        Folder::at(&self.data)
    }

    /// Runs a verb of the command line; what it says.
    pub(crate) async fn brewline(&self, words: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new(&self.cli);
        command.args(words).arg("--data").arg(&self.data);
        let out = command
            .output()
            .await
            .with_context(|| format!("run {words:?}"))?;
        let said = String::from_utf8_lossy(&out.stderr);
        ensure!(out.status.success(), "{words:?} failed: {said}");
        Ok(String::from_utf8_lossy(&out.stdout).into_owned())
    }

    /// Sends the customers home and stops everything.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.customers.cancel();
        for work in self.work {
            work.await.context("a customer or barista ended badly")?;
        }
        let mut down = Command::new(&self.cli);
        down.args(["down", "--purge"]).arg("--data").arg(&self.data);
        let down = down.output().await.context("run `brewline down`")?;
        ensure!(
            down.status.success(),
            "{}",
            String::from_utf8_lossy(&down.stderr)
        );
        ensure!(!self.data.exists(), "something was left behind");
        Ok(())
    }
}

async fn order(load: Load, stop: CancellationToken) {
    // What becomes of each order, the platform itself tells here.
    let placed = workload::run(load, stop).await;
    drop(placed);
}
