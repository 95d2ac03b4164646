//! Faults of those who follow the orders: the barista, the notifications, the boards, and of the mailbox
//! and the webhook receiver outside. Whatever happens to them, orders go on.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use brewline_chaos::faults;
use brewline_chaos::workload::Client;
use brewline_kernel::system::SystemClock;
use brewline_kernel::{Clock as _, Timestamp};
use brewline_postgres::{Instant, Row};
use hyper::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::platform::{Platform, number};
use crate::scenarios::{Scenario, leak, scenario};
use crate::visitors::HOOK;

/// The services that follow.
const FOLLOWERS: [&str; 3] = ["barista", "notification", "leaderboard"];
/// Where the barista can die while customers order, cancel and collect.
const BARISTA: [&str; 6] = [
    "barista.opened-before-commit",
    "barista.started-before-commit",
    "barista.done-before-commit",
    "barista.withdrawn-before-commit",
    "consumer.committed",
    "relay.acked-before-mark",
];
/// Where the notifications can die while mails are wanted and a till listens.
const NOTIFICATION: [&str; 5] = [
    "notification.claimed",
    "notification.sent-before-record",
    "notification.hook-sent-before-record",
    "consumer.fetched-before-commit",
    "relay.acked-before-mark",
];
/// So many orders are placed, and settle, while a follower stands still.
const WHILE: i64 = 40;
/// So many mails or calls have met a misbehaviour before it ends.
const MET: i64 = 5;
/// So many cancellations each way decide a race.
const EACH_WAY: i64 = 3;
/// How long the gateway may take to say what is missing.
const ANSWERED_WITHIN: Duration = Duration::from_secs(15);

/// All of them.
pub(crate) fn all() -> Vec<Scenario> {
    let mut all = vec![
        scenario("crash-barista-at-each-point", |p| {
            Box::pin(crash_at_each(p, "barista", &BARISTA))
        }),
        scenario("crash-barista-refusing-a-withdrawal", |p| {
            Box::pin(crash_while_racing(
                p,
                "barista",
                "barista.refused-before-commit",
            ))
        }),
        scenario("crash-order-hearing-of-a-withdrawal", |p| {
            Box::pin(crash_at_each(
                p,
                "order",
                &["order.withdrawal-before-commit"],
            ))
        }),
        scenario("crash-order-erasing-a-customer", |p| {
            Box::pin(crash_erasing(p))
        }),
        scenario("crash-notification-at-each-point", |p| {
            Box::pin(crash_at_each(p, "notification", &NOTIFICATION))
        }),
        scenario("crash-leaderboard-writing-a-snapshot", |p| {
            Box::pin(crash_at_each(
                p,
                "leaderboard",
                &["leaderboard.snapshot-half-written"],
            ))
        }),
        scenario("kill-all-who-follow", |p| Box::pin(kill_all(p))),
        scenario("cancelling-races-with-starting", |p| Box::pin(race(p))),
        scenario("mailbox-refuses-is-slow-and-loses-its-answers", |p| {
            Box::pin(mailbox(p))
        }),
        scenario("till-fails-redirects-hangs-trickles-and-goes", |p| {
            Box::pin(till(p))
        }),
    ];
    for service in FOLLOWERS {
        let name = leak(format!("orders-do-not-need-{service}"));
        all.push(scenario(name, move |p| Box::pin(isolated(p, service))));
    }
    all
}

async fn crash_at_each(
    platform: &Platform,
    service: &'static str,
    points: &[&str],
) -> anyhow::Result<()> {
    for point in points {
        let (admin, pid) = platform.instance(service, 1)?;
        faults::arm(&admin, &format!("{point}=kill")).await?;
        let crashed = platform.reborn(service, 1, pid).await;
        crashed.with_context(|| format!("{point} never bit"))?;
        catches_up(platform, service).await?;
    }
    Ok(())
}

/// So many records a service has taken since it was born again before it dies once more: one that died
/// twice with the same record alone in hand would rightly blame the record.
const TAKEN: i64 = 30;

async fn catches_up(platform: &Platform, service: &str) -> anyhow::Result<()> {
    // The leaderboard keeps no positions; it blames nothing either.
    if service == "leaderboard" {
        return Ok(());
    }
    let sql = "select coalesce(sum(next_offset), 0)::bigint from consumer_position";
    let database = platform.database(service)?;
    let before = number(&database, sql, &[]).await?;
    platform
        .until("it takes records again", async || {
            let now = number(&database, sql, &[]).await;
            now.is_ok_and(|now| now >= before + TAKEN)
        })
        .await
}

async fn kill_all(platform: &Platform) -> anyhow::Result<()> {
    let mut killed = Vec::new();
    for service in FOLLOWERS {
        let (_, pid) = platform.instance(service, 1)?;
        faults::kill(pid)?;
        killed.push((service, pid));
    }
    for (service, pid) in killed {
        platform.reborn(service, 1, pid).await?;
    }
    Ok(())
}

/// A crash that bites only where customers cancel what somebody begins with.
async fn crash_while_racing(
    platform: &Platform,
    service: &'static str,
    point: &str,
) -> anyhow::Result<()> {
    let (admin, pid) = platform.instance(service, 1)?;
    faults::arm(&admin, &format!("{point}=kill")).await?;
    let crashed = platform
        .until("the crash point bites", async || {
            // Whoever is told nothing asks again: the process may be dead by now.
            drop(cancel_and_start(platform).await);
            platform
                .instance(service, 1)
                .is_ok_and(|(_, now)| now != pid)
        })
        .await;
    crashed.with_context(|| format!("{point} never bit"))?;
    platform.reborn(service, 1, pid).await
}

/// Cancellations and beginnings of the same orders at the same time, until each has won some.
async fn race(platform: &Platform) -> anyhow::Result<()> {
    let began = SystemClock.now();
    let barista = platform.database("barista")?;
    let count = async |sql| number(&barista, sql, &[&Instant(began)]).await;
    platform
        .until("both sides win some races", async || {
            drop(cancel_and_start(platform).await);
            let refused = count(REFUSED).await;
            let withdrawn = count(WITHDRAWN).await;
            [refused, withdrawn]
                .into_iter()
                .all(|won| won.is_ok_and(|won| won >= EACH_WAY))
        })
        .await
}

const REFUSED: &str = "select count(*) from outbox
    where occurred_at >= $1 and type like '%WithdrawalRefused'";
const WITHDRAWN: &str = "select count(*) from outbox
    where occurred_at >= $1 and type like '%TicketsWithdrawn'";

/// Young orders of the stores in which nobody works.
const YOUNG: &str = "select order_id from orders
    where status = 'confirmed' and store_id <> $1 order by order_id desc limit 4";
/// The first ticket of an order.
const FIRST_TICKET: &str = "select ticket_id from ticket
    where order_id = $1 and status = 'open' order by line limit 1";

/// Somebody begins with a few orders just when their customers want them back; each time a little
/// earlier or later, so that neither is always the first.
pub(crate) async fn cancel_and_start(platform: &Platform) -> anyhow::Result<()> {
    let (orders, barista) = (platform.database("order")?, platform.database("barista")?);
    let gateway = platform.endpoints()?.gateway.context("no gateway")?;
    let rows = orders.get().await?.query(YOUNG, &[&platform.bar]).await?;
    for (row, later) in rows.iter().zip([0, 5, 15, 40]) {
        let order: Uuid = row.get(0);
        let tickets = barista.get().await?.query(FIRST_TICKET, &[&order]).await?;
        let Some(ticket) = tickets.first().map(|row: &Row| row.get::<_, Uuid>(0)) else {
            continue;
        };
        let cancel = ask(&gateway, format!("/v1/orders/{order}/cancel"));
        let start = async {
            tokio::time::sleep(Duration::from_millis(later)).await;
            ask(&gateway, format!("/v1/tickets/{ticket}/start")).await
        };
        let (cancelled, started) = tokio::join!(cancel, start);
        cancelled.and(started)?;
    }
    Ok(())
}

/// Whoever comes too late is told so: that is an answer.
async fn ask(gateway: &str, path: String) -> anyhow::Result<()> {
    let mut client = Client::new(gateway, Duration::from_secs(3));
    client
        .send(Method::POST, &path, None, String::new())
        .await?;
    Ok(())
}

/// Makes a customer and erases them; the idempotent answer of the making is kept.
pub(crate) async fn erase_somebody(platform: &Platform) -> anyhow::Result<()> {
    let gateway = platform.endpoints()?.gateway.context("no gateway")?;
    let mut client = Client::new(&gateway, Duration::from_secs(3));
    let key = Uuid::new_v4().to_string();
    let body = json!({
        "name": "Nobody Longer", "email": format!("{key}@example.com"), "locale": "en", "showName": true,
    });
    let made = client
        .send(Method::POST, "/v1/customers", Some(&key), body.to_string())
        .await?;
    let made: Value = serde_json::from_slice(&made.body)?;
    let id = made.get("customerId").and_then(Value::as_str);
    let path = format!("/v1/customers/{}", id.context("a customer without id")?);
    let erased = client
        .send(Method::DELETE, &path, None, String::new())
        .await?;
    ensure!(
        erased.status.is_success(),
        "{path} answered {}",
        erased.status
    );
    Ok(())
}

async fn crash_erasing(platform: &Platform) -> anyhow::Result<()> {
    let (admin, pid) = platform.instance("order", 1)?;
    faults::arm(&admin, "order.erased-before-commit=kill").await?;
    drop(erase_somebody(platform).await);
    platform.reborn("order", 1, pid).await?;
    platform
        .until("somebody is erased", async || {
            erase_somebody(platform).await.is_ok()
        })
        .await
}

/// Mails that had to be tried again.
const MAILED_AGAIN: &str = "select count(*) from delivery where created_at >= $1 and attempts > 1";
/// Mails that were tried at all.
const MAILED: &str = "select count(*) from delivery where created_at >= $1 and attempts > 0";

async fn mailbox(platform: &Platform) -> anyhow::Result<()> {
    for (how, met) in [
        (json!({ "mode": "refuse-connection", "share": 1.0 }), MAILED),
        (
            json!({ "mode": "slow", "delayMs": 900, "share": 0.5 }),
            MAILED,
        ),
        (
            json!({ "mode": "done-then-reset", "share": 0.5 }),
            MAILED_AGAIN,
        ),
    ] {
        misbehave(platform, "mail", &how, met).await?;
    }
    Ok(())
}

/// Calls that were tried and are not delivered.
const CALL_FAILS: &str = "select count(*) from call
    where occurred_at >= $1 and attempts > 0 and state <> 'delivered'";
/// Calls whose status came, whatever became of the rest of the answer.
const CALLED: &str = "select count(*) from call where occurred_at >= $1 and state = 'delivered'";
/// Endpoints that are disabled, as often as it takes to be enough.
const DISABLED: &str = "select count(*) * 5 from endpoint where disabled_at >= $1";

/// The till answers in every way that is none; at last it says that it is gone, and is told again once
/// somebody asks for it.
async fn till(platform: &Platform) -> anyhow::Result<()> {
    for (how, met) in [
        (
            json!({ "mode": "error", "status": 500, "share": 0.5 }),
            CALL_FAILS,
        ),
        (
            json!({ "mode": "error", "status": 302, "share": 0.5 }),
            CALL_FAILS,
        ),
        (json!({ "mode": "hang", "share": 0.5 }), CALL_FAILS),
        (
            json!({ "mode": "trickle", "delayMs": 300, "share": 1.0 }),
            CALLED,
        ),
        (
            json!({ "mode": "error", "status": 410, "share": 1.0 }),
            DISABLED,
        ),
    ] {
        misbehave(platform, "hook", &how, met).await?;
    }
    let sql = "select endpoint_id from endpoint where url like '%/hook/' || $1";
    let notification = platform.database("notification")?;
    let row = notification.get().await?.query_one(sql, &[&HOOK]).await?;
    let gateway = platform.endpoints()?.gateway.context("no gateway")?;
    let path = format!("/v1/webhooks/{}/redeliver", row.get::<_, Uuid>(0));
    let mut client = Client::new(&gateway, Duration::from_secs(3));
    let answer = client
        .send(Method::POST, &path, None, String::new())
        .await?;
    ensure!(
        answer.status.is_success(),
        "{path} answered {}",
        answer.status
    );
    Ok(())
}

/// Misbehaves until enough has met it, while orders settle as ever.
async fn misbehave(
    platform: &Platform,
    what: &str,
    how: &Value,
    met: &'static str,
) -> anyhow::Result<()> {
    let outside = platform.processor()?;
    let began = SystemClock.now();
    faults::misbehave(&outside, what, how).await?;
    let notification = platform.database("notification")?;
    let told = platform
        .until("enough has met it", async || {
            let found = number(&notification, met, &[&Instant(began)]).await;
            found.is_ok_and(|found| found >= MET)
        })
        .await;
    faults::behave(&outside).await?;
    told.with_context(|| format!("{what}: {how}"))
}

/// Orders placed since then.
const PLACED: &str = "select count(*) from orders where placed_at >= $1";
/// Those of them, up to another instant, about which nothing is decided.
const PENDING: &str =
    "select count(*) from orders where status = 'pending' and placed_at between $1 and $2";

/// A follower stands still. Orders are accepted and settle all the while, and whoever asks for its part
/// is told what is missing.
async fn isolated(platform: &Platform, service: &str) -> anyhow::Result<()> {
    let (_, pid) = platform.instance(service, 1)?;
    faults::freeze(pid)?;
    let while_frozen = settles_without(platform, service).await;
    faults::thaw(pid)?;
    while_frozen
}

async fn settles_without(platform: &Platform, service: &str) -> anyhow::Result<()> {
    let orders = platform.database("order")?;
    let began = SystemClock.now();
    platform
        .until("orders are placed", async || {
            let placed = number(&orders, PLACED, &[&Instant(began)]).await;
            placed.is_ok_and(|placed| placed >= WHILE)
        })
        .await?;
    let until: Timestamp = SystemClock.now();
    platform
        .until("all that were placed settle", async || {
            let bounds = [Instant(began), Instant(until)];
            let [from, to] = &bounds;
            let pending = number(&orders, PENDING, &[from, to]).await;
            pending.is_ok_and(|pending| pending == 0)
        })
        .await?;
    names_what_is_missing(platform, service).await
}

async fn names_what_is_missing(platform: &Platform, service: &str) -> anyhow::Result<()> {
    let path = match service {
        "barista" => format!("/v1/stores/{}/wall", platform.bar),
        "notification" => "/v1/customers/customer-demo/notifications".to_owned(),
        _ => "/v1/boards/products".to_owned(),
    };
    let gateway = platform.endpoints()?.gateway.context("no gateway")?;
    let mut client = Client::new(&gateway, ANSWERED_WITHIN);
    let answer = client.send(Method::GET, &path, None, String::new()).await?;
    let told = String::from_utf8_lossy(&answer.body);
    ensure!(
        answer.status.is_server_error() && told.contains(service),
        "{path} answered {} while {service} stood still: {told}",
        answer.status
    );
    Ok(())
}
