//! Prometheus beside a local stack, with the rules of every installation.
//!
//! It is the system's own package, a program like PostgreSQL. Its rules are made at the time scale that was asked
//! for; its targets are a file that follows `endpoints.json`, so that further instances are asked too.

use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context as _, bail};
use brewline_slo::{Pack, files, rule_file};
use serde::Serialize;

use super::endpoints::Endpoints;
use super::folder::{Folder, write_atomically};
use super::launch::Launch;
use super::plan::{Addresses, Blueprint, Probe, Unit};
use super::ports::{Ports, loopback};

/// The unit's name.
pub const PROMETHEUS: &str = "prometheus";

/// Where packages put it; the administrator's own place comes first.
const PLACES: [&str; 2] = ["/usr/local/bin/prometheus", "/usr/bin/prometheus"];

/// A local stack is looked at today, not next month.
const RETENTION: &str = "7d";

/// At most so much of that.
const RETENTION_BYTES: &str = "1GB";

/// Prometheus re-reads its targets this often when the file system tells it of no change.
const TARGETS_REFRESH: &str = "5s";

/// Who is asked, as Prometheus reads it from a file.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Target {
    targets: [String; 1],
    labels: Labels,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Labels {
    service: String,
    instance: String,
}

/// Prometheus as a unit to be kept running.
///
/// # Errors
/// When it is not installed or its files cannot be written.
pub fn unit(folder: &Folder, ports: Ports, time_scale: u32) -> anyhow::Result<Unit> {
    let program = program()?;
    write_configuration(folder, time_scale)?;
    let folder = folder.clone();
    Ok(Unit {
        name: PROMETHEUS.to_owned(),
        instances: 1,
        instances_max: 1,
        version: String::new(),
        blueprint: Rc::new(move |instance| Ok(blueprint(&folder, &program, ports, instance))),
    })
}

/// Where the package's program is.
///
/// # Errors
/// When it is not installed.
pub fn program() -> anyhow::Result<PathBuf> {
    let found = PLACES
        .map(PathBuf::from)
        .into_iter()
        .find(|path| path.is_file());
    match found {
        Some(found) => Ok(found),
        None => bail!(
            "Prometheus is missing: install the package prometheus (./brewline up --observe does)"
        ),
    }
}

/// Tells Prometheus whom to ask; nothing, when there is none.
///
/// # Errors
/// When the file cannot be written.
pub fn tell_targets(folder: &Folder, endpoints: &Endpoints) -> anyhow::Result<()> {
    if endpoints.prometheus.is_none() {
        return Ok(());
    }
    let text = serde_json::to_vec_pretty(&targets(endpoints)).context("write targets as JSON")?;
    write_atomically(&targets_file(folder), &text, 0o644)
}

fn targets(endpoints: &Endpoints) -> Vec<Target> {
    let all = endpoints.services.iter().flat_map(|(service, all)| {
        all.instances.iter().filter_map(move |one| {
            let admin = one.admin.as_ref()?;
            Some(Target {
                targets: [admin.trim_start_matches("http://").to_owned()],
                labels: Labels {
                    service: service.clone(),
                    instance: format!("{service}-{}", one.instance),
                },
            })
        })
    });
    all.collect()
}

fn write_configuration(folder: &Folder, time_scale: u32) -> anyhow::Result<()> {
    let rules = rules_folder(folder);
    fs::create_dir_all(&rules).with_context(|| format!("make {}", rules.display()))?;
    let pack = Pack::committed()?.at_scale(time_scale);
    for (name, groups) in files::rules(&pack) {
        write_atomically(&rules.join(name), rule_file(&groups).as_bytes(), 0o644)?;
    }
    let text = configuration(folder, &pack);
    write_atomically(&configuration_file(folder), text.as_bytes(), 0o644)
}

/// The job's name and labels are those of the chart: rules and dashboards fit both.
fn configuration(folder: &Folder, pack: &Pack) -> String {
    let interval = pack.interval();
    // A path in double quotes is YAML whatever it holds; JSON's are a part of YAML's.
    let quoted = |path: PathBuf| serde_json::Value::from(path.display().to_string());
    let (rules, targets) = (
        quoted(rules_folder(folder).join("*.yaml")),
        quoted(targets_file(folder)),
    );
    format!(
        "global: {{scrape_interval: {interval}, scrape_timeout: {interval}, evaluation_interval: {interval}}}\n\
         rule_files: [{rules}]\n\
         scrape_configs:\n  \
           - job_name: brewline\n    \
             file_sd_configs:\n      \
               - {{files: [{targets}], refresh_interval: {TARGETS_REFRESH}}}\n"
    )
}

fn blueprint(folder: &Folder, program: &Path, ports: Ports, instance: u16) -> Blueprint {
    let address = loopback(ports.prometheus());
    let data = folder.prometheus().join("data");
    let launch = Launch::new(program, folder.log(PROMETHEUS, instance)).arguments([
        format!("--config.file={}", configuration_file(folder).display()),
        format!("--storage.tsdb.path={}", data.display()),
        format!("--storage.tsdb.retention.time={RETENTION}"),
        format!("--storage.tsdb.retention.size={RETENTION_BYTES}"),
        format!("--web.listen-address={address}"),
        "--log.level=warn".to_owned(),
    ]);
    let address = format!("http://{address}");
    Blueprint {
        launch,
        probe: Probe::Http(format!("{address}/-/ready")),
        addresses: Addresses {
            http: Some(address),
            ..Addresses::default()
        },
    }
}

fn configuration_file(folder: &Folder) -> PathBuf {
    folder.prometheus().join("prometheus.yml")
}

fn targets_file(folder: &Folder) -> PathBuf {
    folder.prometheus().join("targets.json")
}

fn rules_folder(folder: &Folder) -> PathBuf {
    folder.prometheus().join("rules")
}

#[cfg(test)]
mod tests {
    use super::super::endpoints::{InstanceEndpoints, ServiceEndpoints};
    use super::*;

    #[test]
    fn every_instance_that_has_an_admin_port_is_asked_by_its_name() {
        let instance = |number: u16| InstanceEndpoints {
            instance: number,
            admin: Some(format!("http://127.0.0.1:{}", 9000 + number)),
            ..InstanceEndpoints::default()
        };
        let mut endpoints = Endpoints::default();
        let order = ServiceEndpoints::of(vec![instance(1), instance(2)]);
        endpoints.services.insert("order".to_owned(), order);
        let bare = ServiceEndpoints::of(vec![InstanceEndpoints::default()]);
        endpoints.services.insert("bare".to_owned(), bare);
        let written = serde_json::to_value(targets(&endpoints)).unwrap();
        let one = |instance: &str, address: &str| {
            serde_json::json!({
                "targets": [address],
                "labels": { "service": "order", "instance": instance },
            })
        };
        let expected = [
            one("order-1", "127.0.0.1:9001"),
            one("order-2", "127.0.0.1:9002"),
        ];
        assert_eq!(written, serde_json::Value::from(expected.to_vec()));
    }

    #[test]
    fn an_hour_of_the_rules_is_a_minute_at_scale_60_and_scrapes_keep_up() {
        let folder = Folder::at(Path::new("/a b")).unwrap();
        let pack = Pack::committed().unwrap();
        let text = configuration(&folder, &pack.clone().at_scale(60));
        assert!(text.contains("scrape_interval: 1s"), "{text}");
        assert!(
            text.contains(r#"rule_files: ["/a b/prometheus/rules/*.yaml"]"#),
            "{text}"
        );
        assert!(configuration(&folder, &pack).contains("evaluation_interval: 15s"));
    }
}
