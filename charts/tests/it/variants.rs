//! Each way to install it: helm's own judgement, and Kubernetes' types.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use brewline_charts::{Manifest, chart, faults};

use crate::helm;

/// Every file of values that comes with the chart.
fn files() -> Vec<PathBuf> {
    let list = |folder: PathBuf, wanted: fn(&str) -> bool| {
        let entries = std::fs::read_dir(folder).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(move |path| wanted(path.file_name().unwrap().to_str().unwrap()))
    };
    let mut files: Vec<PathBuf> = list(chart().join("ci"), |name| name.ends_with("-values.yaml"))
        .chain(list(chart(), |name| {
            name.starts_with("values-") && name.ends_with(".yaml")
        }))
        .collect();
    files.sort();
    assert!(files.len() > 10, "only {files:?} were found");
    files
}

fn judge(file: &Path, all: &[Manifest]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for manifest in all {
        let id = manifest.id();
        let own = faults(manifest);
        wrong.extend(
            own.iter()
                .map(|fault| format!("{}: {id}: {fault}", file.display())),
        );
        if !seen.insert(id.clone()) {
            wrong.push(format!("{}: {id} is there twice", file.display()));
        }
    }
    wrong
}

#[test]
fn each_variant_is_what_kubernetes_and_the_operators_understand() {
    let mut wrong = Vec::new();
    for file in files() {
        if let Err(error) = helm().lint(&file) {
            wrong.push(format!("{}: {error:#}", file.display()));
        }
        match helm().template(Some(&file), &[]) {
            Ok(all) => wrong.extend(judge(&file, &all)),
            Err(error) => wrong.push(format!("{}: {error:#}", file.display())),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_object_is_selected_by_nobody_but_its_own_release() {
    let others = Manifest::split(&helm().text("blue", None, &[]).unwrap()).unwrap();
    let names: BTreeSet<String> = others.iter().map(Manifest::id).collect();
    for manifest in crate::rendered(&[]) {
        assert!(
            !names.contains(&manifest.id()),
            "{} is in both",
            manifest.id()
        );
        let labels = "/spec/selector/matchLabels/app.kubernetes.io~1instance";
        if manifest
            .value
            .pointer("/spec/selector/matchLabels")
            .is_some()
        {
            assert_eq!(manifest.text(labels), "brewline", "{}", manifest.id());
        }
    }
}

#[test]
fn operators_get_every_topic_with_its_dead_letters_and_a_user_for_each_service() {
    let all = crate::variant("operators");
    let count = |kind: &str| all.iter().filter(|m| m.kind() == kind).count();
    assert_eq!(count("KafkaTopic"), 14);
    assert_eq!(count("KafkaUser"), 7);
    assert_eq!(count("Cluster"), 1);
    assert!(!all.iter().any(|m| m.id() == "StatefulSet/brewline-kafka"));
    assert!(
        !all.iter()
            .any(|m| m.id() == "StatefulSet/brewline-postgres")
    );
}

#[test]
fn somebody_elses_servers_are_provisioned_only_with_an_admins_secret() {
    let jobs = |name: &str| {
        let all = crate::variant(name);
        let named = |m: &&Manifest| m.kind() == "Job" && m.name().contains("-provision-");
        let found: Vec<Manifest> = all.iter().filter(named).cloned().collect();
        found
    };
    assert_eq!(jobs("external").len(), 1);
    assert_eq!(jobs("external-provisioned").len(), 0);
    // Without logins there are topics to make, and neither users nor rights; PostgreSQL is bundled there.
    let open = jobs("open-kafka");
    let names: Vec<&str> = open[0]
        .containers()
        .iter()
        .map(|c| c.text("/name"))
        .collect();
    assert_eq!(names, ["postgres", "topics"]);
}

#[test]
fn whoever_has_a_database_reaches_it_over_tls_and_can_verify_it() {
    let roots = "sslmode=require&sslrootcert=/etc/brewline-postgres/ca.crt";
    let mut urls = 0;
    for manifest in crate::variant("external") {
        let volumes = manifest.pod_spec().map(|spec| spec["volumes"].to_string());
        for container in manifest.containers() {
            let Some(url) = container.env("BREWLINE_POSTGRES_URL") else {
                continue;
            };
            urls += 1;
            let (id, mounts) = (manifest.id(), container.value["volumeMounts"].to_string());
            assert!(url.ends_with(roots), "{id}: {url}");
            assert!(mounts.contains("/etc/brewline-postgres"), "{id}: {mounts}");
            let volumes = volumes.clone().unwrap_or_default();
            assert!(volumes.contains("postgres-roots"), "{id}: {volumes}");
        }
    }
    // Six services, each with the container that waits for its database, and the provision job.
    assert_eq!(urls, 13);
    let all = crate::variant("external");
    let endpoints = crate::find(&all, "ConfigMap", "brewline-endpoints");
    let written = endpoints.value["data"]["endpoints.json"].to_string();
    assert_eq!(written.matches("sslrootcert").count(), 12);
}
