use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use brewline_chaos::evidence::Sources;
use brewline_chaos::history::Journal;
use brewline_chaos::workload::{self, Bar, Client, Load, Mix, Seeded};
use brewline_cli::bench::shop;
use brewline_cli::sources::{self, Scope};
use brewline_cli::stack::Endpoints;
use brewline_cli::stack::Folder;
use brewline_kernel::system::SystemClock;
use brewline_kernel::{Clock as _, Timestamp};
use brewline_postgres::{Instant, Pool, ToSql};
use hyper::Method;
use tokio::process::Command;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::visitors::{leavers, listen};

/// Orders a second while faults are done: enough that each crash point is passed within a moment,
/// little enough that two cores heal quickly and have room for the judge.
const RATE: u64 = 25;
/// Customers: each orders once in a few seconds, which no risk rule minds.
const CUSTOMERS: usize = 100;
/// How many of a hundred customers want mails: enough that some are always on their way.
const MAIL_PERCENT: usize = 40;
/// How many baristas work in the first store; whatever is ordered in the others stays on their walls.
const BARISTAS: usize = 4;
/// One machine has one clock: a row is written no longer than this before the event it belongs to, however
/// slow a commit is.
const MARGIN: Duration = Duration::from_secs(10);
/// More than any sequence of scenarios takes.
const LOAD_FOR: Duration = Duration::from_secs(3_600);
/// How long a process may take to be ready again.
const READY_WITHIN: Duration = Duration::from_secs(45);
/// Far from the ports of a stack that a person runs; `BREWLINE_KILL_PORT_BASE` names another.
const PORT_BASE: &str = "18080";
/// Crashes follow each other here faster than anywhere: a process that crashed before must not be made
/// to wait for it.
const RESTART_PAUSE_MS_MAX: &str = "200";
/// Short leases, sessions and timeouts: a fault then costs seconds.
const SETTINGS: [&str; 13] = [
    "*:BREWLINE_RELAY_LEASE_MS=2000",
    "*:BREWLINE_RELAY_DELIVERY_TIMEOUT_MS=2500",
    "*:BREWLINE_KAFKA_SESSION_TIMEOUT_MS=2000",
    "*:BREWLINE_SHUTDOWN_GRACE_MS=3000",
    "gateway:BREWLINE_REQUEST_TIMEOUT_MS=3000",
    "payment:BREWLINE_PROCESSOR_TIMEOUT_MS=1000",
    "payment:BREWLINE_PROCESSOR_KEY_LIFETIME_MS=4000",
    "sandbox:BREWLINE_PROCESSOR_KEY_TTL_MS=4000",
    "order:BREWLINE_CHECKOUT_CALL_TIMEOUT_MS=2000",
    "notification:BREWLINE_MAIL_TIMEOUT_MS=1500",
    "notification:BREWLINE_WEBHOOK_TIMEOUT_MS=1000",
    "leaderboard:BREWLINE_SNAPSHOT_INTERVAL_MS=1500",
    "*:BREWLINE_LOG=info",
];

/// The platform under test, and its customers.
pub(crate) struct Platform {
    cli: PathBuf,
    data: PathBuf,
    pub(crate) journal: PathBuf,
    /// When the first customer came. What was ordered before is in no journal.
    pub(crate) opened: Timestamp,
    customers: CancellationToken,
    load: JoinHandle<Vec<workload::Placed>>,
    /// The store whose baristas work.
    pub(crate) bar: String,
    baristas: JoinHandle<()>,
    leavers: JoinHandle<()>,
    /// By service and PostgreSQL's process: what was connected with one that is dead is of no use.
    pools: Mutex<BTreeMap<(String, Option<u32>), Pool>>,
}

#[allow(clippy::disallowed_methods, reason = "a test has no task tracker")]
fn in_background<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<T> {
    tokio::spawn(work)
}

async fn up(cli: &Path, data: &Path, bin_dir: &Path) -> anyhow::Result<()> {
    let mut up = Command::new(cli);
    up.args(["up", "--detach", "--no-demo", "--port-base"]);
    up.arg(std::env::var_os("BREWLINE_KILL_PORT_BASE").unwrap_or_else(|| PORT_BASE.into()));
    up.args(["--restart-pause-ms-max", RESTART_PAUSE_MS_MAX]);
    // However this run ends, its platform ends with it.
    up.args(["--companion", &std::process::id().to_string()]);
    up.arg("--data").arg(data).arg("--bin-dir").arg(bin_dir);
    for setting in SETTINGS {
        up.args(["--env", setting]);
    }
    let ended = up.status().await.context("run `brewline up`")?;
    ensure!(ended.success(), "`brewline up` failed");
    Ok(())
}

/// A shop that has just opened, and what its customers will do.
async fn load(endpoints: &Endpoints, journal: &Path) -> anyhow::Result<Load> {
    let gateway = endpoints.gateway.clone().context("no gateway")?;
    let name = format!("kill{:x}", SystemClock.now().as_millis());
    let written = Journal::open(journal)?;
    let opening = shop::Opening {
        stock: 1_000_000,
        customers: CUSTOMERS,
        mail_percent: MAIL_PERCENT,
    };
    let shop = shop::open(&gateway, &name, opening, Some(&written)).await?;
    Ok(Load {
        gateway,
        shop,
        mix: Mix {
            declined_percent: 5,
            cancelled_percent: 8,
            ..Mix::default()
        },
        rate: Some(RATE),
        duration: LOAD_FOR,
        connections: 64,
        timeout: Duration::from_secs(3),
        insist: Duration::from_secs(60),
        seed: 7,
        journal: Some(written),
    })
}

// === impl Platform ===

impl Platform {
    /// Starts a fresh platform and sends it customers.
    pub(crate) async fn start(bin_dir: &Path) -> anyhow::Result<Self> {
        let cli = PathBuf::from(env!("CARGO_BIN_EXE_brewline"));
        let data = data_folder();
        down(&cli, &data).await?;
        up(&cli, &data, bin_dir).await?;
        let journal = data.join("journal.jsonl");
        let endpoints = Endpoints::read(&Folder::at(&data)?)?;
        let load = load(&endpoints, &journal).await?;
        let bar = load.shop.stores.first().context("no store")?.clone();
        listen(&load.gateway, endpoints.sandbox.as_deref(), &bar).await?;
        let opened = SystemClock.now();
        let customers = CancellationToken::new();
        let leavers = leavers(&load);
        // The first one has left before anything is judged.
        let mut client = Client::new(&load.gateway, READY_WITHIN);
        let left = leavers
            .come_and_leave(&mut client, &mut Seeded::new(1))
            .await;
        ensure!(left, "a customer cannot be erased");
        let work = Bar {
            gateway: load.gateway.clone(),
            store: bar.clone(),
            hands: BARISTAS,
            timeout: load.timeout,
        };
        Ok(Self {
            leavers: in_background(leavers.come_and_go(customers.clone())),
            baristas: in_background(work.work(customers.clone())),
            load: in_background(workload::run(load, customers.clone())),
            cli,
            data,
            journal,
            opened,
            customers,
            bar,
            pools: Mutex::default(),
        })
    }

    /// Sends the customers home and stops everything.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        let Self {
            cli,
            data,
            customers,
            load,
            baristas,
            leavers,
            ..
        } = self;
        customers.cancel();
        baristas.await.context("the baristas ended badly")?;
        leavers.await.context("who leaves ended badly")?;
        let placed = load.await.context("the load ended badly")?;
        let accepted = placed
            .iter()
            .filter(|placed| placed.order.is_some())
            .count();
        println!(
            "{} orders were asked for, {accepted} accepted",
            placed.len()
        );
        down(&cli, &data).await
    }

    pub(crate) fn endpoints(&self) -> anyhow::Result<Endpoints> {
        Endpoints::read(&Folder::at(&self.data)?)
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// Nobody orders any more, and everybody has been answered.
    pub(crate) async fn send_customers_home(&self) -> anyhow::Result<()> {
        self.customers.cancel();
        self.until("every customer is answered", async || {
            let others = [&self.baristas, &self.leavers];
            self.load.is_finished() && others.iter().all(|task| task.is_finished())
        })
        .await
    }

    /// Waits until so many orders that were placed since an instant have closed.
    pub(crate) async fn closed_since(&self, since: Timestamp, wanted: i64) -> anyhow::Result<()> {
        let sql = "select count(*) from saga where not open and started_at >= $1";
        let orders = self.database("order")?;
        self.until("customers are served", async || {
            let closed = number(&orders, sql, &[&Instant(since)]).await;
            closed.is_ok_and(|closed| closed >= wanted)
        })
        .await
    }

    /// How often the first relay slot of a service has changed hands.
    pub(crate) async fn relay_epoch(&self, service: &str) -> anyhow::Result<i64> {
        let sql = "select epoch from relay_slot where slot = 0";
        number(&self.database(service)?, sql, &[]).await
    }

    /// How far the first relay slot of a service says that it is.
    pub(crate) async fn watermark(&self, service: &str) -> anyhow::Result<i64> {
        let sql = "select watermark from relay_slot where slot = 0";
        number(&self.database(service)?, sql, &[]).await
    }

    /// The broker's process.
    pub(crate) fn kafka(&self) -> anyhow::Result<u32> {
        let pids = self.endpoints()?.pids.kafka;
        pids.first().copied().context("no Kafka of our own")
    }

    /// Runs a verb of the command line.
    pub(crate) async fn cli(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let mut command = Command::new(&self.cli);
        command.args(arguments).arg("--data").arg(&self.data);
        let out = command
            .output()
            .await
            .with_context(|| format!("run {arguments:?}"))?;
        let said = String::from_utf8_lossy(&out.stderr);
        ensure!(out.status.success(), "{arguments:?} failed: {said}");
        Ok(())
    }

    /// The admin address and process of an instance, from 1.
    pub(crate) fn instance(&self, service: &str, number: u16) -> anyhow::Result<(String, u32)> {
        let endpoints = self.endpoints()?;
        let service = endpoints
            .services
            .get(service)
            .with_context(|| format!("no {service}"))?;
        let found = service.instances.iter().find(|i| i.instance == number);
        let found = found.context("no such instance")?;
        Ok((found.admin.clone().context("no admin port")?, found.pid))
    }

    /// Where the card processor takes orders about its behaviour.
    pub(crate) fn processor(&self) -> anyhow::Result<String> {
        let endpoints = self.endpoints()?;
        let sandbox = endpoints.services.get("sandbox").context("no sandbox")?;
        sandbox
            .control
            .clone()
            .or(endpoints.sandbox.clone())
            .context("no card processor")
    }

    /// Connections to a service's database. They are kept, for to look costs less than to connect, and
    /// whoever waits for something looks often.
    pub(crate) fn database(&self, service: &str) -> anyhow::Result<Pool> {
        let endpoints = self.endpoints()?;
        let key = (service.to_owned(), endpoints.pids.postgres);
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = pools.get(&key) {
            return Ok(pool.clone());
        }
        let pool = sources::database(&endpoints, service)?;
        pools.insert(key, pool.clone());
        Ok(pool)
    }

    /// Where the evidence is of everything since an instant.
    pub(crate) fn sources(&self, since: Timestamp) -> anyhow::Result<Sources> {
        let folder = Folder::at(&self.data)?;
        let scope = Scope {
            since,
            journal: Some(self.journal.as_path()),
            healing_promised: true,
            margin: Some(MARGIN),
            log_files: Some(&folder.logs()),
            ..Scope::default()
        };
        let mut sources = sources::of(&self.endpoints()?, &scope)?;
        for (service, pool) in &mut sources.databases {
            *pool = self.database(service)?;
        }
        Ok(sources)
    }

    /// Waits until the process of an instance is another one than `old` and says it is ready.
    pub(crate) async fn reborn(&self, service: &str, number: u16, old: u32) -> anyhow::Result<()> {
        let name = format!("{service} is born again");
        self.until(&name, async || {
            let Ok((admin, pid)) = self.instance(service, number) else {
                return false;
            };
            pid != old && pid != 0 && ready(&admin).await
        })
        .await
    }

    /// Waits until every process says it is ready.
    pub(crate) async fn all_ready(&self) -> anyhow::Result<()> {
        self.until("everything is ready", async || {
            let Ok(endpoints) = self.endpoints() else {
                return false;
            };
            for service in endpoints.services.values() {
                for instance in &service.instances {
                    let Some(admin) = &instance.admin else {
                        return false;
                    };
                    if instance.pid == 0 || !ready(admin).await {
                        return false;
                    }
                }
            }
            true
        })
        .await
    }

    pub(crate) async fn until(
        &self,
        what: &str,
        holds: impl AsyncFn() -> bool,
    ) -> anyhow::Result<()> {
        let deadline = std::time::Instant::now() + READY_WITHIN;
        while !holds().await {
            if std::time::Instant::now() > deadline {
                bail!("not within {READY_WITHIN:?}: {what}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}

/// What a statement counts.
pub(crate) async fn number(
    pool: &Pool,
    sql: &'static str,
    parameters: &[&(dyn ToSql + Sync)],
) -> anyhow::Result<i64> {
    Ok(pool.get().await?.query_one(sql, parameters).await?.get(0))
}

async fn ready(admin: &str) -> bool {
    let mut client = Client::new(admin, Duration::from_secs(1));
    let answer = client
        .send(Method::GET, "/readyz", None, String::new())
        .await;
    answer.is_ok_and(|answer| answer.status.is_success())
}

async fn down(cli: &Path, data: &Path) -> anyhow::Result<()> {
    let mut down = Command::new(cli);
    down.args(["down", "--purge"]).arg("--data").arg(data);
    down.output().await.context("run `brewline down`")?;
    Ok(())
}

/// Below the test servers' folder, so that one purge takes everything.
fn data_folder() -> PathBuf {
    let given = std::env::var_os("BREWLINE_KILL_DATA").map(PathBuf::from);
    given.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../.brewline/kill"))
}
