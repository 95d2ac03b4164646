//! What is delivered with: the workflows parse and call verbs that exist, versions agree, and the pages for
//! operators name commands that exist.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends where it fails"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn text(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Each workflow by its name, parsed.
fn workflows() -> Vec<(String, Value)> {
    let entries = fs::read_dir(root().join(".github/workflows")).unwrap();
    let mut found: Vec<(String, Value)> = entries
        .map(|entry| {
            let path = entry.unwrap().path();
            let parsed = serde_saphyr::from_str(&fs::read_to_string(&path).unwrap());
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (
                name.clone(),
                parsed.unwrap_or_else(|error| panic!("{name}: {error}")),
            )
        })
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

fn jobs(workflow: &Value) -> Vec<(&String, &Value)> {
    workflow["jobs"].as_object().unwrap().iter().collect()
}

fn steps(job: &Value) -> &[Value] {
    job["steps"].as_array().map_or(&[], Vec::as_slice)
}

/// The verbs that the script at the root hands on.
fn verbs() -> BTreeSet<String> {
    let script = text("brewline");
    let (_, list) = script.split_once("\nverbs=\"").unwrap();
    let (list, _) = list.split_once('"').unwrap();
    // A list of two lines has a backslash at the end of the first.
    let words = list.split_whitespace().filter(|word| *word != "\\");
    let mut verbs: BTreeSet<String> = words.map(str::to_owned).collect();
    // The list is for a clone in which nothing is built; the command has more.
    for file in fs::read_dir(root().join("cli/src/verbs")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        verbs.extend(name.strip_suffix(".rs").map(str::to_owned));
    }
    verbs
}

/// The verbs that a text calls as `./brewline VERB` or, in the toolbox, `-- brewline VERB`.
fn called(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for call in ["./brewline ", "-- brewline "] {
        for (at, _) in text.match_indices(call) {
            let rest = &text[at + call.len()..];
            let word = rest
                .split(|c: char| !c.is_ascii_lowercase() && c != '-')
                .next();
            found.extend(word.filter(|word| !word.is_empty() && !word.starts_with('-')));
        }
    }
    found
}

fn version_of_the_workspace() -> String {
    let manifest = text("Cargo.toml");
    let (_, package) = manifest.split_once("[workspace.package]").unwrap();
    let line = package
        .lines()
        .find_map(|line| line.strip_prefix("version = "));
    line.unwrap().trim_matches('"').to_owned()
}

#[test]
fn workflows_call_verbs_that_exist() {
    let verbs = verbs();
    let mut calls = 0;
    for (name, workflow) in workflows() {
        for (_, job) in jobs(&workflow) {
            for run in steps(job).iter().filter_map(|step| step["run"].as_str()) {
                for verb in called(run) {
                    assert!(verbs.contains(verb), "{name}: ./brewline {verb}");
                    calls += 1;
                }
            }
        }
    }
    assert!(
        calls >= 2,
        "the suite and the images go through ./brewline: {calls} calls"
    );
}

#[test]
fn every_action_has_a_version_and_every_workflow_that_is_called_is_there() {
    for (name, workflow) in workflows() {
        for (id, job) in jobs(&workflow) {
            let own = job["uses"].as_str().into_iter();
            for uses in own.chain(steps(job).iter().filter_map(|step| step["uses"].as_str())) {
                match uses.strip_prefix("./") {
                    Some(path) => assert!(root().join(path).is_file(), "{name}: {uses}"),
                    None => {
                        let version = uses.split_once('@').map_or("", |(_, it)| it);
                        let fixed = version.starts_with('v') || version.len() == 40;
                        assert!(fixed, "{name}, job {id}: {uses}");
                    }
                }
            }
        }
    }
}

#[test]
fn every_job_has_an_end_and_no_more_rights_than_it_needs() {
    for (name, workflow) in workflows() {
        assert_eq!(workflow["permissions"]["contents"], "read", "{name}");
        for (id, job) in jobs(&workflow) {
            let calls = job["uses"].is_string();
            assert!(calls || job["timeout-minutes"].is_u64(), "{name}: job {id}");
            for step in steps(job) {
                let run = step["run"].as_str().unwrap_or_default();
                let injects = run.contains("${{");
                assert!(
                    !injects,
                    "{name}, job {id}: a value goes in by `env`, not into the script"
                );
            }
        }
    }
}

#[test]
fn the_chart_has_the_version_of_the_code_and_the_changelog_its_form() {
    let version = version_of_the_workspace();
    let chart: Value = serde_saphyr::from_str(&text("charts/brewline/Chart.yaml")).unwrap();
    assert_eq!(chart["appVersion"], version.as_str());
    let changelog = text("CHANGELOG.md");
    let headings: Vec<&str> = changelog
        .lines()
        .filter(|it| it.starts_with("## "))
        .collect();
    assert_eq!(headings.first(), Some(&"## [Unreleased]"));
    let kinds = [
        "Added",
        "Changed",
        "Deprecated",
        "Removed",
        "Fixed",
        "Security",
    ];
    for line in changelog.lines().filter_map(|it| it.strip_prefix("### ")) {
        assert!(kinds.contains(&line), "{line}");
    }
}

#[test]
fn pages_for_operators_name_verbs_that_exist() {
    let verbs = verbs();
    let mut pages = vec![PathBuf::from("docs/kubernetes.md")];
    for entry in fs::read_dir(root().join("docs/operating")).unwrap() {
        pages.push(Path::new("docs/operating").join(entry.unwrap().file_name()));
    }
    for page in pages {
        for verb in called(&text(&page)) {
            assert!(verbs.contains(verb), "{}: brewline {verb}", page.display());
        }
    }
}
