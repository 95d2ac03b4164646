//! What watches the platform: Prometheus with every rule and every target, and Jaeger, which has an order's
//! trace from the collector. Grafana is left out: it shows what these know, and its panels' queries are
//! judged by `./brewline test observe`.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use crate::load::seconds_since;
use crate::release::{Release, SERVICES};
use crate::{NotJudged, kube, lifecycle};

const PROMETHEUS: u16 = 9090;
const JAEGER: u16 = 16686;

/// Images may have to be fetched.
const THERE_WITHIN: Duration = Duration::from_secs(300);
/// A few rounds of asking and evaluating, at 15 s each.
const SEEN_WITHIN: Duration = Duration::from_secs(120);
const TRACED_WITHIN: Duration = Duration::from_secs(60);

/// Why the kubelet waits with a container whose image cannot be had.
const NO_IMAGE: [&str; 3] = ["ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull"];

/// Every rule of the chart is evaluated, every process answers, and an order leaves one trace in which
/// every service has a part.
pub(crate) fn rules_targets_and_a_trace(release: &Release) -> anyhow::Result<String> {
    let every_order = r#"traces.ratio="1""#.to_owned();
    switch_on(
        release,
        &["prometheus", "collector", "jaeger"],
        &[every_order],
    )?;
    let rules = all_rules(release)?.len();
    let evaluated = || Ok(evaluated(release)? == all_rules(release)?);
    kube::until("every rule is evaluated", SEEN_WITHIN, evaluated)?;
    let up = || every_target_is_up(release);
    kube::until("every target is up", SEEN_WITHIN, up)?;
    let trace = trace(release)?;
    release.upgrade(&[])?;
    Ok(format!(
        "{rules} rules, {} targets up; {trace}",
        processes().len()
    ))
}

/// Brings the release up with these of what watches it. Where an image cannot be had it goes back, and the
/// case is not judged.
pub(crate) fn switch_on(
    release: &Release,
    tools: &[&str],
    settings: &[String],
) -> anyhow::Result<()> {
    let jaeger = tools.contains(&"jaeger");
    let mut all = vec![
        "observability.enabled=true".to_owned(),
        "observability.grafana.enabled=false".to_owned(),
        format!("observability.jaeger.enabled={jaeger}"),
    ];
    all.extend_from_slice(settings);
    release.begin_upgrade(&all)?;
    let decided = || Ok(are_ready(release, tools)? || !missing_images(release)?.is_empty());
    kube::until("what watches is there", THERE_WITHIN, decided)?;
    if !are_ready(release, tools)? {
        let missing = missing_images(release)?.join(", ");
        release.upgrade(&[])?;
        bail!(NotJudged(format!("this cluster cannot have {missing}")));
    }
    release.wait_ready().map(drop)
}

fn are_ready(release: &Release, tools: &[&str]) -> anyhow::Result<bool> {
    for tool in tools {
        if release.ready_replicas(tool)? == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Images that pods of the release wait for in vain.
fn missing_images(release: &Release) -> anyhow::Result<Vec<String>> {
    let selector = format!("app.kubernetes.io/instance={}", release.name);
    let pods = release.get(&["pods", "--selector", &selector])?;
    Ok(missing_in(&pods))
}

fn missing_in(pods: &Value) -> Vec<String> {
    let containers = list(pods, "/items")
        .iter()
        .flat_map(|pod| list(pod, "/status/containerStatuses"));
    let waits = |container: &&Value| {
        text(container, "/state/waiting/reason").is_some_and(|reason| NO_IMAGE.contains(&reason))
    };
    let image = |container: &Value| text(container, "/image").map(str::to_owned);
    containers.filter(waits).filter_map(image).collect()
}

/// The names of the chart's rules, sorted; one that is there for several objectives several times.
fn all_rules(release: &Release) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(release.in_chart("rules"))? {
        let file = std::fs::read_to_string(entry?.path())?;
        names.extend(file.lines().filter_map(rule_name).map(str::to_owned));
    }
    ensure!(!names.is_empty(), "the chart has no rules");
    names.sort();
    Ok(names)
}

fn rule_name(line: &str) -> Option<&str> {
    let rule = line.trim_start().strip_prefix("- ")?;
    rule.strip_prefix("alert: ")
        .or_else(|| rule.strip_prefix("record: "))
}

/// The names of the rules that Prometheus has evaluated without an error, sorted.
fn evaluated(release: &Release) -> anyhow::Result<Vec<String>> {
    let answer = release.ask("prometheus", PROMETHEUS, "api/v1/rules")?;
    let rules = list(&answer, "/data/groups")
        .iter()
        .flat_map(|group| list(group, "/rules"));
    let mut names: Vec<String> = rules
        .filter(|rule| text(rule, "/health") == Some("ok"))
        .filter_map(|rule| text(rule, "/name").map(str::to_owned))
        .collect();
    names.sort();
    Ok(names)
}

/// Those that are asked, by the label `service`.
fn processes() -> BTreeSet<String> {
    let all = SERVICES.iter().chain(&["sandbox"]);
    all.map(|name| (*name).to_owned()).collect()
}

/// Nobody is missing, and nobody is asked who does not answer.
fn every_target_is_up(release: &Release) -> anyhow::Result<bool> {
    let answer = release.ask("prometheus", PROMETHEUS, "api/v1/targets")?;
    let targets = list(&answer, "/data/activeTargets");
    let services = targets.iter().filter_map(|t| text(t, "/labels/service"));
    let services: BTreeSet<String> = services.map(str::to_owned).collect();
    let up = |target: &Value| text(target, "/health") == Some("up");
    Ok(services == processes() && targets.iter().all(up))
}

/// The one trace of a new order.
fn trace(release: &Release) -> anyhow::Result<String> {
    let order = lifecycle::placed(release)?;
    let begun = std::time::Instant::now();
    let path = format!("api/traces?service=order&tag=brewline.order.id:{order}&limit=20");
    let found = || release.ask("jaeger", JAEGER, &path);
    let complete = || Ok(services_of(&found()?) == processes());
    let waited = kube::until("every service is in the trace", TRACED_WITHIN, complete);
    let traces = found()?;
    waited.with_context(|| format!("only {:?} are", services_of(&traces)))?;
    let count = list(&traces, "/data").len();
    ensure!(count == 1, "the order has {count} traces");
    Ok(format!(
        "a trace of {} spans by {} processes, {} after the order was confirmed",
        list(&traces, "/data/0/spans").len(),
        processes().len(),
        seconds_since(begun)
    ))
}

fn services_of(traces: &Value) -> BTreeSet<String> {
    let processes = traces
        .pointer("/data/0/processes")
        .and_then(Value::as_object);
    let processes = processes.into_iter().flat_map(|all| all.values());
    let names = processes.filter_map(|process| text(process, "/serviceName"));
    names.map(str::to_owned).collect()
}

/// The greatest value that a query had over the last so many seconds.
pub(crate) fn greatest(release: &Release, query: &str, seconds: u64) -> anyhow::Result<String> {
    let query = format!("max_over_time(max({query})[{seconds}s:5s])");
    let path = format!("api/v1/query?query={}", escaped(&query));
    let answer = release.ask("prometheus", PROMETHEUS, &path)?;
    let value = text(&answer, "/data/result/0/value/1");
    Ok(value.context("the query has no result")?.to_owned())
}

/// As a part of a URL.
fn escaped(query: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    query.bytes().map(escape).collect()
}

fn list<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    let list = value.pointer(path).and_then(Value::as_array);
    list.map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, path: &str) -> Option<&'a str> {
    value.pointer(path).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_image_that_is_still_fetched_is_not_missing() {
        let pod = |reason: &str| {
            let state = json!({"waiting": {"reason": reason}});
            json!({"status": {"containerStatuses": [{"image": "one", "state": state}]}})
        };
        let pods = |reason: &str| json!({"items": [pod(reason), {"status": {}}]});
        assert!(missing_in(&pods("ContainerCreating")).is_empty());
        assert_eq!(missing_in(&pods("ImagePullBackOff")), ["one"]);
    }

    #[test]
    fn rules_are_found_by_their_first_line() {
        assert_eq!(rule_name("      - alert: ServiceDown"), Some("ServiceDown"));
        assert_eq!(rule_name("      - record: a:b:c"), Some("a:b:c"));
        assert_eq!(rule_name("        for: 1m"), None);
    }

    #[test]
    fn the_chart_has_rules_to_look_for() {
        let rules = all_rules(&Release::from_environment()).unwrap();
        assert!(rules.contains(&"ServiceDown".to_owned()), "{rules:?}");
    }

    #[test]
    fn a_query_is_one_part_of_a_url() {
        assert_eq!(escaped(r#"a{b="c"}[5s]"#), "a%7Bb%3D%22c%22%7D%5B5s%5D");
    }
}
