//! The checker has teeth: each planted bug is switched on in the running platform, given what it needs
//! to bite, and must be caught by the invariant that it breaks.
//!
//! Damage stays in the books, so what counts is what is new: a violation of that invariant which was
//! not there before the bug was switched on.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use brewline_chaos::evidence;
use brewline_chaos::{faults, invariants};
use brewline_cli::sources::{self, Scope};
use brewline_kernel::{Clock as _, Timestamp, system::SystemClock};
use serde_json::json;

use crate::platform::Platform;

/// What a bug needs to bite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bait {
    /// Orders alone.
    Orders,
    /// Answers of the card processor to this kind of request that get lost.
    LostAnswers(&'static str),
}

/// A planted bug, where it lives, and who must catch it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Planted {
    bug: &'static str,
    service: &'static str,
    bait: Bait,
    caught_by: &'static str,
}

/// How long a bug is given to show.
const SHOWS_WITHIN: Duration = Duration::from_secs(25);
/// How long orders flow before evidence is looked at for the first time.
const FIRST_LOOK: Duration = Duration::from_millis(2_500);

/// The bugs that the whole platform shows within seconds. Those that need a rare interleaving or a long
/// wait are found by the simulator (`chaos/sim/tests/planted.rs`), under the same checkers.
pub(crate) const ALL: &[Planted] = &[
    bug("wrong-total", "order", Bait::Orders, "I6"),
    bug("wrong-capture-amount", "payment", Bait::Orders, "I6"),
    bug(
        "double-capture",
        "payment",
        Bait::LostAnswers("capture"),
        "I5",
    ),
    bug(
        "new-key-on-unknown",
        "payment",
        Bait::LostAnswers("authorise"),
        "I5",
    ),
    bug("forget-reverse", "order", Bait::Orders, "I5"),
    bug("forget-release", "inventory", Bait::Orders, "I4"),
    bug("release-twice", "inventory", Bait::Orders, "I4"),
    bug("idempotency-ignores-key", "order", Bait::Orders, "I14"),
    bug("phantom-order", "order", Bait::Orders, "I2"),
    bug("lose-acked-order", "order", Bait::Orders, "I1"),
    bug("saga-skips-state", "order", Bait::Orders, "I9"),
    bug("ledger-off-by-one", "inventory", Bait::Orders, "I3"),
    bug("consumer-skips-offset", "inventory", Bait::Orders, "I12"),
];

const fn bug(
    bug: &'static str,
    service: &'static str,
    bait: Bait,
    caught_by: &'static str,
) -> Planted {
    Planted {
        bug,
        service,
        bait,
        caught_by,
    }
}

// === impl Planted ===

impl Planted {
    pub(crate) fn name(&self) -> String {
        format!("planted-{}-is-caught-by-{}", self.bug, self.caught_by)
    }
}

/// Plants the bug, baits it, and waits until its invariant is newly broken.
pub(crate) async fn caught(platform: &Platform, planted: &Planted) -> anyhow::Result<String> {
    let before = broken(platform, planted.caught_by, Timestamp::EPOCH).await?;
    let began = SystemClock.now();
    plant(platform, planted, planted.bug).await?;
    bait(platform, planted).await.context("bait the bug")?;
    tokio::time::sleep(FIRST_LOOK).await;
    let deadline = Instant::now() + SHOWS_WITHIN;
    let mut found = None;
    while found.is_none() && Instant::now() < deadline {
        let now = broken(platform, planted.caught_by, Timestamp::EPOCH).await?;
        found = now.difference(&before).next().cloned();
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    faults::behave(&platform.processor()?).await?;
    plant(platform, planted, "").await?;
    platform.all_ready().await?;
    let after = SystemClock.now().since(began).as_millis();
    match found {
        Some(violation) => Ok(format!(
            "{} after {after} ms: {violation}",
            planted.caught_by
        )),
        None => bail!("{} does not notice", planted.caught_by),
    }
}

/// Also after a crash that the bait causes: the bug is in the process, not in its folder.
async fn plant(platform: &Platform, planted: &Planted, bug: &str) -> anyhow::Result<()> {
    let (admin, _) = platform.instance(planted.service, 1)?;
    Ok(faults::plant(&admin, bug).await?)
}

async fn bait(platform: &Platform, planted: &Planted) -> anyhow::Result<()> {
    match planted.bait {
        Bait::Orders => Ok(()),
        Bait::LostAnswers(what) => {
            let how = json!({ "mode": "done-then-reset", "share": 0.5 });
            Ok(faults::misbehave(&platform.processor()?, what, &how).await?)
        }
    }
}

/// The violations of one invariant, as sentences.
async fn broken(
    platform: &Platform,
    invariant: &str,
    since: Timestamp,
) -> anyhow::Result<BTreeSet<String>> {
    let scope = Scope {
        since,
        journal: Some(platform.journal.as_path()),
        healing_promised: false,
    };
    let evidence = evidence::collect(sources::of(&platform.endpoints()?, &scope)?).await;
    let findings = invariants::judge(&evidence);
    let finding = findings.into_iter().find(|finding| finding.id == invariant);
    let violations = finding.context("no such invariant")?.violations;
    Ok(violations
        .into_iter()
        .map(|v| format!("{} {}", v.order_id.unwrap_or_default(), v.detail))
        .collect())
}
