//! The checker has teeth: each planted bug is switched on in the running platform, given what it needs
//! to bite, and must be caught by the invariant that it breaks.
//!
//! Damage stays in the books, and an order that one bug has hurt may close under the next. So what
//! counts is a violation of that invariant which was not there before, about an order that only this bug
//! can have hurt.

mod bugs;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use brewline_chaos::evidence::{EvidenceReader, born_ms};
use brewline_chaos::verdict::{Verdict, Violation};
use brewline_chaos::{faults, invariants};
use brewline_kernel::{Clock as _, Timestamp, system::SystemClock};
use serde_json::json;
use uuid::Uuid;

use crate::platform::Platform;
pub(crate) use bugs::ALL;

use crate::{followers, operators, replays, scenarios};

/// What a bug needs to bite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bait {
    /// Orders alone.
    Orders,
    /// Answers of the card processor to this kind of request that get lost.
    LostAnswers(&'static str),
    /// Old records that come again.
    LateRecords,
    /// A batch of orders that is committed long after later ones.
    SlowCommit,
    /// A crash while Kafka has not yet answered.
    CrashBeforeAck,
    /// Customers who cancel what somebody begins with.
    Race,
    /// A customer who wants to be forgotten.
    Erasure,
    /// A holder of the relay that stands still until another has taken its place.
    LostLease,
}

/// A planted bug, where it lives, and who must catch it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Planted {
    bug: &'static str,
    service: &'static str,
    bait: Bait,
    caught_by: &'static str,
    /// What is said of it, in one of these words: what breaks the same invariant otherwise is not this bug.
    says: &'static [&'static str],
}

/// How long a bug is given to show.
const SHOWS_WITHIN: Duration = Duration::from_secs(25);
/// So many orders have closed before there is anything to come again late.
const A_HISTORY: i64 = 20;
/// Rounds of races in which a bug is given its chance.
const RACES: usize = 12;
/// So many rows of the outbox go by while Kafka stands still.
const ROWS_UNANSWERED: i64 = 20;

// === impl Planted ===

impl Planted {
    /// Whether only this bug can have hurt an order: one that was placed since it was planted, or where
    /// old records come again, one placed before.
    fn may_have_hurt(&self, order: Uuid, planted_at: Timestamp) -> bool {
        let is_younger = born_ms(order) >= planted_at.as_millis();
        is_younger != (self.bait == Bait::LateRecords)
    }

    fn is_told_by(&self, violation: &Violation) -> bool {
        let mut words = self.says.iter();
        words.any(|words| violation.detail.contains(words))
    }

    pub(crate) fn name(&self) -> String {
        format!("planted-{}-is-caught-by-{}", self.bug, self.caught_by)
    }
}

/// Plants the bug, baits it, and waits until its invariant is newly broken.
pub(crate) async fn caught(
    platform: &Platform,
    planted: &Planted,
    evidence: &mut EvidenceReader,
) -> anyhow::Result<String> {
    let before = broken(platform, planted, None, evidence).await?;
    let older = before.iter().find(|(order, _)| order.is_none());
    // Nothing tells damage that names no order apart from that of an earlier bug.
    ensure!(older.is_none(), "damaged before it was planted: {older:?}");
    let began = Instant::now();
    let found = shown(platform, planted, &before, evidence).await;
    let after = began.elapsed().as_millis();
    faults::behave(&platform.processor()?).await?;
    plant(platform, planted, "").await?;
    platform.all_ready().await?;
    if planted.service == "leaderboard" {
        // The boards keep what a bug did to them.
        operators::made_anew(platform, "leaderboard", "boards", true).await?;
    }
    match found? {
        Some(violation) => Ok(format!(
            "{} after {after} ms: {violation}",
            planted.caught_by
        )),
        None => bail!("{} does not notice", planted.caught_by),
    }
}

/// What its invariant says about the bug; nothing when it does not notice.
async fn shown(
    platform: &Platform,
    planted: &Planted,
    before: &Damage,
    evidence: &mut EvidenceReader,
) -> anyhow::Result<Option<String>> {
    let planted_at = SystemClock.now();
    bait(platform, planted).await.context("bait the bug")?;
    let deadline = Instant::now() + SHOWS_WITHIN;
    while Instant::now() < deadline {
        if planted.bait == Bait::Race {
            followers::cancel_and_start(platform).await?;
        }
        // A source that cannot be read at this moment says nothing; the next reading does.
        let now = broken(platform, planted, Some(planted_at), evidence).await;
        let now = now.unwrap_or_default();
        if let Some((order, detail)) = now.difference(before).next() {
            return Ok(Some(format!("{} {detail}", order.unwrap_or_default())));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(None)
}

/// Also after a crash that the bait causes: the bug is in the process, not in its folder.
async fn plant(platform: &Platform, planted: &Planted, bug: &str) -> anyhow::Result<()> {
    let (admin, _) = platform.instance(planted.service, 1)?;
    Ok(faults::plant(&admin, bug).await?)
}

/// Plants the bug and gives it what it needs.
async fn bait(platform: &Platform, planted: &Planted) -> anyhow::Result<()> {
    let service = planted.service;
    match planted.bait {
        Bait::Orders => plant(platform, planted, planted.bug).await,
        Bait::LostAnswers(what) => {
            plant(platform, planted, planted.bug).await?;
            let how = json!({ "mode": "done-then-reset", "share": 0.5 });
            Ok(faults::misbehave(&platform.processor()?, what, &how).await?)
        }
        Bait::LateRecords => {
            platform.closed_since(Timestamp::EPOCH, A_HISTORY).await?;
            plant(platform, planted, planted.bug).await?;
            replays::oldest_again(platform, "brewline.order.events.v1").await?;
            Ok(())
        }
        Bait::Race => {
            plant(platform, planted, planted.bug).await?;
            for _ in 0..RACES {
                followers::cancel_and_start(platform).await?;
            }
            Ok(())
        }
        Bait::Erasure => {
            plant(platform, planted, planted.bug).await?;
            followers::erase_somebody(platform).await
        }
        Bait::SlowCommit => {
            plant(platform, planted, planted.bug).await?;
            scenarios::commit_late(platform).await
        }
        Bait::CrashBeforeAck => {
            let kafka = platform.kafka()?;
            faults::freeze(kafka)?;
            let crashed = crash_unanswered(platform, planted).await;
            faults::thaw(kafka)?;
            crashed?;
            platform.all_ready().await
        }
        Bait::LostLease => {
            platform.cli(&["scale", service, "2"]).await?;
            platform.all_ready().await?;
            plant(platform, planted, planted.bug).await?;
            scenarios::freeze_until_replaced(platform, service).await?;
            platform.cli(&["scale", service, "1"]).await
        }
    }
}

/// Lets the relay pass rows that Kafka cannot have taken, and ends its process.
async fn crash_unanswered(platform: &Platform, planted: &Planted) -> anyhow::Result<()> {
    let service = planted.service;
    plant(platform, planted, planted.bug).await?;
    let passed = platform.watermark(service).await?;
    platform
        .until("the relay passes unanswered rows", async || {
            let now = platform.watermark(service).await;
            now.is_ok_and(|now| now > passed + ROWS_UNANSWERED)
        })
        .await?;
    let (_, pid) = platform.instance(service, 1)?;
    Ok(faults::kill(pid)?)
}

/// Orders, as far as any is named, and what is wrong with them.
type Damage = BTreeSet<(Option<Uuid>, String)>;

/// What its invariant says of such a bug; once it is planted, about orders that it may have hurt.
async fn broken(
    platform: &Platform,
    planted: &Planted,
    planted_at: Option<Timestamp>,
    reader: &mut EvidenceReader,
) -> anyhow::Result<Damage> {
    let evidence = reader.read(platform.sources(Timestamp::EPOCH)?).await;
    let finding = invariants::judge_one(&evidence, planted.caught_by);
    let finding = finding.context("no such invariant")?;
    let (verdict, notes) = (finding.verdict, finding.notes.join("; "));
    // Before the first order there may be nothing to judge. What stays so is never broken, and tells by that.
    ensure!(
        verdict != Verdict::Unknown,
        "{} is unknown: {notes}",
        planted.caught_by
    );
    let mut told = Damage::new();
    let of_interest = finding.violations.into_iter();
    for violation in of_interest.filter(|violation| planted.is_told_by(violation)) {
        let order: Option<Uuid> = violation.order_id.map(|id| id.parse()).transpose()?;
        let both = order.zip(planted_at);
        if both.is_none_or(|(order, at)| planted.may_have_hurt(order, at)) {
            told.insert((order, violation.detail));
        }
    }
    Ok(told)
}
