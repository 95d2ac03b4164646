//! Pods die without a word while customers order, or more customers come than there are pods for. Requests
//! may fail meanwhile; what was accepted is done, once.

use std::time::{Duration, Instant};

use crate::load::{Load, seconds_since};
use crate::release::{Release, SERVICES};

/// The load outlasts the fault by far: it must be seen to heal.
const SECONDS: u64 = 60;
/// How long a crowd stays; the usual customers were there before it, and are after it.
const SPIKE_SECONDS: u64 = 15;
/// Between one kill and the next.
const PAUSE: Duration = Duration::from_secs(4);

/// Each service once.
pub(crate) fn kill_services(release: &Release) -> anyhow::Result<String> {
    let load = Load::begin(release, SECONDS * u64::from(release.slowness))?;
    for service in SERVICES {
        kill(release, service)?;
        // Not a wait for anything: the faults shall not be one.
        std::thread::sleep(PAUSE);
    }
    let begun = Instant::now();
    release.wait_ready()?;
    let ready = seconds_since(begun);
    let seen = load.end()?.nothing_lost()?;
    Ok(format!("ready {ready} after the last; {seen}"))
}

/// Ten times as many orders from one moment to the next, for a while.
pub(crate) fn spike(release: &Release) -> anyhow::Result<String> {
    let usual = Load::begin(release, SECONDS * u64::from(release.slowness))?;
    let crowd = Load::at_rate(release, release.rate * 9, SPIKE_SECONDS)?.end()?;
    let (seen, closed) = (crowd.nothing_lost()?, crowd.closed()?);
    let usual = usual.end()?;
    usual.nothing_lost()?;
    let caught_up = usual.caught_up()?;
    Ok(format!("the crowd: {seen}, {closed}; {caught_up}"))
}

/// The one database server of all services.
pub(crate) fn kill_postgres(release: &Release) -> anyhow::Result<String> {
    kill_server(release, "postgres")
}

/// The one broker.
pub(crate) fn kill_kafka(release: &Release) -> anyhow::Result<String> {
    kill_server(release, "kafka")
}

fn kill_server(release: &Release, server: &str) -> anyhow::Result<String> {
    let load = Load::begin(release, SECONDS * u64::from(release.slowness))?;
    kill(release, server)?;
    let begun = Instant::now();
    release.wait_ready()?;
    let ready = seconds_since(begun);
    let seen = load.end()?.nothing_lost()?;
    Ok(format!("ready after {ready}; {seen}"))
}

fn kill(release: &Release, component: &str) -> anyhow::Result<()> {
    let selector = format!(
        "app.kubernetes.io/instance={},app.kubernetes.io/component={component}",
        release.name
    );
    let now = ["--grace-period=0", "--force", "--wait=false"];
    let delete = ["delete", "pods", "--selector", selector.as_str()];
    release.kubectl(&[&delete[..], &now].concat()).map(drop)
}
