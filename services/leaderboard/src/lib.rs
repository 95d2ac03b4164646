//! The shell of `leaderboard`: boards in memory, folded from the log.
//!
//! What counts, and how, is in `brewline-leaderboard-domain`. Here records become events of the fold, one loop
//! applies them, and everybody else reads. [`app`] holds that loop, snapshots and rebuilds; [`inbound`] the
//! records and gRPC; [`outbound`] the calendar and all SQL.

pub mod app;
pub mod config;
pub mod inbound;
pub mod outbound;
mod signals;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use brewline_kafka::{self as kafka, Admin};
use brewline_kernel::Clock;
use brewline_kernel::system::{SystemClock, SystemIds};
use brewline_leaderboard_domain::Calendar;
use brewline_postgres::{Migration, Pool};
use brewline_proto::leaderboard::v1::leaderboard_service_server::LeaderboardServiceServer;
use brewline_proto::operator::v1::operator_service_server::OperatorServiceServer;
use brewline_proto::operator::v1::view_service_server::ViewServiceServer;
use brewline_server::{Context, database, grpc};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tonic::service::Routes;

use crate::app::apply::Applier;
use crate::app::heads::Heads;
use crate::app::live::{Live, State};
use crate::app::rebuild::{Progress, Rebuilder, Switch};
use crate::app::snapshots::{self, Snapshots};
use crate::config::Config;
use crate::inbound::grpc::BoardsGrpc;
use crate::inbound::operator::OperatorGrpc;
use crate::inbound::records::Topics;
use crate::inbound::views::ViewsGrpc;
use crate::outbound::calendar::ZoneCalendar;

/// The service's name.
pub const SERVICE: &str = "leaderboard";
/// What reads the log here. It is no group: each replica reads everything.
pub const CONSUMER: &str = "brewline.leaderboard.boards";

/// The schema, step by step.
pub const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "snapshots",
    sql: include_str!("../migrations/0001_snapshots.sql"),
}];

/// A loop that has not moved for so long is stuck.
const STALL: Duration = Duration::from_secs(60);
/// How long to wait for a broker or a database that is not there yet.
const STARTING: Duration = Duration::from_millis(200);
/// How often it is looked whether a store has moved to another time zone.
const ZONE_CHECK: Duration = Duration::from_secs(1);
/// How long after a rebuild that failed the next is tried.
const ZONE_AGAIN: Duration = Duration::from_secs(30);

/// Boards at work, and what else asks them.
#[derive(Clone, Debug)]
pub struct Boards {
    /// The boards.
    pub live: Arc<Live>,
    /// Where the log ends.
    pub heads: Heads,
    /// Makes them anew.
    pub rebuilder: Rebuilder,
    /// Where snapshots and the audit are.
    pub pool: Pool,
}

/// Starts the service: schema, snapshot, the applying loop, gRPC.
///
/// # Errors
/// When the schema cannot be made or the port cannot be bound.
pub async fn run(config: Config, context: Context) -> anyhow::Result<()> {
    let pool = database::open(&context, &config.postgres, MIGRATIONS).await?;
    let boards = open(
        &context,
        pool,
        &config.kafka,
        Topics::default(),
        config.snapshot_interval,
    )
    .await?;
    follow_time_zones(&context, boards.clone());
    grpc::serve(&context, config.grpc_listen, boards.routes(&context)).await
}

/// Brings the boards back and sets them to work.
///
/// # Errors
/// When the broker's settings do not fit together.
pub async fn open(
    context: &Context,
    pool: Pool,
    kafka: &kafka::Config,
    topics: Topics,
    snapshot_interval: Duration,
) -> anyhow::Result<Boards> {
    let gate = context.health().gate("boards");
    let admin = Admin::new(kafka).context("make an admin client")?;
    let state = restored(&pool, &admin, &topics).await;
    let (live, requests) = Live::new(state);
    let live = Arc::new(live);
    let calendar: Arc<dyn Calendar + Send + Sync> = Arc::new(ZoneCalendar::default());
    let applier = Applier {
        live: Arc::clone(&live),
        kafka: kafka.clone(),
        topics: topics.clone(),
        calendar: Arc::clone(&calendar),
        requests,
        heartbeat: context.health().watch("boards", STALL),
        gate: gate.clone(),
        shutdown: context.shutdown(),
    };
    let handle = Handle::current();
    // A thread of its own: folding a backlog must not keep queries waiting.
    let work = tokio::task::spawn_blocking(move || handle.block_on(applier.run()));
    context.spawn("boards", async { work.await.context("fold the log") });
    let heads = Heads::default();
    let (ends, source) = (heads.clone(), (admin.clone(), topics.clone()));
    let (followed, shutdown) = (Arc::clone(&live), context.shutdown());
    context.spawn("heads", async move {
        ends.follow(followed, source, Arc::new(SystemClock), gate, shutdown)
            .await;
        Ok(())
    });
    take_snapshots(
        context,
        (&live, &pool),
        (admin, topics.clone()),
        snapshot_interval,
    );
    let rebuilder = Rebuilder {
        live: Arc::clone(&live),
        kafka: kafka.clone(),
        topics,
        calendar,
    };
    Ok(Boards {
        live,
        heads,
        rebuilder,
        pool,
    })
}

fn take_snapshots(
    context: &Context,
    (live, pool): (&Arc<Live>, &Pool),
    (admin, topics): (Admin, Topics),
    interval: Duration,
) {
    let snapshots = Snapshots {
        live: Arc::clone(live),
        pool: pool.clone(),
        admin,
        topics,
        instance: context.instance.to_string(),
        interval,
    };
    let shutdown = context.shutdown();
    context.spawn("snapshots", async move {
        snapshots.run(shutdown).await;
        Ok(())
    });
}

/// The snapshot's state, waiting for a database or a broker that is not there yet.
async fn restored(pool: &Pool, admin: &Admin, topics: &Topics) -> State {
    loop {
        match snapshots::restore(pool, admin, topics).await {
            Ok(state) => return state,
            Err(error) => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "boards cannot begin yet; trying again"
                );
                tokio::time::sleep(STARTING).await;
            }
        }
    }
}

/// A store that moves to another time zone dates all its sales anew: only a new fold does that.
fn follow_time_zones(context: &Context, boards: Boards) {
    let shutdown = context.shutdown();
    context.spawn("time-zones", async move {
        let mut wait = ZONE_CHECK;
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return Ok(()),
                () = tokio::time::sleep(wait) => {}
            }
            wait = ZONE_CHECK;
            if !boards.live.read().fold.zone_moved() {
                continue;
            }
            let (rebuilder, handle) = (boards.rebuilder.clone(), Handle::current());
            let progress = watch::Sender::new(Progress::default());
            let work = move || handle.block_on(rebuilder.run(Switch::Always, &progress));
            match tokio::task::spawn_blocking(work).await {
                Ok(Ok(rebuilt)) => {
                    tracing::info!(
                        events = rebuilt.records,
                        "a store's time zone changed; boards were made anew"
                    );
                }
                Ok(Err(error)) => tracing::warn!(%error, "boards were not made anew; trying again"),
                Err(_) => tracing::error!("a rebuild panicked"),
            }
            wait = ZONE_AGAIN;
        }
    });
}

// === impl Boards ===

impl Boards {
    /// The gRPC services.
    #[must_use]
    pub fn routes(&self, context: &Context) -> Routes {
        let Self {
            live,
            heads,
            rebuilder,
            pool,
        } = self.clone();
        let (topics, calendar) = (rebuilder.topics.clone(), Arc::clone(&rebuilder.calendar));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let boards = BoardsGrpc::new(
            Arc::clone(&live),
            topics.clone(),
            calendar,
            Arc::clone(&clock),
            context.shutdown(),
        );
        let operator = OperatorGrpc {
            live,
            heads,
            topics,
            pool: pool.clone(),
            clock,
        };
        let views = ViewsGrpc::new(rebuilder, pool, Arc::new(SystemIds));
        Routes::new(LeaderboardServiceServer::new(boards))
            .add_service(OperatorServiceServer::new(operator))
            .add_service(ViewServiceServer::new(views))
    }
}
