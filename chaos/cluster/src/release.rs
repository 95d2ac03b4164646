//! The release under test: its names, and what is asked of it again and again.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::kube;

/// Those that customers' requests and events go through.
pub(crate) const SERVICES: [&str; 7] = [
    "gateway",
    "order",
    "payment",
    "inventory",
    "barista",
    "notification",
    "leaderboard",
];

/// Everything is ready again within this, whatever was done to it.
const READY_WITHIN: Duration = Duration::from_secs(300);

/// What is behind after a fault has caught up within this; the books are read again until then.
const BALANCED_WITHIN: Duration = Duration::from_secs(120);

/// One release of the chart.
pub(crate) struct Release {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) next_tag: Option<String>,
    /// Orders a second while something is done to the platform.
    pub(crate) rate: u64,
    /// How much longer than on an idle machine everything may take.
    pub(crate) slowness: u32,
    values: Option<String>,
    chart: String,
}

// === impl Release ===

impl Release {
    /// The one that the environment names.
    pub(crate) fn from_environment() -> Self {
        let given = |name: &str| {
            let value = std::env::var_os(name)?.into_string().ok()?;
            Some(value).filter(|value| !value.is_empty())
        };
        let or = |name: &str, default: &str| given(name).unwrap_or_else(|| default.to_owned());
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        Self {
            namespace: or("BREWLINE_CLUSTER_NAMESPACE", "brewline"),
            name: or("BREWLINE_CLUSTER_RELEASE", "brewline"),
            next_tag: given("BREWLINE_CLUSTER_NEXT_TAG"),
            rate: or("BREWLINE_CLUSTER_RATE", "10").parse().unwrap_or(10),
            slowness: or("BREWLINE_CLUSTER_SLOWNESS", "1").parse().unwrap_or(1),
            values: given("BREWLINE_CLUSTER_VALUES"),
            chart: root.join("charts/brewline").display().to_string(),
        }
    }

    /// Runs `kubectl` in the release's namespace.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> anyhow::Result<String> {
        kube::run("kubectl", &self.in_namespace(arguments))
    }

    /// The arguments of `kubectl`, with the namespace.
    pub(crate) fn in_namespace<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        [&["--namespace", self.namespace.as_str()], arguments].concat()
    }

    /// What `kubectl get … -o json` says.
    pub(crate) fn get(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let text = self.kubectl(&[&["get", "-o", "json"], arguments].concat())?;
        serde_json::from_str(&text).context("understand kubectl")
    }

    /// Runs `helm` on the release.
    pub(crate) fn helm(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let place = ["--namespace", self.namespace.as_str()];
        kube::run("helm", &[arguments, &place].concat())
    }

    /// Installs the release, or changes it to the values given here and no others. Values are texts.
    pub(crate) fn upgrade(&self, settings: &[String]) -> anyhow::Result<String> {
        self.upgrade_by("--set-string", settings)
    }

    /// The same with numbers and truth values.
    pub(crate) fn upgrade_typed(&self, settings: &[String]) -> anyhow::Result<String> {
        self.upgrade_by("--set", settings)
    }

    /// The same with values as JSON, and without waiting for the pods.
    pub(crate) fn begin_upgrade(&self, settings: &[String]) -> anyhow::Result<String> {
        self.helm(&self.upgrade_arguments("--set-json", settings))
    }

    fn upgrade_by(&self, flag: &str, settings: &[String]) -> anyhow::Result<String> {
        let mut arguments = self.upgrade_arguments(flag, settings);
        arguments.extend(["--wait", "--timeout", "10m"]);
        self.helm(&arguments)
    }

    fn upgrade_arguments<'a>(&'a self, flag: &'a str, settings: &'a [String]) -> Vec<&'a str> {
        let mut arguments = vec!["upgrade", "--install", &self.name, &self.chart];
        arguments.extend(self.values.iter().flat_map(|file| ["--values", file]));
        arguments.extend(settings.iter().flat_map(|pair| [flag, pair.as_str()]));
        arguments
    }

    /// A folder or file of the chart.
    pub(crate) fn in_chart(&self, path: &str) -> PathBuf {
        Path::new(&self.chart).join(path)
    }

    /// What a Service of the release answers over HTTP, asked through the cluster's API.
    pub(crate) fn ask(&self, component: &str, port: u16, path: &str) -> anyhow::Result<Value> {
        let service = format!(
            "/api/v1/namespaces/{}/services/{}:{port}/proxy/{path}",
            self.namespace,
            self.object(component)
        );
        let text = kube::run("kubectl", &["get", "--raw", &service])?;
        serde_json::from_str(&text).with_context(|| format!("understand {component}"))
    }

    /// The name of an object that belongs to one service.
    pub(crate) fn object(&self, service: &str) -> String {
        format!("{}-{service}", self.name)
    }

    /// `deployment/NAME` of a service.
    pub(crate) fn deployment(&self, service: &str) -> String {
        format!("deployment/{}", self.object(service))
    }

    /// Runs a verb of the command line inside the cluster.
    pub(crate) fn brewline(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let toolbox = self.deployment("toolbox");
        let exec = ["exec", toolbox.as_str(), "--", "brewline"];
        self.kubectl(&[&exec[..], arguments].concat())
    }

    /// Waits until every pod that should be is there and ready.
    pub(crate) fn wait_ready(&self) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        for kind in ["statefulset", "deployment"] {
            for name in self.names(kind)? {
                let object = format!("{kind}/{name}");
                let within = READY_WITHIN.saturating_mul(self.slowness);
                let timeout = format!("--timeout={}s", within.as_secs());
                self.kubectl(&["rollout", "status", &object, &timeout])?;
            }
        }
        Ok(begun.elapsed())
    }

    fn names(&self, kind: &str) -> anyhow::Result<Vec<String>> {
        let selector = format!("app.kubernetes.io/instance={}", self.name);
        let text = self.kubectl(&[
            "get",
            kind,
            "--selector",
            &selector,
            "-o",
            "jsonpath={.items[*].metadata.name}",
        ])?;
        Ok(text.split_whitespace().map(str::to_owned).collect())
    }

    /// The pods of a service, by their ids.
    pub(crate) fn pods(&self, service: &str) -> anyhow::Result<Vec<String>> {
        let selector = format!(
            "app.kubernetes.io/instance={},app.kubernetes.io/component={service}",
            self.name
        );
        let path = "jsonpath={.items[*].metadata.uid}";
        let text = self.kubectl(&["get", "pods", "--selector", &selector, "-o", path])?;
        Ok(text.split_whitespace().map(str::to_owned).collect())
    }

    /// Fails unless the books balance. What is still under way makes some verdicts wait: then they are
    /// read again.
    pub(crate) fn verify(&self) -> anyhow::Result<()> {
        self.wait_ready()?;
        let balanced = || self.brewline(&["verify"]).map(|_| true);
        let within = BALANCED_WITHIN.saturating_mul(self.slowness);
        let waited = kube::until("the books balance", within, balanced);
        waited.map(drop)
    }

    /// Removes everything, volumes included.
    pub(crate) fn purge(&self) -> anyhow::Result<()> {
        self.helm(&["uninstall", &self.name, "--wait"]).ok();
        kube::run("kubectl", &["delete", "namespace", &self.namespace]).map(drop)
    }

    /// Fails unless a deployment has this many ready pods.
    pub(crate) fn ready_replicas(&self, service: &str) -> anyhow::Result<u64> {
        let deployment = self.get(&[&self.deployment(service)])?;
        let Some(status) = deployment.get("status") else {
            bail!("{service} has no status");
        };
        Ok(status
            .get("readyReplicas")
            .and_then(Value::as_u64)
            .unwrap_or_default())
    }
}
