use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use brewline_chaos::evidence::{Evidence, EvidenceReader};
use brewline_chaos::verdict::{Finding, Verdict};
use brewline_chaos::{invariants, timeline};
use brewline_kernel::{Clock as _, Timestamp, system::SystemClock};
use brewline_postgres::{Instant as SqlInstant, Pool};

use crate::platform::Platform;
use crate::scenarios::Scenario;

/// Everything ordered before healing is closed within this time after it.
const CLOSED_WITHIN: Duration = Duration::from_secs(60);
/// How many orders placed after healing must close before it counts: healing that breaks the next
/// order is none.
const ORDERS_AFTERWARDS: i64 = 40;
/// What must be judged after every fault.
const MUST: [&str; 19] = [
    "I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I9", "I10", "I11", "I12", "I13", "I14", "I15",
    "I19", "I20", "tickets", "erasure",
];

/// Does the fault, heals it, waits, judges what was ordered since. The note says what was seen.
pub(crate) async fn judged(
    platform: &Platform,
    scenario: &Scenario,
    evidence: &mut EvidenceReader,
) -> anyhow::Result<String> {
    let began = SystemClock.now();
    (scenario.fault)(platform).await.context("do the fault")?;
    platform.all_ready().await.context("heal")?;
    let healed = SystemClock.now();
    let recovery = healed.since(began).as_millis();
    let asked = Instant::now();
    platform.closed_since(healed, ORDERS_AFTERWARDS).await?;
    let served = asked.elapsed();
    let waited = until_closed(&platform.database("order")?, SystemClock.now()).await?;
    let looked = Instant::now();
    let evidence = read(platform, began, evidence).await?;
    let read = looked.elapsed();
    let orders = judge(&evidence)?;
    Ok(format!(
        "fault and healing {recovery} ms, {ORDERS_AFTERWARDS} more orders {} ms, closed {} ms after, \
         evidence read in {} ms, {orders} orders judged in {} ms",
        served.as_millis(),
        waited.as_millis(),
        read.as_millis(),
        looked.elapsed().saturating_sub(read).as_millis()
    ))
}

/// Judges the whole run once more, from its first customer and with nothing remembered of earlier readings:
/// what a later fault did to an earlier order shows here.
pub(crate) async fn whole(platform: &Platform) -> anyhow::Result<String> {
    platform.send_customers_home().await?;
    until_closed(&platform.database("order")?, SystemClock.now()).await?;
    let evidence = read(platform, platform.opened, &mut EvidenceReader::default()).await?;
    Ok(format!("{} orders judged", judge(&evidence)?))
}

async fn until_closed(orders: &Pool, placed_before: Timestamp) -> anyhow::Result<Duration> {
    let started = Instant::now();
    let mut open = 1;
    while open > 0 {
        // The database itself may be on its way back.
        open = open_orders(orders, placed_before).await.unwrap_or(1);
        if started.elapsed() > CLOSED_WITHIN {
            bail!("{open} orders are still open {CLOSED_WITHIN:?} after healing");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(started.elapsed())
}

/// Asked many times a second beside the load: the open sagas are a handful and have an index, so the
/// orders are looked through only once there are none.
async fn open_orders(orders: &Pool, placed_before: Timestamp) -> anyhow::Result<i64> {
    let open = "select count(*) from saga where open and started_at < $1";
    let cancelling = "select count(*) from orders where status = 'cancelling' and placed_at < $1";
    let db = orders.get().await?;
    for sql in [open, cancelling] {
        let found: i64 = db
            .query_one(sql, &[&SqlInstant(placed_before)])
            .await?
            .get(0);
        if found > 0 {
            return Ok(found);
        }
    }
    Ok(0)
}

async fn read(
    platform: &Platform,
    since: Timestamp,
    reader: &mut EvidenceReader,
) -> anyhow::Result<Evidence> {
    Ok(reader.read(platform.sources(since)?).await)
}

/// The number of orders judged; or what is wrong, with the story of one order.
fn judge(evidence: &Evidence) -> anyhow::Result<usize> {
    let findings = invariants::judge(evidence);
    let broken: Vec<&Finding> = findings
        .iter()
        .filter(|finding| match finding.verdict {
            Verdict::Pass => false,
            Verdict::NotJudged => MUST.contains(&finding.id),
            Verdict::Fail | Verdict::Unknown => true,
        })
        .collect();
    if broken.is_empty() {
        return Ok(evidence.judged().len());
    }
    let mut violations = broken.iter().flat_map(|finding| &finding.violations);
    if let Some(order) = violations.find_map(|violation| violation.order_id.as_ref()) {
        for entry in timeline::of(evidence, order.parse().context("an order's id")?) {
            println!(
                "    {} {:<14} {}",
                entry.at_micros, entry.source, entry.text
            );
        }
    }
    let told: Vec<String> = broken.iter().map(|finding| told(finding)).collect();
    bail!("{}", told.join("\n    "))
}

fn told(finding: &Finding) -> String {
    let some: Vec<String> = finding
        .violations
        .iter()
        .take(5)
        .map(|v| format!("{}: {}", v.order_id.as_deref().unwrap_or("-"), v.detail))
        .collect();
    let (id, name, verdict) = (finding.id, finding.name, finding.verdict);
    let notes = finding.notes.join("; ");
    format!("{id} ({name}): {verdict:?} {} {notes}", some.join(" | "))
}
