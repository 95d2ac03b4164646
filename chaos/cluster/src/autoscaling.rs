//! A service gets more pods with its load, and loses them after it.

use std::time::{Duration, Instant};

use crate::kube;
use crate::load::{Load, seconds_since};
use crate::release::Release;

/// Who grows: every order goes through it.
const WHO: &str = "order";
/// A share of its request for processor time that the load exceeds, and three idle pods together do not:
/// what a pod takes for itself stays however many there are, and is counted as load.
const CPU_PERCENT: &str = "60";
const GROWN_WITHIN: Duration = Duration::from_secs(120);
/// The window that the chart gives, and the steps down.
const SHRUNK_WITHIN: Duration = Duration::from_secs(300);
const LOAD_SECONDS: u64 = 90;

/// From one pod to three and back.
pub(crate) fn grows_and_shrinks(release: &Release) -> anyhow::Result<String> {
    let set = |name: &str, value: &str| format!("services.{WHO}.autoscaling.{name}={value}");
    let wanted = [
        set("enabled", "true"),
        set("minReplicas", "1"),
        set("maxReplicas", "3"),
        set("cpuPercent", CPU_PERCENT),
    ];
    release.upgrade_typed(&wanted)?;
    let load = Load::at_rate(release, release.rate * 5, LOAD_SECONDS)?;
    let begun = Instant::now();
    let has = |count: u64| move || Ok(release.ready_replicas(WHO)? == count);
    kube::until("there are three pods", GROWN_WITHIN, has(3))?;
    let grown = seconds_since(begun);
    let seen = load.end()?.nothing_failed()?;
    let begun = Instant::now();
    kube::until("there is one pod", SHRUNK_WITHIN, has(1))?;
    let shrunk = seconds_since(begun);
    release.upgrade(&[])?;
    Ok(format!(
        "three after {grown}, one {shrunk} after the load; {seen}"
    ))
}
