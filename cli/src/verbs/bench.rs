//! `bench`: how fast, at what cost, on this machine, now.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use brewline_chaos::history::Journal;
use brewline_chaos::workload::{self, Load, Mix, Placed, Shop};
use brewline_kafka::Admin;
use brewline_kernel::system::SystemClock;
use brewline_kernel::{Clock as _, Timestamp};
use brewline_postgres::Pool;
use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::bench::{lag, machine, outcomes, reference, shop};
use crate::exit::{Unknown, Usage};
use crate::stack::postgres::DATABASES;
use crate::stack::{Endpoints, Stack};
use crate::{sources, terminal};

mod report;

/// Arguments of `bench`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Orders a second, at times fixed beforehand
    #[arg(long, value_name = "N", default_value_t = 500, conflicts_with = "max",
        value_parser = clap::value_parser!(u64).range(1..=RATE_MAX))]
    rate: u64,
    /// As many as go: each connection orders again as soon as it is answered
    #[arg(long)]
    max: bool,
    /// For how long, in seconds, after the warm-up
    #[arg(long, value_name = "S", default_value_t = 20,
        value_parser = clap::value_parser!(u64).range(1..=SECONDS_MAX))]
    duration: u64,
    /// Load before measuring begins, in seconds
    #[arg(long, value_name = "S", default_value_t = 5,
        value_parser = clap::value_parser!(u64).range(..=SECONDS_MAX))]
    warm_up: u64,
    /// Stock of each product in each store
    #[arg(long, value_name = "N", default_value_t = 10_000_000,
        value_parser = clap::value_parser!(i64).range(1..))]
    stock: i64,
    /// Customers made before the load: one for each order a second at least, or payment's risk rules refuse them
    #[arg(long, value_name = "N", default_value_t = 2_000,
        value_parser = clap::value_parser!(u32).range(1..=CUSTOMERS_MAX))]
    customers: u32,
    /// How many of a hundred customers want mails
    #[arg(long, value_name = "PERCENT", default_value_t = 20,
        value_parser = clap::value_parser!(u8).range(..=100))]
    mails: u8,
    /// Requests that may be open at once
    #[arg(long, value_name = "N", default_value_t = 256,
        value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,
    /// Repeats the same orders
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Write down what was asked and answered, for `verify --journal`
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// More than any machine answers.
const RATE_MAX: u64 = 1_000_000;
/// A day: what customers saw is kept in memory.
const SECONDS_MAX: u64 = 86_400;
/// More than can be made within minutes.
const CUSTOMERS_MAX: i64 = 1_000_000;
/// How long a request may take before it counts as unanswered.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long the rest may take to close after the load.
const CLOSE_WITHIN: Duration = Duration::from_secs(60);

/// Everything a run saw.
#[derive(Debug)]
struct Run {
    placed: Vec<Placed>,
    /// What became of the orders, or why that could not be read: the stack may be gone by then.
    closing: anyhow::Result<Closing>,
    began: Timestamp,
    ended_at: Timestamp,
    before: machine::Sample,
    after: machine::Sample,
    reference: Option<u64>,
    open_loop_rate: Option<u64>,
    planned_rejections: bool,
}

/// How the orders of a run ended.
#[derive(Debug)]
struct Closing {
    ended: BTreeMap<uuid::Uuid, outcomes::Ended>,
    lag: lag::Lag,
}

/// Loads the running stack and reports.
///
/// # Errors
/// When no stack runs or the set-up fails.
pub async fn run(arguments: Arguments, stack: &Stack) -> anyhow::Result<ExitCode> {
    let journal = arguments.journal.as_deref().map(open).transpose()?;
    let run = measured(&arguments, journal, stack)
        .await
        .map_err(|error| error.context(Unknown("nothing was measured".to_owned())))?;
    let report = report::Report::of(&run);
    if arguments.json {
        terminal::say_json(&report)?;
    } else {
        report.print();
    }
    if let Err(why) = &run.closing {
        terminal::note(format!(
            "brewline: what became of the orders is not known: {why:#}"
        ));
    }
    Ok(ExitCode::from(report.exit_code()))
}

fn open(journal: &Path) -> anyhow::Result<Journal> {
    let shown = journal.display();
    Journal::open(journal).with_context(|| Usage(format!("cannot write the journal {shown}")))
}

async fn measured(
    arguments: &Arguments,
    journal: Option<Journal>,
    stack: &Stack,
) -> anyhow::Result<Run> {
    let endpoints = stack.endpoints()?;
    let mut progress = terminal::Progress::default();
    progress.show("measuring this machine's batched commits");
    let reference = measured_reference(&endpoints).await?;
    progress.show("opening a shop of its own");
    let name = format!("{:x}", SystemClock.now().as_millis());
    let shop = shop::open(
        &stack.gateway()?,
        &name,
        shop::Opening {
            stock: arguments.stock,
            customers: usize::try_from(arguments.customers).unwrap_or(usize::MAX),
            mail_percent: usize::from(arguments.mails),
        },
        journal.as_ref(),
    )
    .await?;
    let stores = shop.stores.clone();
    let databases = databases(&endpoints)?;
    progress.show(&format!("warming up for {} s", arguments.warm_up));
    let gateway = stack.gateway()?;
    let load = |seconds, seed| {
        let journal = journal.clone();
        arguments.load(gateway.clone(), shop.clone(), journal, seconds, seed)
    };
    let warm_up = load(arguments.warm_up, !arguments.seed);
    workload::run(warm_up, CancellationToken::new()).await;
    progress.show(&format!("ordering for {} s", arguments.duration));
    let before = machine::sample(&endpoints, &databases).await;
    let began = SystemClock.now();
    let measured = load(arguments.duration, arguments.seed);
    let placed = workload::run(measured, CancellationToken::new()).await;
    let ended_at = SystemClock.now();
    progress.show("waiting until every order is closed and nobody is behind");
    let orders = databases
        .get("order")
        .context("no database of order")?
        .clone();
    let followers = followers(stack, databases.clone(), &stores)?;
    let lag = followers.caught_up(CLOSE_WITHIN).await;
    let after = machine::sample(&endpoints, &databases).await;
    let closing = match lag {
        Ok(lag) => closing(&orders, &stores, began, lag).await,
        Err(silence) => Err(silence).context("count open orders"),
    };
    Ok(Run {
        placed,
        closing,
        began,
        ended_at,
        before,
        after,
        reference,
        open_loop_rate: (!arguments.max).then_some(arguments.rate),
        planned_rejections: arguments.stock < 1_000_000,
    })
}

/// What the database's machine can write. None where nobody but the service itself may write.
async fn measured_reference(endpoints: &Endpoints) -> anyhow::Result<Option<u64>> {
    let Some(url) = endpoints.postgres.get("order") else {
        return Ok(None);
    };
    let measured = reference::batched_commits_per_second(url).await;
    measured.context("measure the reference").map(Some)
}

// === impl Arguments ===

impl Arguments {
    fn load(
        &self,
        gateway: String,
        shop: Shop,
        journal: Option<Journal>,
        seconds: u64,
        seed: u64,
    ) -> Load {
        Load {
            gateway,
            shop,
            mix: Mix::default(),
            rate: (!self.max).then_some(self.rate),
            duration: Duration::from_secs(seconds),
            connections: usize::from(self.connections),
            timeout: TIMEOUT,
            insist: Duration::ZERO,
            seed,
            journal,
        }
    }
}

/// Of every service that the stack names a database of.
fn databases(endpoints: &Endpoints) -> anyhow::Result<BTreeMap<&'static str, Pool>> {
    let named = |service: &&str| endpoints.evidence.postgres.contains_key(*service);
    DATABASES
        .into_iter()
        .filter(named)
        .map(|service| Ok((service, sources::database(endpoints, service)?)))
        .collect()
}

fn followers(
    stack: &Stack,
    databases: BTreeMap<&'static str, Pool>,
    stores: &[String],
) -> anyhow::Result<lag::Followers> {
    let endpoints = stack.endpoints()?;
    let runs = endpoints.services.contains_key("leaderboard");
    let leaderboard = runs.then(|| stack.channel("leaderboard")).transpose()?;
    let broker = Admin::new(&sources::kafka(&endpoints)).context("reach the broker")?;
    Ok(lag::Followers {
        databases,
        broker,
        leaderboard,
        stores: stores.to_vec(),
    })
}

async fn closing(
    orders: &Pool,
    stores: &[String],
    began: Timestamp,
    lag: lag::Lag,
) -> anyhow::Result<Closing> {
    let ended = outcomes::read(orders, stores, began)
        .await
        .context("read the outcomes")?;
    Ok(Closing { ended, lag })
}
