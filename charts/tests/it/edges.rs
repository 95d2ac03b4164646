//! Who can connect to whom: the network policies are applied to all pairs of pods, and what is left must be
//! the table below, no more and no less.

use std::collections::{BTreeMap, BTreeSet};

use brewline_charts::Manifest;
use serde_json::Value;

use crate::{rendered, variant};

/// What services may do. The tools of an operator are added by [`expected`].
const EDGES: &[(&str, &[&str])] = &[
    (
        "gateway",
        &[
            "order:grpc",
            "inventory:grpc",
            "barista:grpc",
            "notification:grpc",
            "leaderboard:grpc",
        ],
    ),
    (
        "order",
        &["payment:grpc", "postgres:postgres", "kafka:clients"],
    ),
    (
        "payment",
        &["sandbox:http", "postgres:postgres", "kafka:clients"],
    ),
    ("inventory", &["postgres:postgres", "kafka:clients"]),
    ("barista", &["postgres:postgres", "kafka:clients"]),
    (
        "notification",
        &[
            "sandbox:http",
            "sandbox:smtp",
            "postgres:postgres",
            "kafka:clients",
        ],
    ),
    ("leaderboard", &["postgres:postgres", "kafka:clients"]),
    ("sandbox", &[]),
    ("postgres", &[]),
    ("kafka", &["kafka:clients", "kafka:controller"]),
    ("provision", &["postgres:postgres", "kafka:clients"]),
    ("demo", &["gateway:http", "order:grpc"]),
];

const TOOLS: [&str; 3] = ["toolbox", "test", "loadgen"];

/// What the tools reach.
const LOOKED_AT: &[&str] = &[
    "gateway:http",
    "order:grpc",
    "payment:grpc",
    "inventory:grpc",
    "barista:grpc",
    "notification:grpc",
    "leaderboard:grpc",
    "sandbox:http",
    "sandbox:control",
    "postgres:postgres",
    "kafka:clients",
];

const WITH_METRICS: [&str; 8] = [
    "gateway",
    "order",
    "payment",
    "inventory",
    "barista",
    "notification",
    "leaderboard",
    "sandbox",
];

/// A pod as policies see it.
struct Pod {
    component: String,
    labels: BTreeMap<String, String>,
    /// Name and number.
    ports: Vec<(String, u64)>,
}

fn expected() -> BTreeSet<String> {
    let services = EDGES
        .iter()
        .flat_map(|(from, to)| to.iter().map(move |to| format!("{from} -> {to}")));
    let tools = TOOLS.iter().flat_map(|from| {
        let admin = WITH_METRICS.iter().map(|name| format!("{name}:admin"));
        let all = LOOKED_AT.iter().map(|to| (*to).to_owned()).chain(admin);
        all.map(move |to| format!("{from} -> {to}"))
    });
    services.chain(tools).collect()
}

fn pods(all: &[Manifest]) -> Vec<Pod> {
    all.iter().filter_map(pod).collect()
}

fn pod(manifest: &Manifest) -> Option<Pod> {
    let labels = manifest.pod_spec().and(manifest.pod_labels())?;
    let labels: BTreeMap<String, String> = serde_json::from_value(labels.clone()).unwrap();
    let mut ports = Vec::new();
    for container in manifest.containers() {
        for port in container.value["ports"].as_array().into_iter().flatten() {
            let name = port["name"].as_str().unwrap().to_owned();
            ports.push((name, port["containerPort"].as_u64().unwrap()));
        }
    }
    Some(Pod {
        component: labels["app.kubernetes.io/component"].clone(),
        labels,
        ports,
    })
}

fn selects(selector: &Value, labels: &BTreeMap<String, String>) -> bool {
    let equal = selector["matchLabels"].as_object().into_iter().flatten();
    let mut equal = equal.map(|(key, value)| labels.get(key).map(String::as_str) == value.as_str());
    let among = selector["matchExpressions"]
        .as_array()
        .into_iter()
        .flatten();
    let mut among = among.map(|rule| {
        assert_eq!(rule["operator"], "In", "this test knows no other");
        let own = labels.get(rule["key"].as_str().unwrap());
        let values = rule["values"].as_array().unwrap();
        own.is_some_and(|own| values.iter().any(|value| value == own))
    });
    equal.all(|fits| fits) && among.all(|fits| fits)
}

/// Whether some policy lets `pod` talk with `peer` at `port` in this direction (`ingress`, `egress`).
fn allowed(
    policies: &[&Manifest],
    direction: (&str, &str),
    pod: &Pod,
    peer: &Pod,
    port: &(String, u64),
) -> bool {
    let (rules, peers) = direction;
    let own = policies
        .iter()
        .filter(|policy| selects(&policy.value["spec"]["podSelector"], &pod.labels));
    let mut own =
        own.flat_map(|policy| policy.value["spec"][rules].as_array().into_iter().flatten());
    own.any(|rule| {
        let of_port = rule["ports"].as_array().unwrap().iter().any(|given| {
            given["protocol"] == "TCP"
                && (given["port"] == port.0.as_str() || given["port"] == port.1)
        });
        let listed = rule[peers].as_array().unwrap();
        let of_peer = listed.iter().any(|given| {
            given.get("namespaceSelector").is_none()
                && given
                    .get("podSelector")
                    .is_some_and(|selector| selects(selector, &peer.labels))
        });
        of_port && of_peer
    })
}

fn edges(all: &[Manifest]) -> BTreeSet<String> {
    let policies: Vec<&Manifest> = all.iter().filter(|m| m.kind() == "NetworkPolicy").collect();
    let pods = pods(all);
    let mut edges = BTreeSet::new();
    for (from, to) in pods
        .iter()
        .flat_map(|from| pods.iter().map(move |to| (from, to)))
    {
        for port in &to.ports {
            if allowed(&policies, ("egress", "to"), from, to, port)
                && allowed(&policies, ("ingress", "from"), to, from, port)
            {
                edges.insert(format!("{} -> {}:{}", from.component, to.component, port.0));
            }
        }
    }
    edges
}

#[test]
fn the_edges_are_exactly_those_of_the_table() {
    let (found, expected) = (edges(&rendered(&["loadgen.enabled=true"])), expected());
    let surplus: Vec<_> = found.difference(&expected).collect();
    let missing: Vec<_> = expected.difference(&found).collect();
    assert!(
        surplus.is_empty() && missing.is_empty(),
        "surplus: {surplus:#?}\nmissing: {missing:#?}"
    );
}

#[test]
fn everybody_is_refused_everything_first() {
    let all = rendered(&["loadgen.enabled=true"]);
    let deny = crate::find(&all, "NetworkPolicy", "brewline-default-deny");
    assert_eq!(
        deny.value["spec"]["policyTypes"],
        serde_json::json!(["Ingress", "Egress"])
    );
    assert!(deny.value["spec"].get("ingress").is_none());
    assert!(deny.value["spec"].get("egress").is_none());
    for pod in pods(&all) {
        assert!(
            selects(&deny.value["spec"]["podSelector"], &pod.labels),
            "{} is not meant",
            pod.component
        );
    }
}

#[test]
fn everybody_asks_for_names_and_nobody_else_is_asked() {
    let all = rendered(&[]);
    let common = crate::find(&all, "NetworkPolicy", "brewline-common");
    let dns = &common.value["spec"]["egress"][0];
    assert_eq!(dns["ports"].as_array().unwrap().len(), 2, "UDP and TCP");
    let to = dns["to"].as_array().unwrap();
    assert_eq!(to.len(), 1);
    assert_eq!(
        to[0]["podSelector"]["matchLabels"],
        serde_json::json!({"k8s-app": "kube-dns"})
    );
}

#[test]
fn kedas_operator_asks_the_bundled_prometheus_when_it_scales_by_it() {
    let from = |sets: &[&str]| {
        let all = rendered(&[&["observability.enabled=true"], sets].concat());
        let policy = crate::find(&all, "NetworkPolicy", "brewline-prometheus");
        let from = policy.value["spec"]["ingress"][0]["from"].clone();
        from.as_array().unwrap().clone()
    };
    let usual = from(&[]);
    let another = "autoscaling.prometheusUrl=http://prometheus.monitoring:9090";
    assert_eq!(from(&["autoscaling.mode=keda", another]), usual);
    let scaling = from(&["autoscaling.mode=keda"]);
    assert_eq!(scaling.len(), usual.len() + 1);
    assert_eq!(
        scaling.last().unwrap(),
        &serde_json::json!({
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "keda"}},
            "podSelector": {"matchLabels": {"app": "keda-operator"}},
        })
    );
}

#[test]
fn webhooks_may_go_to_the_world_and_not_to_the_network_behind_us() {
    let all = rendered(&[]);
    let policy = crate::find(&all, "NetworkPolicy", "brewline-notification");
    let rules = policy.value["spec"]["egress"].as_array().unwrap();
    let blocks: Vec<&Value> = rules
        .iter()
        .flat_map(|rule| rule["to"].as_array().unwrap())
        .filter_map(|peer| peer.get("ipBlock"))
        .collect();
    assert_eq!(blocks.len(), 1);
    let except = blocks[0]["except"].as_array().unwrap();
    for range in ["10.0.0.0/8", "169.254.0.0/16", "192.168.0.0/16"] {
        assert!(except.iter().any(|given| given == range), "{range}");
    }
    // Nobody else has a way out.
    for other in all
        .iter()
        .filter(|m| m.kind() == "NetworkPolicy" && *m != policy)
    {
        assert!(
            !other.value.to_string().contains("ipBlock"),
            "{}",
            other.id()
        );
    }
}

#[test]
fn strangers_reach_the_gateway_only_when_a_door_is_asked_for() {
    let from = |all: &[Manifest]| {
        let policy = crate::find(all, "NetworkPolicy", "brewline-gateway");
        policy.value["spec"]["ingress"][0]["from"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(from(&rendered(&[])), 1);
    assert_eq!(from(&variant("node-port")), 2);
    assert_eq!(from(&variant("httproute")), 2);
    let ingress = variant("ingress");
    let policy = crate::find(&ingress, "NetworkPolicy", "brewline-gateway");
    assert_eq!(from(&ingress), 2);
    assert!(
        !policy.value.to_string().contains("0.0.0.0/0"),
        "the named controller alone"
    );
}
