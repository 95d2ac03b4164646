//! Pods are replaced while customers order, and none of them notices.

use std::time::Instant;

use anyhow::{Context as _, ensure};

use crate::load::{Load, seconds_since};
use crate::release::{Release, SERVICES};

/// Each service takes its drain, its successor's start and some time on a small machine.
const SECONDS_PER_SERVICE: u64 = 25;

/// For the release as a whole: all services are replaced at once.
const SECONDS_PER_UPGRADE: u64 = 75;

/// One service after the other, as at a change of a secret.
pub(crate) fn restart_every_service(release: &Release) -> anyhow::Result<String> {
    let seconds =
        SECONDS_PER_SERVICE * u64::try_from(SERVICES.len())? * u64::from(release.slowness);
    let load = Load::begin(release, seconds)?;
    let begun = Instant::now();
    for service in SERVICES {
        let deployment = release.deployment(service);
        release.kubectl(&["rollout", "restart", &deployment])?;
        release
            .kubectl(&["rollout", "status", &deployment, "--timeout=10m"])
            .with_context(|| format!("restart {service}"))?;
    }
    let took = seconds_since(begun);
    ensure!(
        begun.elapsed().as_secs() < seconds,
        "the restarts took {took}, longer than the load"
    );
    let seen = load.end()?.nothing_failed()?;
    Ok(format!("all in {took}; {seen}"))
}

/// Payment alone gets other pods; everybody else keeps theirs.
pub(crate) fn upgrade_one(release: &Release) -> anyhow::Result<String> {
    let others = || -> anyhow::Result<Vec<Vec<String>>> {
        let others = SERVICES.iter().filter(|name| **name != "payment");
        others.map(|name| release.pods(name)).collect()
    };
    let (before, payment) = (others()?, release.pods("payment")?);
    let load = Load::begin(release, SECONDS_PER_UPGRADE * u64::from(release.slowness))?;
    let settings = match &release.next_tag {
        Some(tag) => format!("services.payment.image.tag={tag}"),
        None => "services.payment.env.BREWLINE_WORKER_THREADS=1".to_owned(),
    };
    release.upgrade(&[settings])?;
    let seen = load.end()?.nothing_failed()?;
    ensure!(before == others()?, "other services' pods were replaced");
    ensure!(
        payment != release.pods("payment")?,
        "payment was not replaced"
    );
    Ok(seen)
}

/// All services at once, and back again.
pub(crate) fn upgrade_and_roll_back(release: &Release) -> anyhow::Result<String> {
    release.upgrade(&[])?;
    let before = release.pods("order")?;
    let load = Load::begin(
        release,
        2 * SECONDS_PER_UPGRADE * u64::from(release.slowness),
    )?;
    let begun = Instant::now();
    let settings = match &release.next_tag {
        Some(tag) => format!("image.tag={tag}"),
        None => "log=warn".to_owned(),
    };
    release.upgrade(&[settings])?;
    let up = seconds_since(begun);
    let upgraded = release.pods("order")?;
    ensure!(before != upgraded, "the upgrade replaced nothing");
    let begun = Instant::now();
    release.helm(&["rollback", &release.name, "--wait", "--timeout", "10m"])?;
    let back = seconds_since(begun);
    ensure!(
        upgraded != release.pods("order")?,
        "nothing was rolled back"
    );
    let seen = load.end()?.nothing_failed()?;
    Ok(format!("there in {up}, back in {back}; {seen}"))
}
