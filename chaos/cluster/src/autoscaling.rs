//! A service gets more pods with its load, and loses them after it.

use std::time::{Duration, Instant};

use anyhow::bail;

use crate::load::{Load, seconds_since};
use crate::release::Release;
use crate::{NotJudged, kube, observed};

/// Who grows by processor time: every order goes through it.
const SERVER: &str = "order";
/// A share of its request for processor time that the load exceeds, and three idle pods together do not:
/// what a pod takes for itself stays however many there are, and is counted as load.
const CPU_PERCENT: &str = "60";
/// Who grows by seconds behind: every order waits for its answer, and what it does twice is stock that
/// the books miss.
const CONSUMER: &str = "inventory";
/// So little processor time that one pod cannot follow the load, and three can. What it takes is batched,
/// so that on a whole processor it follows more orders than a small node can place.
const CONSUMER_CPU: &str = "10m";
const SECONDS_BEHIND: &str = "1";
/// Where KEDA answers the autoscaler.
const KEDA_METRICS: &str = "/apis/external.metrics.k8s.io/v1beta1";
const GROWN_WITHIN: Duration = Duration::from_secs(120);
/// The window that the chart gives, and the steps down.
const SHRUNK_WITHIN: Duration = Duration::from_secs(300);
const LOAD_SECONDS: u64 = 90;
/// The same until events wait, and the autoscaler has seen it.
const FALLING_BEHIND_SECONDS: u64 = 150;

/// From one pod to three and back, by processor time.
pub(crate) fn by_processor_time(release: &Release) -> anyhow::Result<String> {
    let set = |name: &str, value: &str| format!("services.{SERVER}.autoscaling.{name}={value}");
    let wanted = [
        set("enabled", "true"),
        set("minReplicas", "1"),
        set("maxReplicas", "3"),
        set("cpuPercent", CPU_PERCENT),
    ];
    release.upgrade_typed(&wanted)?;
    let load = Load::at_rate(release, release.rate * 5, LOAD_SECONDS)?;
    let seen = grows_and_shrinks(release, SERVER, load)?;
    release.upgrade(&[])?;
    Ok(seen)
}

/// The same by KEDA and the seconds behind that Prometheus knows.
pub(crate) fn by_seconds_behind(release: &Release) -> anyhow::Result<String> {
    // Its definitions may be there without it.
    for what in [
        &["crd", "scaledobjects.keda.sh"][..],
        &["--raw", KEDA_METRICS],
    ] {
        if let Err(error) = kube::run("kubectl", &[&["get"], what].concat()) {
            bail!(NotJudged(format!("KEDA does not run here: {error:#}")));
        }
    }
    observed::switch_on(release, &["prometheus"], &behind_settings())?;
    let object = format!("scaledobject/{}", release.object(CONSUMER));
    let ready = ["wait", &object, "--for=condition=Ready", "--timeout=120s"];
    release.kubectl(&ready)?;
    let begun = Instant::now();
    let load = Load::at_rate(release, release.rate * 4, FALLING_BEHIND_SECONDS)?;
    let seen = grows_and_shrinks(release, CONSUMER, load)?;
    let metric = format!(r#"brewline_consumer_behind_seconds{{service="{CONSUMER}"}}"#);
    let behind = observed::greatest(release, &metric, begun.elapsed().as_secs())?;
    release.upgrade(&[])?;
    Ok(format!("{seen}; at most {behind:.4} s behind"))
}

fn behind_settings() -> [String; 7] {
    let own = |name: &str, value: &str| format!("services.{CONSUMER}.{name}={value}");
    let cpu = format!("{CONSUMER_CPU:?}");
    [
        r#"autoscaling.mode="keda""#.to_owned(),
        own("autoscaling.enabled", "true"),
        own("autoscaling.minReplicas", "1"),
        own("autoscaling.maxReplicas", "3"),
        own("autoscaling.secondsBehind", SECONDS_BEHIND),
        own("resources.requests.cpu", &cpu),
        own("resources.limits.cpu", &cpu),
    ]
}

/// Three pods while the load lasts, one after it, and no failed request.
fn grows_and_shrinks(release: &Release, who: &str, load: Load<'_>) -> anyhow::Result<String> {
    let begun = Instant::now();
    let has = |count: u64| move || Ok(release.ready_replicas(who)? == count);
    kube::until("there are three pods", GROWN_WITHIN, has(3))?;
    let grown = seconds_since(begun);
    let seen = load.end()?;
    let (failures, caught_up) = (seen.nothing_failed()?, seen.caught_up()?);
    let begun = Instant::now();
    kube::until("there is one pod", SHRUNK_WITHIN, has(1))?;
    Ok(format!(
        "three after {grown}, one {} after the load; {failures}; {caught_up}",
        seconds_since(begun)
    ))
}
