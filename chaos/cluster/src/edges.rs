//! Who can connect to whom: every component is impersonated by a pod with its labels that tries every
//! port there is.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::kube;
use crate::release::Release;

/// Every port of the platform, as `component:port`.
const TARGETS: [(&str, u16); 13] = [
    ("gateway", 80),
    ("order", 9201),
    ("payment", 9202),
    ("inventory", 9203),
    ("barista", 9204),
    ("notification", 9205),
    ("leaderboard", 9206),
    ("order", 9100),
    ("payment", 9100),
    ("postgres", 5432),
    ("kafka", 9092),
    ("sandbox", 8090),
    ("sandbox", 2525),
];

/// Who may connect where, and nobody else anywhere. Written down here once more, and not read from the
/// chart: a slip there must not open a door here too.
const ALLOWED: [(&str, &[&str]); 8] = [
    (
        "gateway",
        &[
            "order:9201",
            "inventory:9203",
            "barista:9204",
            "notification:9205",
            "leaderboard:9206",
        ],
    ),
    ("order", &["payment:9202", "postgres:5432", "kafka:9092"]),
    ("payment", &["postgres:5432", "kafka:9092", "sandbox:8090"]),
    ("inventory", &["postgres:5432", "kafka:9092"]),
    ("barista", &["postgres:5432", "kafka:9092"]),
    (
        "notification",
        &[
            "postgres:5432",
            "kafka:9092",
            "sandbox:2525",
            "sandbox:8090",
        ],
    ),
    ("leaderboard", &["postgres:5432", "kafka:9092"]),
    ("stranger", &[]),
];

/// How long a connection may take that is allowed; one that is not is dropped without a word.
const CONNECT_SECONDS: u32 = 4;

/// Tries every edge.
pub(crate) fn only_those_of_the_table(release: &Release) -> anyhow::Result<String> {
    for (component, _) in ALLOWED {
        let pod = impostor(release, component);
        let arguments = release.in_namespace(&["apply", "--filename", "-"]);
        kube::feed("kubectl", &arguments, &pod.to_string())?;
    }
    let tried = ALLOWED
        .iter()
        .map(|(component, allowed)| compare(release, component, allowed));
    let found: anyhow::Result<Vec<Edges>> = tried.collect();
    let arguments = ["delete", "pods", "--selector", "brewline.test/edges=yes"];
    let gone = ["--grace-period=0", "--force", "--wait=false"];
    release.kubectl(&[&arguments[..], &gone].concat())?;
    judged(&found?)
}

/// What one component could do that it must not, and could not that it must.
#[derive(Debug, Default)]
struct Edges {
    forbidden_open: Vec<String>,
    allowed_shut: Vec<String>,
    forbidden: usize,
    allowed: usize,
}

fn judged(found: &[Edges]) -> anyhow::Result<String> {
    let all = |pick: fn(&Edges) -> &Vec<String>| -> Vec<String> {
        found.iter().flat_map(|edges| pick(edges).clone()).collect()
    };
    let (open, shut) = (all(|e| &e.forbidden_open), all(|e| &e.allowed_shut));
    let forbidden: usize = found.iter().map(|edges| edges.forbidden).sum();
    let allowed: usize = found.iter().map(|edges| edges.allowed).sum();
    ensure!(
        shut.is_empty(),
        "must connect and cannot: {}",
        shut.join(", ")
    );
    if open.len() == forbidden {
        return Ok(format!("{allowed} open; this cluster enforces no policies"));
    }
    ensure!(
        open.is_empty(),
        "can connect and must not: {}",
        open.join(", ")
    );
    Ok(format!("{allowed} edges open, {forbidden} refused"))
}

fn compare(release: &Release, component: &str, allowed: &[&str]) -> anyhow::Result<Edges> {
    let open = reached(release, component)?;
    let mut edges = Edges::default();
    for (target, port) in TARGETS.iter().filter(|(target, _)| *target != component) {
        let name = format!("{target}:{port}");
        let (is_open, is_allowed) = (open.contains(&name), allowed.contains(&name.as_str()));
        edges.allowed += usize::from(is_allowed);
        edges.forbidden += usize::from(!is_allowed);
        if is_open && !is_allowed {
            edges.forbidden_open.push(format!("{component} to {name}"));
        }
        if is_allowed && !is_open {
            edges.allowed_shut.push(format!("{component} to {name}"));
        }
    }
    Ok(edges)
}

/// The targets that a component's impostor could connect to.
fn reached(release: &Release, component: &str) -> anyhow::Result<BTreeSet<String>> {
    let pod = pod_name(component);
    let phase = ["get", "pod", pod.as_str(), "-o", "jsonpath={.status.phase}"];
    let running = || Ok(release.kubectl(&phase)? == "Running");
    kube::until("an impostor runs", Duration::from_secs(60), running)?;
    let script = script(release);
    let text = release
        .kubectl(&["exec", &pod, "--", "bash", "-c", &script])
        .with_context(|| format!("try as {component}"))?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// Tries all at once and prints those that connect.
fn script(release: &Release) -> String {
    let tries = TARGETS.map(|(target, port)| {
        let host = match target {
            "kafka" => format!("{0}-kafka-0.{0}-kafka", release.name),
            _ => release.object(target),
        };
        format!(
            "(timeout {CONNECT_SECONDS} bash -c '</dev/tcp/{host}/{port}' 2>/dev/null && echo {target}:{port}) &"
        )
    });
    format!("{} wait", tries.join(" "))
}

fn pod_name(component: &str) -> String {
    format!("edges-{component}")
}

/// A pod that policies take for the component's, and no Service does, since it is never ready.
fn impostor(release: &Release, component: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": pod_name(component),
            "labels": {
                "app.kubernetes.io/name": "brewline",
                "app.kubernetes.io/instance": release.name,
                "app.kubernetes.io/component": component,
                "brewline.test/edges": "yes",
            },
        },
        "spec": {
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {
                "runAsNonRoot": true,
                "runAsUser": 999,
                "seccompProfile": { "type": "RuntimeDefault" },
            },
            "containers": [{
                "name": "shell",
                "image": "docker.io/library/postgres:15",
                "command": ["sleep", "600"],
                "readinessProbe": { "exec": { "command": ["false"] } },
                "securityContext": {
                    "allowPrivilegeEscalation": false,
                    "capabilities": { "drop": ["ALL"] },
                },
                "resources": {
                    "requests": { "cpu": "1m", "memory": "16Mi" },
                    "limits": { "memory": "64Mi" },
                },
            }],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_door_is_a_failure_unless_all_doors_are_open() {
        let edges = |open: &[&str]| Edges {
            forbidden_open: open.iter().map(|name| (*name).to_owned()).collect(),
            forbidden: 2,
            ..Edges::default()
        };
        assert!(judged(&[edges(&[])]).is_ok());
        assert!(judged(&[edges(&["a"])]).is_err());
        assert!(
            judged(&[edges(&["a", "b"])])
                .unwrap()
                .contains("enforces no")
        );
    }

    #[test]
    fn every_allowed_edge_leads_to_a_target_that_is_tried() {
        let targets: Vec<String> = TARGETS.iter().map(|(t, p)| format!("{t}:{p}")).collect();
        for (component, allowed) in ALLOWED {
            for target in allowed {
                assert!(
                    targets.contains(&(*target).to_owned()),
                    "{component}: {target}"
                );
            }
        }
    }
}
