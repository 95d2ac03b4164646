//! `up`: starts everything, loads the demo, shows the first order's way.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use tokio::time::{Instant, sleep};

use crate::exit::Usage;
use crate::stack::control::{self, Wish};
use crate::stack::detached::{self, Begun};
use crate::stack::folder::{Folder, FolderLock};
use crate::stack::options::{
    Extent, ExternalKafka, RESTART_PAUSE_MS_MAX_DEFAULT, ServiceVariable, StackOptions, Terms,
};
use crate::stack::ports::PORT_BASE_DEFAULT;
use crate::stack::{Stack, boot, demo, leftovers, prepare};
use crate::terminal;

/// Another `up` on the same folder may be fetching jars.
const JOIN_WITHIN: Duration = Duration::from_secs(600);
const POLL: Duration = Duration::from_millis(100);

/// Arguments of `up`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Return once everything is ready and leave it running
    #[arg(long)]
    detach: bool,
    /// The first port; the gateway's own
    #[arg(long, value_name = "N", default_value_t = PORT_BASE_DEFAULT)]
    port_base: u16,
    /// Load no demo data and place no order
    #[arg(long)]
    no_demo: bool,
    /// Where the services' binaries are; beside this one unless told
    #[arg(long, value_name = "DIR", env = "BREWLINE_BIN_DIR")]
    bin_dir: Option<PathBuf>,
    /// One more variable for one service (* for all); can be repeated
    #[arg(long, value_name = "SERVICE:KEY=VALUE")]
    env: Vec<ServiceVariable>,
    /// A file of such lines; empty ones and those that begin with # are left out
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// The longest pause before a process that died is started again
    #[arg(long, value_name = "MS", default_value_t = RESTART_PAUSE_MS_MAX_DEFAULT)]
    restart_pause_ms_max: u64,
    /// Stop everything when this process has ended, however it ended
    #[arg(long, value_name = "PID")]
    companion: Option<u32>,
    /// Run Prometheus beside it (the system's package), with all rules and every process as a target
    #[arg(long)]
    observe: bool,
    /// With --observe: windows and waiting times of the rules are so many times shorter
    #[arg(
        long,
        value_name = "N",
        requires = "observe",
        default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(1..=900)
    )]
    time_scale: u32,
    #[command(flatten)]
    servers: ExistingServers,
}

/// Servers that are used instead of own ones.
#[derive(Debug, Args)]
struct ExistingServers {
    /// Use this PostgreSQL (a URL as super user)
    #[arg(
        long,
        value_name = "URL",
        env = "BREWLINE_POSTGRES_URL",
        hide_env_values = true
    )]
    postgres_url: Option<String>,
    /// Use these brokers
    #[arg(long, value_name = "HOST:PORT,…", env = "BREWLINE_KAFKA_BROKERS")]
    kafka_brokers: Option<String>,
    /// The SASL user there
    #[arg(long, value_name = "NAME", env = "BREWLINE_KAFKA_USERNAME")]
    kafka_username: Option<String>,
    /// Its password
    #[arg(
        long,
        value_name = "PASSWORD",
        env = "BREWLINE_KAFKA_PASSWORD",
        hide_env_values = true
    )]
    kafka_password: Option<String>,
}

// === impl Arguments ===

impl Arguments {
    fn options(self) -> anyhow::Result<StackOptions> {
        let mut environment = match &self.env_file {
            Some(path) => read_variables(path)
                .with_context(|| Usage(format!("--env-file {}", path.display())))?,
            None => vec![],
        };
        environment.extend(self.env);
        let own = std::env::current_exe().context("find this program")?;
        let beside = || own.parent().map(PathBuf::from).unwrap_or_default();
        let bin_dir = std::path::absolute(self.bin_dir.unwrap_or_else(beside))
            .context("find the services' binaries")?;
        let servers = self.servers;
        Ok(StackOptions {
            port_base: self.port_base,
            bin_dir,
            environment,
            extent: Extent::Whole,
            external_postgres: servers.postgres_url,
            external_kafka: servers.kafka_brokers.map(|brokers| ExternalKafka {
                brokers,
                username: servers.kafka_username,
                password: servers.kafka_password,
            }),
            terms: Terms {
                restart_pause_ms_max: self.restart_pause_ms_max,
                companion: self.companion,
            },
            observe: self.observe.then_some(self.time_scale),
        })
    }
}

/// Starts the stack or joins the one that runs.
///
/// # Errors
/// When it does not start.
pub async fn run(arguments: Arguments, stack: &Stack) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    let (detach, with_demo) = (arguments.detach, !arguments.no_demo);
    let options = arguments.options()?;
    if detach {
        if detached::start(stack.folder(), &options).await? == Begun::Joined {
            note_joined(stack.folder());
        }
        welcome(stack, with_demo, began).await?;
        return Ok(ExitCode::SUCCESS);
    }
    // A taken port would keep a second `up` from joining the first.
    if control::ask(stack.folder(), &Wish::Peek).await?.is_none() {
        prepare::claim(stack.folder(), &options).await?;
    }
    let Some(lock) = lock_or_join(stack).await? else {
        welcome(stack, with_demo, began).await?;
        return Ok(ExitCode::SUCCESS);
    };
    if leftovers::end(stack.folder()).await > 0 {
        terminal::note("processes that a killed supervisor had left were stopped first");
    }
    let own = stack.clone();
    let ready = async move || {
        welcome(&own, with_demo, began).await?;
        terminal::note("Ctrl-C stops everything");
        Ok(())
    };
    boot::run(stack.folder(), &options, lock, ready).await?;
    Ok(ExitCode::SUCCESS)
}

fn note_joined(folder: &Folder) {
    terminal::note(format!(
        "joined what runs already on {}: options other than --data are not applied; `brewline down` \
         stops it",
        folder.root().display()
    ));
}

/// The right to start the stack, or none once the one that runs is ready.
async fn lock_or_join(stack: &Stack) -> anyhow::Result<Option<FolderLock>> {
    let folder = stack.folder();
    let deadline = Instant::now() + JOIN_WITHIN;
    while Instant::now() < deadline {
        if control::ask(folder, &Wish::Peek).await?.is_some() {
            note_joined(folder);
            detached::wait_booted(folder, None).await?;
            return Ok(None);
        }
        if let Some(lock) = folder.try_lock()? {
            return Ok(Some(lock));
        }
        // Another `up` is preparing, or an old one is ending.
        sleep(POLL).await;
    }
    bail!(
        "another process holds the lock of {} and does not answer",
        folder.root().display()
    )
}

async fn welcome(stack: &Stack, with_demo: bool, began: Instant) -> anyhow::Result<()> {
    if with_demo {
        let tokens = demo::load(stack).await?;
        // Somebody may have retired what it orders, or sold it out: the stack is fine all the same.
        if let Err(error) = demo::first_order(stack, &tokens).await {
            terminal::note(format!(
                "the demo's order did not get through: {error:#}; the stack runs"
            ));
        }
    }
    let endpoints = stack.endpoints()?;
    let gateway = endpoints.gateway.unwrap_or_default();
    let sandbox = endpoints.sandbox.unwrap_or_default();
    let shown = stack.folder().root().display().to_string();
    let elapsed = began.elapsed().as_millis();
    terminal::say(format!(
        "\nready after {}.{} s",
        elapsed / 1000,
        elapsed % 1000 / 100
    ));
    terminal::say(format!("  gateway  {gateway}"));
    terminal::say(format!(
        "  sandbox  {sandbox}    (the card processor; its ledger: {sandbox}/ledger)"
    ));
    if let Some(prometheus) = endpoints.prometheus {
        terminal::say(format!(
            "  rules    {prometheus}/alerts    (Prometheus, with every alert)"
        ));
    }
    terminal::say(format!(
        "  data     {shown}    (addresses and passwords: endpoints.json)"
    ));
    if with_demo {
        terminal::say(TRY_NEXT.replace("GATEWAY", &gateway));
    }
    Ok(())
}

const TRY_NEXT: &str = "
try
  ./brewline order place v60-ethiopia croissant=2 --store store-oslo --wait
  ./brewline order place espresso --token tok_declined --wait
  ./brewline status
  ./brewline kill order        (and watch it come back)
  curl -s GATEWAY/v1/stores/store-lisbon/stock";

fn read_variables(path: &std::path::Path) -> anyhow::Result<Vec<ServiceVariable>> {
    let text = fs::read_to_string(path).context("read it")?;
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::parse)
        .collect()
}
