use std::time::Duration;

use anyhow::Context as _;
use brewline_chaos::faults;
use brewline_chaos::workload::Client;
use brewline_kernel::system::SystemClock;
use brewline_kernel::{Clock as _, Timestamp};
use brewline_postgres::{Instant, Pool};
use hyper::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::platform::{Platform, number};
use crate::scenarios::{Scenario, leak, scenario};

/// An operation of the card processor, how it misbehaves, and how many payments must have met it.
type Mode = (&'static str, Value, i64);

/// Authorisations and captures are many, what undoes them is rare.
const MANY: i64 = 40;
const FEW: i64 = 2;
/// How long the gateway may take to answer a cancellation.
const CANCEL_WITHIN: Duration = Duration::from_secs(3);

/// So many payments whose outcome is not known are older than the processor's memory of their key.
const OUTLIVE_THEIR_KEY: i64 = 2;

/// Each misbehaviour once.
pub(crate) fn all() -> Vec<Scenario> {
    let mut all: Vec<Scenario> = modes().into_iter().map(misbehaves).collect();
    all.push(scenario("processor-refund-error", |p| {
        Box::pin(refuse_refunds(p))
    }));
    all.push(scenario("processor-void-done-then-reset", |p| {
        Box::pin(lose_voids(p))
    }));
    all.push(scenario("processor-forgets-keys", |p| {
        Box::pin(forget_keys(p))
    }));
    all
}

fn modes() -> [Mode; 8] {
    let half = |mode: &str| json!({ "mode": mode, "share": 0.5 });
    let busy = json!({ "mode": "error", "status": 503, "share": 0.5 });
    let slow = json!({ "mode": "slow", "delayMs": 1800, "share": 0.5 });
    [
        ("authorise", half("done-then-hang"), MANY),
        ("authorise", half("done-then-reset"), MANY),
        ("authorise", busy, MANY),
        ("authorise", half("hang"), MANY),
        ("authorise", slow, MANY),
        ("authorise", half("refuse-connection"), MANY),
        ("capture", half("done-then-hang"), MANY),
        ("capture", half("done-then-reset"), MANY),
    ]
}

fn misbehaves((what, how, met): Mode) -> Scenario {
    let mode = how.get("mode").and_then(Value::as_str);
    let name = leak(format!("processor-{what}-{}", mode.unwrap_or_default()));
    scenario(name, move |p| {
        let how = how.clone();
        Box::pin(async move { misbehave(p, &[(what, how)], MET_IT, met).await })
    })
}

/// Payments that had to be asked for again.
const MET_IT: &str = "
    select count(*) from payment
    where recorded_at >= $1 and greatest(authorise_attempts, capture_attempts) > 1
       or reversed_at >= $1 and reverse_attempts > 1";

/// Payments whose reversal had to be asked for again.
const REVERSED_AGAIN: &str =
    "select count(*) from payment where reversed_at >= $1 and reverse_attempts > 1";

/// Orders whose card is being authorised.
const AUTHORISING: &str = "select saga_id from saga where state = 'authorising' limit 5";

/// Orders that are paid, and that perhaps nobody has begun with.
const SOLD: &str = "select o.order_id from orders o join saga s on s.saga_id = o.order_id
    where o.status = 'confirmed' and s.state = 'completed' order by o.order_id desc limit 2";

/// Payments not known for longer than the four seconds that the processor remembers a key here; the
/// platform's settings say so.
const OUTLIVED: &str = "
    select count(*) from payment
    where recorded_at between $1 and now() - interval '4 s'
      and 'unknown' in (authorise_state, capture_state)";

/// Answers are lost for longer than the processor remembers keys: to repeat a request would charge
/// twice, so only a look by reference may tell.
async fn forget_keys(platform: &Platform) -> anyhow::Result<()> {
    let lost = json!({ "mode": "done-then-hang", "share": 0.6 });
    let both = [("authorise", lost.clone()), ("capture", lost)];
    misbehave(platform, &both, OUTLIVED, OUTLIVE_THEIR_KEY).await
}

/// Refunds fail. Few customers want back what is sold, so somebody cancels what nobody has begun with.
async fn refuse_refunds(platform: &Platform) -> anyhow::Result<()> {
    let error = [("refund", json!({ "mode": "error", "share": 0.7 }))];
    let orders = platform.database("order")?;
    let gateway = platform.endpoints()?.gateway.context("no gateway")?;
    let cancelling = async || cancel_some(&orders, SOLD, &gateway).await;
    misbehave_while(platform, &error, REVERSED_AGAIN, FEW, cancelling).await
}

/// Answers about voids are lost. Only what is cancelled while its card is being authorised is voided
/// later; customers seldom hit that moment, so it is made long here and somebody cancels within it.
async fn lose_voids(platform: &Platform) -> anyhow::Result<()> {
    let slow = json!({ "mode": "slow", "delayMs": 400, "share": 1.0 });
    let lost = json!({ "mode": "done-then-reset", "share": 0.7 });
    let orders = platform.database("order")?;
    let gateway = platform.endpoints()?.gateway.context("no gateway")?;
    let cancelling = async || cancel_some(&orders, AUTHORISING, &gateway).await;
    let both = [("authorise", slow), ("void", lost)];
    misbehave_while(platform, &both, REVERSED_AGAIN, FEW, cancelling).await
}

async fn cancel_some(orders: &Pool, which: &'static str, gateway: &str) -> anyhow::Result<()> {
    let mut client = Client::new(gateway, CANCEL_WITHIN);
    for row in orders.get().await?.query(which, &[]).await? {
        let path = format!("/v1/orders/{}/cancel", row.get::<_, Uuid>(0));
        client
            .send(Method::POST, &path, None, String::new())
            .await?;
    }
    Ok(())
}

/// Misbehaves until enough payments have met it, as `counted` tells.
async fn misbehave(
    platform: &Platform,
    what: &[(&str, Value)],
    counted: &'static str,
    wanted: i64,
) -> anyhow::Result<()> {
    misbehave_while(platform, what, counted, wanted, async || Ok(())).await
}

/// Misbehaves, and does something again and again, until enough payments have met it.
async fn misbehave_while(
    platform: &Platform,
    what: &[(&str, Value)],
    counted: &'static str,
    wanted: i64,
    meanwhile: impl AsyncFn() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let processor = platform.processor()?;
    let began: Timestamp = SystemClock.now();
    for (what, how) in what {
        faults::misbehave(&processor, what, how).await?;
    }
    let payments = platform.database("payment")?;
    let met = platform
        .until("enough payments met it", async || {
            let met = number(&payments, counted, &[&Instant(began)]).await;
            meanwhile().await.is_ok() && met.is_ok_and(|met| met >= wanted)
        })
        .await;
    faults::behave(&processor).await?;
    met.context("the processor's misbehaviour")
}
