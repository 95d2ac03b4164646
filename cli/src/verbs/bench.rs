//! `bench`: how fast, at what cost, on this machine, now.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use brewline_chaos::history::Journal;
use brewline_chaos::workload::{self, Load, Mix, Placed, Shop};
use brewline_kernel::system::SystemClock;
use brewline_kernel::{Clock as _, Timestamp};
use brewline_postgres::Pool;
use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::bench::{machine, outcomes, reference, shop};
use crate::stack::{Endpoints, Stack};
use crate::{sources, terminal};

mod report;

/// Arguments of `bench`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Orders a second, at times fixed beforehand
    #[arg(long, value_name = "N", default_value_t = 500, conflicts_with = "max")]
    rate: u64,
    /// As many as go: each connection orders again as soon as it is answered
    #[arg(long)]
    max: bool,
    /// For how long, in seconds, after the warm-up
    #[arg(long, value_name = "S", default_value_t = 20)]
    duration: u64,
    /// Load before measuring begins, in seconds
    #[arg(long, value_name = "S", default_value_t = 5)]
    warm_up: u64,
    /// Stock of each product in each store
    #[arg(long, value_name = "N", default_value_t = 10_000_000)]
    stock: i64,
    /// Requests that may be open at once
    #[arg(long, value_name = "N", default_value_t = 256)]
    connections: usize,
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

/// How long a request may take before it counts as unanswered.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long the rest may take to close after the load.
const CLOSE_WITHIN: Duration = Duration::from_secs(60);

/// Everything a run saw.
#[derive(Debug)]
struct Run {
    placed: Vec<Placed>,
    ended: BTreeMap<uuid::Uuid, outcomes::Ended>,
    began: Timestamp,
    ended_at: Timestamp,
    lag_after: Duration,
    before: machine::Sample,
    after: machine::Sample,
    reference: u64,
    open_loop_rate: Option<u64>,
    planned_rejections: bool,
}

/// Loads the running stack and reports.
///
/// # Errors
/// When no stack runs or the set-up fails.
pub async fn run(arguments: Arguments, stack: &Stack) -> anyhow::Result<ExitCode> {
    let run = measured(&arguments, stack).await?;
    let report = report::Report::of(&run);
    if arguments.json {
        terminal::say_json(&report)?;
    } else {
        report.print();
    }
    Ok(if report.as_planned() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn measured(arguments: &Arguments, stack: &Stack) -> anyhow::Result<Run> {
    let endpoints = stack.endpoints()?;
    let mut progress = terminal::Progress::default();
    progress.show("measuring this machine's batched commits");
    let url = endpoints
        .postgres
        .get("order")
        .context("the stack names no database of order")?;
    let reference = reference::batched_commits_per_second(url)
        .await
        .context("measure the reference")?;
    progress.show("opening a shop of its own");
    let name = format!("{:x}", SystemClock.now().as_millis());
    let shop = shop::open(&stack.gateway()?, &name, arguments.stock).await?;
    let stores = shop.stores.clone();
    let databases = databases(&endpoints)?;
    progress.show(&format!("warming up for {} s", arguments.warm_up));
    let load = |seconds, seed| arguments.load(stack, shop.clone(), seconds, seed);
    workload::run(
        load(arguments.warm_up, !arguments.seed)?,
        CancellationToken::new(),
    )
    .await;
    progress.show(&format!("ordering for {} s", arguments.duration));
    let before = machine::sample(&endpoints, &databases).await;
    let began = SystemClock.now();
    let measured = load(arguments.duration, arguments.seed)?;
    let placed = workload::run(measured, CancellationToken::new()).await;
    let ended_at = SystemClock.now();
    progress.show("waiting until every order is closed");
    let orders = databases.get("order").context("no database of order")?;
    let lag_after = until_closed(orders, &stores).await?;
    let after = machine::sample(&endpoints, &databases).await;
    let ended = outcomes::read(orders, &stores, began)
        .await
        .context("read the outcomes")?;
    Ok(Run {
        placed,
        ended,
        began,
        ended_at,
        lag_after,
        before,
        after,
        reference,
        open_loop_rate: (!arguments.max).then_some(arguments.rate),
        planned_rejections: arguments.stock < 1_000_000,
    })
}

// === impl Arguments ===

impl Arguments {
    fn load(&self, stack: &Stack, shop: Shop, seconds: u64, seed: u64) -> anyhow::Result<Load> {
        Ok(Load {
            gateway: stack.gateway()?,
            shop,
            mix: Mix::default(),
            rate: (!self.max).then_some(self.rate),
            duration: Duration::from_secs(seconds),
            connections: self.connections,
            timeout: TIMEOUT,
            insist: Duration::ZERO,
            seed,
            journal: self.journal.as_deref().map(Journal::open).transpose()?,
        })
    }
}

fn databases(endpoints: &Endpoints) -> anyhow::Result<BTreeMap<&'static str, Pool>> {
    ["order", "inventory", "payment"]
        .into_iter()
        .map(|service| Ok((service, sources::database(endpoints, service)?)))
        .collect()
}

async fn until_closed(orders: &Pool, stores: &[String]) -> anyhow::Result<Duration> {
    let started = tokio::time::Instant::now();
    while outcomes::open(orders, stores)
        .await
        .context("count open orders")?
        > 0
        && started.elapsed() < CLOSE_WITHIN
    {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(started.elapsed())
}
