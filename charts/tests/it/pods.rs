//! What every pod promises: no token, no rights, a place on a small node, a good end.

use std::collections::BTreeSet;

use brewline_charts::Manifest;
use serde_json::{Value, json};

use crate::{find, rendered, variant};

const SERVICES: [&str; 7] = [
    "gateway",
    "order",
    "payment",
    "inventory",
    "barista",
    "notification",
    "leaderboard",
];

fn everything() -> Vec<Manifest> {
    rendered(&["loadgen.enabled=true"])
}

#[test]
fn no_pod_gets_a_service_account_token() {
    for manifest in everything() {
        if let Some(spec) = manifest.pod_spec() {
            assert_eq!(
                spec["automountServiceAccountToken"],
                false,
                "{}",
                manifest.id()
            );
        }
    }
}

#[test]
fn every_container_meets_the_restricted_standard_and_cannot_write_its_image() {
    let mut seen = 0;
    for manifest in everything() {
        let Some(spec) = manifest.pod_spec() else {
            continue;
        };
        let id = manifest.id();
        assert_eq!(spec["securityContext"]["runAsNonRoot"], true, "{id}");
        assert_ne!(spec["securityContext"]["runAsUser"], 0, "{id}");
        assert_eq!(
            spec["securityContext"]["seccompProfile"]["type"], "RuntimeDefault",
            "{id}"
        );
        for forbidden in ["hostNetwork", "hostPID", "hostIPC"] {
            assert!(spec.get(forbidden).is_none(), "{id} has {forbidden}");
        }
        for container in manifest.containers() {
            seen += 1;
            let security = &container.value["securityContext"];
            assert_eq!(security["allowPrivilegeEscalation"], false, "{id}");
            assert_eq!(security["readOnlyRootFilesystem"], true, "{id}");
            assert_eq!(security["capabilities"], json!({"drop": ["ALL"]}), "{id}");
            assert!(security.get("privileged").is_none(), "{id}");
        }
        for volume in spec["volumes"].as_array().into_iter().flatten() {
            assert!(volume.get("hostPath").is_none(), "{id} reads the node");
        }
    }
    assert!(seen > 20, "only {seen} containers were found");
}

#[test]
fn every_container_asks_for_little_and_has_a_limit_of_memory() {
    let mut millis = 0;
    for manifest in rendered(&[]) {
        for container in manifest.containers() {
            let id = format!("{} {}", manifest.id(), container.text("/name"));
            let asked = container.text("/resources/requests/cpu");
            let asked: u32 = asked
                .strip_suffix('m')
                .and_then(|n| n.parse().ok())
                .unwrap_or_else(|| panic!("{id} asks for {asked:?}"));
            assert!(
                !container.text("/resources/limits/memory").is_empty(),
                "{id} has no limit of memory"
            );
            // Init containers run before the others, not beside them.
            if !container.is_init && manifest.kind() != "Pod" {
                millis += asked;
            }
        }
    }
    assert!(millis <= 1200, "all together ask for {millis}m");
}

#[test]
fn a_service_says_when_it_lives_and_when_it_is_ready_and_goes_in_good_order() {
    let all = rendered(&["drain.delaySeconds=7", "drain.graceSeconds=9"]);
    for name in SERVICES {
        let deployment = find(&all, "Deployment", &format!("brewline-{name}"));
        let containers = deployment.containers();
        let own = containers[0];
        assert_eq!(own.text("/readinessProbe/httpGet/path"), "/readyz");
        assert_eq!(own.text("/livenessProbe/httpGet/path"), "/livez");
        assert_eq!(own.text("/startupProbe/httpGet/path"), "/livez");
        // The gateway's callers are told while it serves on; the others' find out by DNS.
        let sleep = &own.value["lifecycle"]["preStop"]["sleep"]["seconds"];
        let told = own.env("BREWLINE_DRAIN_DELAY_MS").unwrap_or("0");
        let serves_on = sleep.as_u64().unwrap() + told.parse::<u64>().unwrap() / 1000;
        assert!(serves_on >= 7, "{name} serves on for {serves_on} s");
        assert_eq!(told != "0", name == "gateway");
        assert_eq!(own.env("BREWLINE_SHUTDOWN_GRACE_MS"), Some("9000"));
        let spec = deployment.pod_spec().unwrap();
        assert!(spec["terminationGracePeriodSeconds"].as_u64().unwrap() > serves_on + 9);
        let update = &deployment.value["spec"]["strategy"]["rollingUpdate"];
        assert_eq!(update, &json!({"maxSurge": 1, "maxUnavailable": 0}));
        assert_eq!(
            spec["topologySpreadConstraints"].as_array().unwrap().len(),
            2
        );
        let budget = find(&all, "PodDisruptionBudget", &format!("brewline-{name}"));
        assert_eq!(budget.value["spec"]["maxUnavailable"], 1);
    }
}

#[test]
fn grpc_is_found_pod_by_pod() {
    let all = rendered(&[]);
    for name in &SERVICES[1..] {
        let service = find(&all, "Service", &format!("brewline-{name}"));
        assert_eq!(service.text("/spec/clusterIP"), "None", "{name}");
    }
    // A broker has to find its own name before it is ready.
    let kafka = find(&all, "Service", "brewline-kafka");
    assert_eq!(kafka.value["spec"]["publishNotReadyAddresses"], true);
}

#[test]
fn a_password_stands_in_its_secret_and_nowhere_else() {
    let all = everything();
    let secrets = all.iter().filter(|m| m.kind() == "Secret");
    let mut values: BTreeSet<String> = BTreeSet::new();
    for secret in secrets {
        assert_eq!(
            secret.text("/metadata/annotations/helm.sh~1resource-policy"),
            "keep",
            "{} would go while the volumes stay",
            secret.id()
        );
        for (key, value) in secret.value["data"].as_object().unwrap() {
            let text = decoded(value.as_str().unwrap());
            if key != "username" {
                assert!(text.len() >= 22, "{} is short", secret.id());
                assert!(values.insert(text), "two have the same password");
            }
        }
    }
    assert!(values.len() > 15);
    for manifest in all.iter().filter(|m| m.kind() != "Secret") {
        let text = manifest.value.to_string();
        let found = values.iter().find(|value| text.contains(value.as_str()));
        assert!(found.is_none(), "{} holds a password", manifest.id());
    }
}

#[test]
fn with_secrets_of_ones_own_none_is_made() {
    let all = variant("existing-secrets");
    assert!(!all.iter().any(|m| m.kind() == "Secret"));
    let order = find(&all, "Deployment", "brewline-order").value.to_string();
    assert!(order.contains("\"shop-order\""));
    assert!(!order.contains("\"brewline-order\",\"key\""));
}

#[test]
fn orders_go_before_boards_and_never_before_strangers() {
    let all = rendered(&[]);
    let priority = |component: &str| {
        let pod = find(&all, "Deployment", &format!("brewline-{component}"));
        let class = pod.pod_spec().unwrap()["priorityClassName"].clone();
        let class = find(&all, "PriorityClass", class.as_str().unwrap());
        class.value["value"].as_i64().unwrap()
    };
    assert!(priority("order") > priority("notification"));
    assert!(priority("notification") > priority("leaderboard"));
    // Pods without a class have 0.
    assert!(priority("order") <= 0);
}

#[test]
fn one_services_tag_changes_one_service() {
    let (before, after) = (rendered(&[]), rendered(&["services.order.image.tag=9.9.9"]));
    let pods = |all: &[Manifest]| -> Vec<(String, Value)> {
        let made = all.iter().filter(|m| m.kind() == "Deployment");
        made.map(|m| (m.id(), m.value.clone())).collect()
    };
    let (before, after) = (pods(&before), pods(&after));
    let changed: Vec<&String> = before
        .iter()
        .zip(&after)
        .filter(|(old, new)| old != new)
        .map(|(old, _)| &old.0)
        .collect();
    assert_eq!(changed, ["Deployment/brewline-order"]);
}

#[test]
fn boards_are_never_scaled_by_lag() {
    let all = variant("keda");
    let scaled: Vec<&str> = all
        .iter()
        .filter(|m| m.kind() == "ScaledObject")
        .map(Manifest::name)
        .collect();
    assert_eq!(scaled, ["brewline-inventory", "brewline-order"]);
    let boards = find(&all, "HorizontalPodAutoscaler", "brewline-leaderboard");
    assert_eq!(
        boards.text("/spec/metrics/0/resource/name"),
        "cpu",
        "{}",
        boards.value
    );
    let order = find(&all, "ScaledObject", "brewline-order");
    // More pods than partitions would get nothing to do.
    assert_eq!(order.value["spec"]["maxReplicaCount"], 4);
    assert!(
        find(&all, "Deployment", "brewline-order").value["spec"]
            .get("replicas")
            .is_none(),
        "an upgrade would undo what the autoscaler has done"
    );
}

#[test]
fn seconds_behind_are_asked_for_by_names_that_exist() {
    let registry = brewline_charts::chart().join("../../telemetry/registry/metrics.yaml");
    let registry = std::fs::read_to_string(registry).unwrap();
    let all = variant("keda");
    let order = find(&all, "ScaledObject", "brewline-order");
    let query = order.text("/spec/triggers/0/metadata/query");
    let (metric, labels) = query
        .strip_prefix("max(")
        .and_then(|rest| rest.split_once('{'))
        .unwrap_or_else(|| panic!("{query}"));
    let entry = registry
        .split("- name: ")
        .find(|entry| entry.lines().next() == Some(metric))
        .unwrap_or_else(|| panic!("no metric {metric}"));
    let label = labels.split('=').next().unwrap();
    let known = entry
        .lines()
        .find(|line| line.trim().starts_with("labels:"));
    assert!(known.unwrap().contains(label), "{metric} has no {label}");
    assert!(labels.contains("namespace=\"shop\""), "{query}");
}

#[test]
fn the_bundled_prometheus_is_found_from_kedas_namespace() {
    let all = rendered(&[
        "observability.enabled=true",
        "autoscaling.mode=keda",
        "services.order.autoscaling.enabled=true",
    ]);
    let order = find(&all, "ScaledObject", "brewline-order");
    assert_eq!(
        order.text("/spec/triggers/0/metadata/serverAddress"),
        "http://brewline-prometheus.shop:9090"
    );
}

#[test]
fn a_changed_installation_is_provisioned_anew_and_the_demo_is_left_alone() {
    let job = |sets: &[&str], part: &str| {
        let all = rendered(sets);
        let found = all
            .iter()
            .find(|m| m.kind() == "Job" && m.name().contains(part));
        found.unwrap().name().to_owned()
    };
    assert_ne!(
        job(&[], "-provision-"),
        job(&["kafka.partitions=8"], "-provision-")
    );
    assert_eq!(job(&[], "-demo-"), job(&["kafka.partitions=8"], "-demo-"));
    // A Job's pod cannot be changed.
    assert_ne!(
        job(&[], "-demo-"),
        job(&["toolbox.image.tag=9.9.9"], "-demo-")
    );
}

/// Base64, as Secrets have it.
fn decoded(text: &str) -> String {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(text);
    String::from_utf8(bytes.unwrap()).unwrap()
}
