use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use anyhow::{Context as _, bail};
use brewline_chaos::faults;
use brewline_kernel::system::SystemClock;
use brewline_kernel::{Clock as _, Timestamp};
use brewline_postgres::{Instant, Pool};
use serde_json::json;

use crate::platform::{Platform, number};
use crate::{followers, operators, processor, replays};

/// How a fault is done; it returns once the fault is over and only healing is left.
type Fault =
    Box<dyn for<'a> Fn(&'a Platform) -> Pin<Box<dyn Future<Output = anyhow::Result<()>> + 'a>>>;

/// One fault.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) fault: Fault,
}

/// Every crash point of an order's way, in its order, with the service it is in.
const CRASH_POINTS: [(&str, &str); 23] = [
    ("gateway", "gateway.answered-before-reply"),
    ("order", "order.before-commit"),
    ("order", "order.placed-before-reply"),
    ("order", "order.cancelled-before-reply"),
    ("order", "relay.read-before-send"),
    ("order", "relay.acked-before-mark"),
    ("order", "relay.marked"),
    ("order", "consumer.fetched-before-commit"),
    ("order", "consumer.committed"),
    ("order", "checkout.step-recorded-before-call"),
    ("order", "checkout.call-answered-before-commit"),
    ("order", "checkout.outcome-committed"),
    ("inventory", "consumer.fetched-before-commit"),
    ("inventory", "consumer.committed"),
    ("inventory", "relay.read-before-send"),
    ("inventory", "relay.acked-before-mark"),
    ("inventory", "relay.marked"),
    ("payment", "payment.intent-recorded-before-request"),
    ("payment", "payment.answered-before-record"),
    ("payment", "payment.recorded-before-reply"),
    ("payment", "relay.read-before-send"),
    ("payment", "relay.acked-before-mark"),
    ("payment", "relay.marked"),
];

/// So many orders go through while a fault lasts that nothing may wait for.
const WHILE: i64 = 40;

/// How often Kafka is made to miss its session, and how far: twice what `up` gives it.
const FENCINGS: usize = 3;
const PAST_ITS_SESSION: Duration = Duration::from_secs(3);

/// How often a process is stopped to find it without a transaction; it is mostly without.
const FREEZES_MAX: usize = 200;

/// Holds one batch of orders open for long enough that others overtake it.
const SLOW_COMMIT: &str = "order.before-commit=pause:1200";

/// Every scenario: each crash point once, and in the long run at several passes and under answers of
/// the card processor that get lost.
pub(crate) fn all(long: bool) -> Vec<Scenario> {
    let mut all = vec![scenario("control-without-fault", |_| {
        Box::pin(async { Ok(()) })
    })];
    all.extend(operators::all());
    for (service, point) in CRASH_POINTS {
        let name = leak(format!("crash-{service}-at-{point}"));
        all.push(scenario(name, move |p| Box::pin(crash(p, service, point))));
    }
    for service in ["gateway", "order", "inventory", "payment", "sandbox"] {
        let name = leak(format!("kill-{service}"));
        all.push(scenario(name, move |p| Box::pin(kill(p, service))));
    }
    all.push(scenario("kill-postgres", |p| Box::pin(kill_postgres(p))));
    all.push(scenario("kill-kafka", |p| Box::pin(kill_kafka(p))));
    all.push(scenario("kafka-fenced-again-and-again", |p| {
        Box::pin(fence_kafka(p))
    }));
    all.extend(processor::all());
    all.extend(followers::all());
    all.push(scenario("timer-claimed", |p| Box::pin(timer_claimed(p))));
    all.push(scenario("two-of-each", |p| Box::pin(two_of_each(p))));
    all.push(scenario("relay-holder-frozen-past-its-lease", |p| {
        Box::pin(frozen(p, "order"))
    }));
    all.push(scenario("consumer-frozen-past-its-session", |p| {
        Box::pin(frozen(p, "inventory"))
    }));
    all.push(scenario("slow-transaction-holds-a-low-position", |p| {
        Box::pin(slow_transaction(p))
    }));
    all.push(scenario("slow-transaction-commits-a-low-position", |p| {
        Box::pin(commit_late(p))
    }));
    all.push(scenario("every-record-published-twice-at-once", |p| {
        Box::pin(replays::at_once(p))
    }));
    all.push(scenario("old-records-published-again-late", |p| {
        Box::pin(replays::late(p))
    }));
    if long {
        all.extend(cross_product());
    }
    all
}

/// Each crash point at its second, fifth and eleventh pass, with and without lost answers.
fn cross_product() -> Vec<Scenario> {
    let mut all = Vec::new();
    for (service, point) in CRASH_POINTS {
        for pass in [2, 5, 11] {
            for lost in [false, true] {
                let under = if lost { "-under-lost-answers" } else { "" };
                let name = leak(format!("crash-{service}-at-{point}-pass-{pass}{under}"));
                let plan = format!("{point}=kill@{pass}");
                all.push(scenario(name, move |p| {
                    let plan = plan.clone();
                    Box::pin(async move { crash_under(p, service, &plan, lost).await })
                }));
            }
        }
    }
    all
}

async fn crash_under(
    platform: &Platform,
    service: &str,
    plan: &str,
    lost: bool,
) -> anyhow::Result<()> {
    let processor = platform.processor()?;
    if lost {
        let how = json!({ "mode": "done-then-reset", "share": 0.3 });
        for what in ["authorise", "capture", "void", "refund"] {
            faults::misbehave(&processor, what, &how).await?;
        }
    }
    let (admin, pid) = platform.instance(service, 1)?;
    faults::arm(&admin, plan).await?;
    let crashed = platform.reborn(service, 1, pid).await;
    faults::behave(&processor).await?;
    crashed.with_context(|| format!("{plan} never bit"))
}

pub(crate) fn scenario<F>(name: &'static str, fault: F) -> Scenario
where
    F: for<'a> Fn(&'a Platform) -> Pin<Box<dyn Future<Output = anyhow::Result<()>> + 'a>> + 'static,
{
    Scenario {
        name,
        fault: Box::new(fault),
    }
}

/// Names live as long as the run: there are a few dozen.
pub(crate) fn leak(name: String) -> &'static str {
    Box::leak(name.into_boxed_str())
}

async fn crash(platform: &Platform, service: &str, point: &str) -> anyhow::Result<()> {
    let (admin, pid) = platform.instance(service, 1)?;
    faults::arm(&admin, &format!("{point}=kill")).await?;
    platform
        .reborn(service, 1, pid)
        .await
        .with_context(|| format!("{point} never bit"))
}

async fn kill(platform: &Platform, service: &str) -> anyhow::Result<()> {
    let (_, pid) = platform.instance(service, 1)?;
    faults::kill(pid)?;
    platform.reborn(service, 1, pid).await
}

async fn kill_postgres(platform: &Platform) -> anyhow::Result<()> {
    let pid = platform
        .endpoints()?
        .pids
        .postgres
        .context("no PostgreSQL of our own")?;
    faults::kill(pid)?;
    platform
        .until("PostgreSQL is back", async || {
            let Ok(endpoints) = platform.endpoints() else {
                return false;
            };
            endpoints
                .pids
                .postgres
                .is_some_and(|now| now != pid && now != 0)
        })
        .await
}

async fn kill_kafka(platform: &Platform) -> anyhow::Result<()> {
    let pid = kafka(platform)?;
    faults::kill(pid)?;
    platform
        .until("Kafka is back", async || {
            let Ok(endpoints) = platform.endpoints() else {
                return false;
            };
            endpoints
                .pids
                .kafka
                .first()
                .is_some_and(|now| *now != pid && *now != 0)
        })
        .await
}

/// The broker stands still for longer than its session, several times: its controller then finds it gone,
/// and for a moment no partition has a leader. Clients have been seen to wait for one for ever.
async fn fence_kafka(platform: &Platform) -> anyhow::Result<()> {
    let pid = kafka(platform)?;
    for _ in 0..FENCINGS {
        faults::freeze(pid)?;
        // No sign tells that a broker which stands still has been given up: its controller stands still
        // with it, and looks at its watch on waking.
        tokio::time::sleep(PAST_ITS_SESSION).await;
        faults::thaw(pid)?;
        confirmed_since(platform, SystemClock.now()).await?;
    }
    Ok(())
}

fn kafka(platform: &Platform) -> anyhow::Result<u32> {
    let pids = platform.endpoints()?.pids.kafka;
    pids.first().copied().context("no Kafka of our own")
}

/// A timer is only claimed when a call came back unknown: so the processor is made to hang first.
async fn timer_claimed(platform: &Platform) -> anyhow::Result<()> {
    let processor = platform.processor()?;
    faults::misbehave(
        &processor,
        "authorise",
        &json!({ "mode": "hang", "share": 0.5 }),
    )
    .await?;
    let crashed = crash(platform, "order", "checkout.timer-claimed").await;
    faults::behave(&processor).await?;
    crashed
}

async fn two_of_each(platform: &Platform) -> anyhow::Result<()> {
    for service in ["order", "inventory", "payment"] {
        platform.cli(&["scale", service, "2"]).await?;
    }
    platform.all_ready().await?;
    for service in ["order", "inventory", "payment"] {
        let (_, pid) = platform.instance(service, 1)?;
        faults::kill(pid)?;
        platform.reborn(service, 1, pid).await?;
    }
    for service in ["order", "inventory", "payment"] {
        platform.cli(&["scale", service, "1"]).await?;
    }
    Ok(())
}

/// The first of two replicas stands still, and wakes when it is no longer what it was.
async fn frozen(platform: &Platform, service: &str) -> anyhow::Result<()> {
    platform.cli(&["scale", service, "2"]).await?;
    platform.all_ready().await?;
    freeze_until_replaced(platform, service).await?;
    platform.cli(&["scale", service, "1"]).await
}

/// The first of two replicas stands still until its lease and its session are over and the second has
/// taken its place; then it wakes, and finds out while orders flow.
pub(crate) async fn freeze_until_replaced(
    platform: &Platform,
    service: &str,
) -> anyhow::Result<()> {
    let (_, pid) = platform.instance(service, 1)?;
    let before = (
        platform.relay_epoch(service).await?,
        consumer_epochs(platform, service).await?,
    );
    freeze_between_transactions(platform, service, pid).await?;
    let replaced = platform
        .until("the other one has relay and consumers", async || {
            let relay = platform.relay_epoch(service).await;
            let consumers = consumer_epochs(platform, service).await;
            relay.is_ok_and(|now| now > before.0) && consumers.is_ok_and(|now| now > before.1)
        })
        .await;
    let woken = faults::thaw(pid);
    replaced?;
    woken?;
    platform.closed_since(SystemClock.now(), WHILE).await
}

/// Stops the first replica while it has no transaction open. In the middle of one it keeps its locks until
/// the server ends that, a minute later: the other one then waits, which is another fault.
async fn freeze_between_transactions(
    platform: &Platform,
    service: &str,
    pid: u32,
) -> anyhow::Result<()> {
    let sql = "select count(*) from pg_stat_activity
               where application_name = $1 and xact_start is not null";
    // As its own role: of others' sessions the server does not say what they do.
    let (server, instance) = (own_database(platform, service)?, format!("{service}-1"));
    for _ in 0..FREEZES_MAX {
        faults::freeze(pid)?;
        match number(&server, sql, &[&instance]).await {
            Ok(0) => return Ok(()),
            open => {
                faults::thaw(pid)?;
                open?;
            }
        }
    }
    bail!("{service} is never between its transactions")
}

/// The sum of a service's epochs as a consumer: it grows when a partition changes hands.
async fn consumer_epochs(platform: &Platform, service: &str) -> anyhow::Result<i64> {
    let sql = "select coalesce(sum(epoch), 0)::bigint from consumer_position";
    number(&platform.database(service)?, sql, &[]).await
}

/// A service's database as its own role.
fn own_database(platform: &Platform, service: &str) -> anyhow::Result<Pool> {
    let endpoints = platform.endpoints()?;
    let url = endpoints.postgres.get(service);
    let url = url.with_context(|| format!("no database of {service}"))?;
    let config = brewline_postgres::Config::from_url(url, 1).context("read the address")?;
    Ok(Pool::new(&config))
}

/// A transaction takes a position of the outbox and keeps it while orders are confirmed. Nobody may wait
/// for it, and nothing behind it may be forgotten.
async fn slow_transaction(platform: &Platform) -> anyhow::Result<()> {
    let pool = own_database(platform, "order")?;
    let db = pool.get().await?;
    db.batch_execute("begin; select pg_current_xact_id(); select nextval('outbox_position_0')")
        .await?;
    let confirmed = confirmed_since(platform, SystemClock.now()).await;
    db.batch_execute("rollback").await?;
    confirmed.context("while a transaction held a low position")
}

/// A batch of orders is written, and committed only when later positions are long published.
pub(crate) async fn commit_late(platform: &Platform) -> anyhow::Result<()> {
    let (admin, _) = platform.instance("order", 1)?;
    let began = SystemClock.now();
    faults::arm(&admin, SLOW_COMMIT).await?;
    confirmed_since(platform, began).await
}

async fn confirmed_since(platform: &Platform, since: Timestamp) -> anyhow::Result<()> {
    let sql = "select count(*) from orders where status = 'confirmed' and placed_at >= $1";
    let orders = platform.database("order")?;
    platform
        .until("orders are confirmed", async || {
            let confirmed = number(&orders, sql, &[&Instant(since)]).await;
            confirmed.is_ok_and(|confirmed| confirmed >= WHILE)
        })
        .await
}
