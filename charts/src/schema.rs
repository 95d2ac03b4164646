//! What is wrong with an object in the eyes of Kubernetes: fields that do not exist, values of the wrong
//! type, and for the resources of operators fields that their definitions do not know.

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::{
    ConfigMap, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount,
};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use k8s_openapi::api::scheduling::v1::PriorityClass;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Manifest;

/// Resources of operators: API, kind, the fields that `spec` may have, those that it must have.
const CUSTOM: &[(&str, &str, &[&str], &[&str])] = &[
    (
        "keda.sh/v1alpha1",
        "ScaledObject",
        &[
            "scaleTargetRef",
            "minReplicaCount",
            "maxReplicaCount",
            "pollingInterval",
            "cooldownPeriod",
            "idleReplicaCount",
            "fallback",
            "advanced",
            "triggers",
        ],
        &["scaleTargetRef", "triggers"],
    ),
    (
        "gateway.networking.k8s.io/v1",
        "HTTPRoute",
        &["parentRefs", "hostnames", "rules"],
        &["parentRefs", "rules"],
    ),
    (
        "postgresql.cnpg.io/v1",
        "Cluster",
        &[
            "instances",
            "imageName",
            "enableSuperuserAccess",
            "superuserSecret",
            "minSyncReplicas",
            "maxSyncReplicas",
            "postgresql",
            "storage",
            "resources",
            "affinity",
            "backup",
            "bootstrap",
            "primaryUpdateStrategy",
        ],
        &["instances", "storage"],
    ),
    (
        "kafka.strimzi.io/v1",
        "Kafka",
        &["kafka", "entityOperator", "cruiseControl", "kafkaExporter"],
        &["kafka"],
    ),
    (
        "kafka.strimzi.io/v1",
        "KafkaNodePool",
        &[
            "replicas",
            "roles",
            "storage",
            "resources",
            "template",
            "jvmOptions",
        ],
        &["replicas", "roles", "storage"],
    ),
    (
        "kafka.strimzi.io/v1",
        "KafkaTopic",
        &["topicName", "partitions", "replicas", "config"],
        &["partitions", "replicas"],
    ),
    (
        "kafka.strimzi.io/v1",
        "KafkaUser",
        &["authentication", "authorization", "quotas", "template"],
        &["authentication", "authorization"],
    ),
    (
        "monitoring.coreos.com/v1",
        "ServiceMonitor",
        &[
            "endpoints",
            "selector",
            "namespaceSelector",
            "jobLabel",
            "targetLabels",
        ],
        &["endpoints", "selector"],
    ),
    (
        "monitoring.coreos.com/v1",
        "PodMonitor",
        &[
            "podMetricsEndpoints",
            "selector",
            "namespaceSelector",
            "jobLabel",
            "podTargetLabels",
        ],
        &["podMetricsEndpoints", "selector"],
    ),
    (
        "monitoring.coreos.com/v1",
        "PrometheusRule",
        &["groups"],
        &["groups"],
    ),
];

/// Everything that is wrong with an object; nothing when it is as it should be.
#[must_use]
pub fn faults(manifest: &Manifest) -> Vec<String> {
    let (api, kind) = (manifest.text("/apiVersion"), manifest.kind());
    let check: fn(&Value) -> Vec<String> = match (api, kind) {
        ("apps/v1", "Deployment") => typed::<Deployment>,
        ("apps/v1", "StatefulSet") => typed::<StatefulSet>,
        ("apps/v1", "DaemonSet") => typed::<DaemonSet>,
        ("batch/v1", "Job") => typed::<Job>,
        ("batch/v1", "CronJob") => typed::<CronJob>,
        ("v1", "Pod") => typed::<Pod>,
        ("v1", "Service") => typed::<Service>,
        ("v1", "ConfigMap") => typed::<ConfigMap>,
        ("v1", "Secret") => typed::<Secret>,
        ("v1", "ServiceAccount") => typed::<ServiceAccount>,
        ("v1", "PersistentVolumeClaim") => typed::<PersistentVolumeClaim>,
        ("networking.k8s.io/v1", "NetworkPolicy") => typed::<NetworkPolicy>,
        ("networking.k8s.io/v1", "Ingress") => typed::<Ingress>,
        ("policy/v1", "PodDisruptionBudget") => typed::<PodDisruptionBudget>,
        ("scheduling.k8s.io/v1", "PriorityClass") => typed::<PriorityClass>,
        ("autoscaling/v2", "HorizontalPodAutoscaler") => typed::<HorizontalPodAutoscaler>,
        ("rbac.authorization.k8s.io/v1", "Role") => typed::<Role>,
        ("rbac.authorization.k8s.io/v1", "RoleBinding") => typed::<RoleBinding>,
        ("rbac.authorization.k8s.io/v1", "ClusterRole") => typed::<ClusterRole>,
        ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding") => typed::<ClusterRoleBinding>,
        _ => return custom(manifest, api, kind),
    };
    let mut faults = check(&manifest.value);
    if manifest.name().is_empty() {
        faults.push("it has no name".to_owned());
    }
    faults
}

fn typed<T: DeserializeOwned>(value: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let read: Result<T, _> = serde_ignored::deserialize(value, |path| {
        // Optional fields and lists of them have a `?` of their own in such a path.
        let path = path.to_string().replace(".?", "");
        faults.push(format!("there is no field {path}"));
    });
    if let Err(error) = read {
        faults.push(error.to_string());
    }
    faults
}

fn custom(manifest: &Manifest, api: &str, kind: &str) -> Vec<String> {
    let known = CUSTOM
        .iter()
        .find(|(own_api, own_kind, _, _)| (*own_api, *own_kind) == (api, kind));
    let Some((_, _, may, must)) = known else {
        return vec![format!("there is no {kind} in {api}")];
    };
    let Some(spec) = manifest.value.pointer("/spec").and_then(Value::as_object) else {
        return vec!["it has no spec".to_owned()];
    };
    let unknown = spec.keys().filter(|key| !may.contains(&key.as_str()));
    let missing = must.iter().filter(|key| !spec.contains_key(**key));
    unknown
        .map(|key| format!("there is no field spec.{key}"))
        .chain(missing.map(|key| format!("spec.{key} is missing")))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn faults_of(value: Value) -> Vec<String> {
        faults(&Manifest { value })
    }

    #[test]
    fn a_field_that_does_not_exist_is_named_however_deep_it_is() {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
            "spec": {"containers": [{"name": "c", "image": "i", "resorces": {}}]},
        });
        assert_eq!(
            faults_of(pod),
            ["there is no field spec.containers.0.resorces"]
        );
    }

    #[test]
    fn a_value_of_the_wrong_type_is_a_fault() {
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"},
            "spec": {"ports": [{"port": "http"}]},
        });
        assert_eq!(faults_of(service).len(), 1);
    }

    #[test]
    fn a_kind_that_nobody_knows_is_a_fault() {
        let topic = json!({"apiVersion": "kafka.strimzi.io/v1", "kind": "KafkaTopik"});
        assert_eq!(faults_of(topic).len(), 1);
        let topic = json!({
            "apiVersion": "kafka.strimzi.io/v1", "kind": "KafkaTopic",
            "spec": {"partitions": 1, "copies": 1},
        });
        assert_eq!(
            faults_of(topic),
            ["there is no field spec.copies", "spec.replicas is missing"]
        );
    }
}
