//! A release comes, is tested, loses its node and goes, and its data stays.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use crate::kube;
use crate::load::seconds_since;
use crate::release::Release;

/// The promise for an installation on a node that has the images.
const FIRST_ORDER_WITHIN: Duration = Duration::from_secs(60);

/// From nothing to a confirmed order, in a namespace that accepts restricted pods only.
pub(crate) fn install(release: &Release) -> anyhow::Result<String> {
    let namespace = format!(
        "{{apiVersion: v1, kind: Namespace, metadata: {{name: {}, labels: \
         {{pod-security.kubernetes.io/enforce: restricted}}}}}}",
        release.namespace
    );
    kube::feed("kubectl", &["apply", "--filename", "-"], &namespace)?;
    let is_first = release.get(&["pvc"])?.pointer("/items/0").is_none();
    let begun = Instant::now();
    release.upgrade(&[])?;
    let place = ["order", "place", "espresso", "--wait"];
    let placed = || release.brewline(&place).map(|_| true);
    kube::until("an order is confirmed", FIRST_ORDER_WITHIN, placed)?;
    if is_first {
        ensure!(
            begun.elapsed() <= FIRST_ORDER_WITHIN,
            "the first order was confirmed only after {}",
            seconds_since(begun)
        );
    }
    Ok(format!("first order after {}", seconds_since(begun)))
}

/// The chart's own test.
pub(crate) fn helm_test(release: &Release) -> anyhow::Result<String> {
    release.helm(&["test", &release.name, "--logs", "--timeout", "5m"])?;
    Ok("passed".to_owned())
}

/// All pods leave the node, as before it is shut down. Where it is the only one they wait for it.
pub(crate) fn drain(release: &Release) -> anyhow::Result<String> {
    let postgres = format!("{}-postgres-0", release.name);
    let path = "jsonpath={.spec.nodeName}";
    let node = release.kubectl(&["get", "pod", &postgres, "-o", path])?;
    let order = placed(release)?;
    let selector = format!("app.kubernetes.io/instance={}", release.name);
    let drained = kube::run(
        "kubectl",
        &[
            "drain",
            &node,
            "--ignore-daemonsets",
            "--delete-emptydir-data",
            "--pod-selector",
            &selector,
            "--timeout=180s",
        ],
    );
    let begun = Instant::now();
    kube::run("kubectl", &["uncordon", &node])?;
    drained.context("drain the node")?;
    release.wait_ready()?;
    let back = seconds_since(begun);
    still_there(release, &order)?;
    Ok(format!("ready {back} after the node came back"))
}

/// The release goes and comes again; its volumes stay in between.
pub(crate) fn reinstall(release: &Release) -> anyhow::Result<String> {
    let order = placed(release)?;
    release.helm(&["uninstall", &release.name, "--wait", "--timeout", "5m"])?;
    let begun = Instant::now();
    release.upgrade(&[])?;
    still_there(release, &order)?;
    let again = placed(release)?;
    ensure!(again != order, "the same order twice");
    Ok(format!(
        "an old and a new order after {}",
        seconds_since(begun)
    ))
}

/// A settled order's id.
pub(crate) fn placed(release: &Release) -> anyhow::Result<String> {
    let text = release.brewline(&["order", "place", "espresso", "--wait", "--json"])?;
    let line = text.lines().rfind(|line| line.starts_with('{'));
    let order: Value = serde_json::from_str(line.context("no order was shown")?)?;
    let id = order.get("orderId").and_then(Value::as_str);
    Ok(id.context("the order has no id")?.to_owned())
}

fn still_there(release: &Release, order: &str) -> anyhow::Result<()> {
    let shown = || {
        let text = release.brewline(&["order", "get", order, "--json"])?;
        Ok(text.contains(order))
    };
    kube::until("an older order is there", Duration::from_secs(60), shown).map(drop)
}
