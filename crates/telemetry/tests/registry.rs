//! `telemetry/registry` against the code, both ways, and against the page that is made of it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where it fails"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// An entry of the registry: its keys and their values.
type Entry = BTreeMap<String, String>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The entries of a file. It is YAML of the plainest kind: a list of flat maps.
fn entries(file: &str) -> Vec<Entry> {
    let path = root().join("telemetry/registry").join(file);
    let text = std::fs::read_to_string(path).unwrap();
    let mut entries: Vec<Entry> = Vec::new();
    for line in text.lines() {
        let (starts, rest) = match (line.strip_prefix("  - "), line.strip_prefix("    ")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) if !rest.starts_with(['#', ' ']) => (false, rest),
            _ => continue,
        };
        let (key, value) = rest
            .split_once(": ")
            .unwrap_or_else(|| panic!("`{line}` is no pair"));
        if starts {
            entries.push(Entry::new());
        }
        let value = value.trim().trim_matches('"').to_owned();
        entries.last_mut().unwrap().insert(key.to_owned(), value);
    }
    assert!(!entries.is_empty(), "{file} is empty");
    entries
}

fn list(entry: &Entry, key: &str) -> Vec<String> {
    let inner = entry[key].trim_matches(['[', ']']);
    let parts = inner.split(',').map(|part| part.trim().to_owned());
    parts.filter(|part| !part.is_empty()).collect()
}

fn by(key: &str, entries: &[Entry]) -> BTreeMap<String, Entry> {
    let map: BTreeMap<_, _> = entries
        .iter()
        .map(|e| (e[key].clone(), e.clone()))
        .collect();
    assert_eq!(map.len(), entries.len(), "something has two entries");
    map
}

/// Every source file of the platform's programs.
fn sources() -> Vec<(PathBuf, String)> {
    let mut folders = vec![root().join("crates"), root().join("services")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            let name = entry.file_name();
            if path.is_dir()
                && !["tests", "examples", "gen", "target"]
                    .iter()
                    .any(|no| name == *no)
            {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    found
}

/// The metrics in the code: name as it is given, and help.
fn metrics_in_code() -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (path, text) in sources() {
        let code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        let code: String = code.map(|line| format!("{line}\n")).collect();
        for call in ["register(", "tell.gauge(", "tell.counter(", "tell.info("] {
            for after in code.split(call).skip(1) {
                let Some((name, rest)) = literal(after) else {
                    continue;
                };
                let (help, _) = literal(rest.trim_start().trim_start_matches(','))
                    .unwrap_or_else(|| panic!("{name} in {} has no help", path.display()));
                found.insert(name, help.trim_end_matches('.').to_owned());
            }
        }
    }
    found
}

fn literal(text: &str) -> Option<(String, &str)> {
    let inner = text.trim_start().strip_prefix('"')?;
    let (literal, rest) = inner.split_once('"')?;
    Some((literal.to_owned(), rest))
}

/// A metric's name as the code gives it: the library appends what its kind ends with.
fn name_in_code(entry: &Entry) -> String {
    let name = &entry["name"];
    let end = match entry["instrument"].as_str() {
        "counter" => "_total",
        "info" => "_info",
        "gauge" | "histogram" => "",
        other => panic!("{name} is a {other}"),
    };
    let given = name.strip_suffix(end);
    given
        .unwrap_or_else(|| panic!("{name} does not end in {end}"))
        .to_owned()
}

#[test]
fn every_metric_of_the_code_is_in_the_registry_and_the_other_way_round() {
    let registry: BTreeMap<String, String> = entries("metrics.yaml")
        .iter()
        .map(|entry| (name_in_code(entry), entry["brief"].clone()))
        .collect();
    assert_eq!(metrics_in_code(), registry);
}

#[test]
fn metrics_are_named_by_the_conventions() {
    for entry in entries("metrics.yaml") {
        let name = &entry["name"];
        match entry.get("convention") {
            None => assert!(name.starts_with("brewline_"), "{name} is nobody's"),
            Some(convention) => {
                let flat = convention.replace('.', "_");
                assert!(name.starts_with(&flat), "{name} is not {convention}");
            }
        }
        assert!(!name.contains("milliseconds"), "{name} is not in seconds");
    }
}

#[test]
fn every_label_is_defined_and_none_holds_an_id_of_an_order() {
    let attributes = entries("attributes.yaml");
    let labels: BTreeSet<&String> = attributes.iter().filter_map(|a| a.get("label")).collect();
    let mut used = BTreeSet::new();
    for metric in entries("metrics.yaml") {
        for label in list(&metric, "labels") {
            assert!(
                labels.contains(&label),
                "{label} of {} is not defined",
                metric["name"]
            );
            assert!(
                !label.contains("order_id"),
                "{} has too many values",
                metric["name"]
            );
            used.insert(label);
        }
    }
    let unused: Vec<_> = labels
        .into_iter()
        .filter(|label| !used.contains(*label))
        .collect();
    assert_eq!(unused, Vec::<&String>::new(), "labels that no metric has");
}

#[test]
fn every_span_of_the_code_is_in_the_registry_and_is_used() {
    let names =
        std::fs::read_to_string(root().join("crates/telemetry/src/trace/names.rs")).unwrap();
    let registry = by("name", &entries("spans.yaml"));
    let mut constants = BTreeMap::new();
    for line in names.lines().filter(|line| line.contains("Name::new(")) {
        let constant = line
            .split_once("const ")
            .unwrap()
            .1
            .split_once(':')
            .unwrap()
            .0;
        let (name, rest) = literal(line.split_once("Name::new(").unwrap().1).unwrap();
        let kind = rest.trim_matches([',', ' ', ')', ';']).to_lowercase();
        let entry = registry
            .get(&name)
            .unwrap_or_else(|| panic!("{name} is not in the registry"));
        assert_eq!(entry["kind"], kind, "kind of {name}");
        constants.insert(name, format!("names::{constant}"));
    }
    let named: Vec<_> = constants.keys().collect();
    assert_eq!(named, registry.keys().collect::<Vec<_>>());
    let code: String = sources().into_iter().map(|(_, text)| text).collect();
    for (name, constant) in constants {
        assert!(code.contains(&constant), "nobody records {name}");
    }
}

#[test]
fn every_attribute_of_the_code_is_in_the_registry_and_the_other_way_round() {
    let names =
        std::fs::read_to_string(root().join("crates/telemetry/src/trace/names.rs")).unwrap();
    let constants: BTreeSet<String> = names
        .lines()
        .filter_map(|line| Some(literal(line.split_once(": &str = ")?.1)?.0))
        .collect();
    let attributes = by("id", &entries("attributes.yaml"));
    let mut used: BTreeSet<String> = [
        "error.type",
        "service.name",
        "service.instance.id",
        "service.version",
    ]
    .map(str::to_owned)
    .into();
    for span in entries("spans.yaml") {
        used.extend(list(&span, "attributes"));
    }
    assert_eq!(
        constants, used,
        "the code's names, and those that spans have"
    );
    for name in &used {
        assert!(attributes.contains_key(name), "{name} is not defined");
    }
    for (id, attribute) in &attributes {
        assert!(
            used.contains(id) || attribute.contains_key("label"),
            "nobody has {id}"
        );
    }
}

#[test]
fn parents_of_spans_are_spans() {
    let spans = by("name", &entries("spans.yaml"));
    for (name, span) in &spans {
        for parent in list(span, "parents") {
            assert!(
                parent == "caller" || spans.contains_key(&parent),
                "{parent} of {name} is none"
            );
        }
    }
}

/// With `BREWLINE_REGENERATE` set the page is written instead of compared.
#[test]
fn the_page_is_the_registry() {
    let path = root().join("docs/telemetry.md");
    let page = page();
    if std::env::var_os("BREWLINE_REGENERATE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    let hint = "run `BREWLINE_REGENERATE=1 cargo test -p brewline-telemetry --test registry`";
    assert!(
        found == page,
        "docs/telemetry.md is not what the registry says: {hint}"
    );
}

fn page() -> String {
    let mut page = "\
# Telemetry

Made from `telemetry/registry` by a test of `crates/telemetry`; change it there. Metrics are served on each
admin port under `/metrics`; spans go to `BREWLINE_OTLP_ENDPOINT` by OTLP over HTTP, and nothing is recorded
without it; log lines are JSON on standard output, with `trace_id` where there is one. `PUT /log-level` on the
admin port changes at run time what is logged: `curl -X PUT -d info,brewline_messaging=debug ADMIN/log-level`.

No name, mail address, token or card ever stands in any of them.

## Metrics

| metric | kind | labels | services | what |
|---|---|---|---|---|
"
    .to_owned();
    for m in entries("metrics.yaml") {
        let (labels, services) = (
            list(&m, "labels").join(", "),
            list(&m, "services").join(", "),
        );
        let (name, kind, brief) = (&m["name"], &m["instrument"], &m["brief"]);
        writeln!(
            page,
            "| `{name}` | {kind} | {labels} | {services} | {brief} |"
        )
        .unwrap();
    }
    page.push_str("\n## Spans\n\n| span | shown as | kind | services | led to by | what |\n|---|---|---|---|---|---|\n");
    for s in entries("spans.yaml") {
        let (services, parents) = (
            list(&s, "services").join(", "),
            list(&s, "parents").join(", "),
        );
        let (name, shown, kind, brief) = (&s["name"], &s["shown"], &s["kind"], &s["brief"]);
        writeln!(
            page,
            "| {name} | `{shown}` | {kind} | {services} | {parents} | {brief} |"
        )
        .unwrap();
    }
    page.push_str(
        "\n## Attributes and labels\n\n| attribute | label | values | what |\n|---|---|---|---|\n",
    );
    for a in entries("attributes.yaml") {
        let label = a
            .get("label")
            .map_or(String::new(), |label| format!("`{label}`"));
        let (id, values, brief) = (&a["id"], &a["values"], &a["brief"]);
        writeln!(page, "| `{id}` | {label} | {values} | {brief} |").unwrap();
    }
    page
}
