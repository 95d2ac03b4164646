//! The shape of the workspace: who may depend on whom, which crate alone names a driver, and what
//! each package must have. The picture is in ARCHITECTURE.md; here it holds.

#![allow(
    clippy::indexing_slicing,
    reason = "a key missing from cargo's metadata shall fail the test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Packages that a package may name beside `brewline-kernel`. Arrows are transitive, and they are
/// written out here: what is not in the list is forbidden.
const PICTURE: &[(&str, &[&str])] = &[
    ("kernel", &[]),
    ("failpoint", &[]),
    ("config", &[]),
    ("telemetry", &["config"]),
    ("proto", &[]),
    ("postgres", &["config", "telemetry"]),
    ("kafka", &["config", "telemetry"]),
    (
        "messaging",
        &[
            "failpoint",
            "config",
            "telemetry",
            "proto",
            "postgres",
            "kafka",
        ],
    ),
    (
        "saga",
        &[
            "failpoint",
            "config",
            "telemetry",
            "proto",
            "postgres",
            "kafka",
            "messaging",
        ],
    ),
    (
        "server",
        &[
            "failpoint",
            "config",
            "telemetry",
            "proto",
            "postgres",
            "kafka",
            "messaging",
        ],
    ),
    (
        "test-support",
        &["config", "telemetry", "postgres", "kafka", "messaging"],
    ),
    (
        "chaos",
        &["proto", "config", "telemetry", "kafka", "postgres"],
    ),
    (
        "cli",
        &[
            "chaos",
            "slo",
            "proto",
            "config",
            "telemetry",
            "kafka",
            "postgres",
        ],
    ),
    (
        "sim",
        &[
            "messaging",
            "saga",
            "chaos",
            "order-domain",
            "inventory-domain",
            "payment-domain",
            "failpoint",
        ],
    ),
    // What is made for Kubernetes and for those who watch: its tests read files, and nothing of ours
    // but the table of topics.
    ("charts", &["proto"]),
    ("slo", &[]),
];

/// What the shell of a service may name, beside its own domain.
const SHELL: &[&str] = &[
    "failpoint",
    "config",
    "telemetry",
    "proto",
    "postgres",
    "kafka",
    "messaging",
    "saga",
    "server",
];

/// Services without a database or a topic.
const PLAIN_SHELLS: &[&str] = &["gateway", "sandbox"];

/// Libraries that one crate alone may name, so that everybody else sees only our words for them.
const OWNERS: &[(&str, &[&str])] = &[
    ("rdkafka", &["brewline-kafka"]),
    ("tokio-postgres", &["brewline-postgres"]),
    ("deadpool-postgres", &["brewline-postgres"]),
    ("prometheus-client", &["brewline-telemetry"]),
    ("tracing-subscriber", &["brewline-telemetry"]),
    ("tonic-health", &["brewline-server"]),
    ("tonic-reflection", &["brewline-server"]),
];

/// All that a `domain/` package may name: so it cannot do I/O, tell the time or draw a number.
const DOMAIN: &[&str] = &["brewline-kernel", "thiserror", "uuid", "indexset"];

#[derive(Debug)]
struct Package {
    name: String,
    folder: PathBuf,
    /// Normal dependencies, with the features asked for.
    dependencies: BTreeMap<String, BTreeSet<String>>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the root is there")
}

fn packages() -> Vec<Package> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let out = Command::new(cargo)
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .current_dir(root())
        .output()
        .expect("cargo metadata runs");
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    let metadata: Value = serde_json::from_slice(&out.stdout).expect("cargo writes JSON");
    let list = metadata["packages"].as_array().expect("packages");
    list.iter().map(package).collect()
}

fn package(value: &Value) -> Package {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let normal = |dependency: &&Value| dependency["kind"].is_null();
    let dependencies = value["dependencies"].as_array().expect("dependencies");
    let features = |dependency: &Value| {
        dependency["features"]
            .as_array()
            .expect("features")
            .iter()
            .map(text)
            .collect()
    };
    let folder = PathBuf::from(text(&value["manifest_path"]));
    Package {
        name: text(&value["name"]),
        folder: folder.parent().expect("a folder").to_owned(),
        dependencies: dependencies
            .iter()
            .filter(normal)
            .map(|dependency| (text(&dependency["name"]), features(dependency)))
            .collect(),
    }
}

/// The own packages that `package` may name.
fn allowed(package: &Package) -> BTreeSet<String> {
    let short = package.name.trim_start_matches("brewline-");
    let mut allowed: BTreeSet<String> = BTreeSet::from(["brewline-kernel".to_owned()]);
    let mut allow = |names: &[&str]| allowed.extend(names.iter().map(|n| format!("brewline-{n}")));
    if let Some((_, names)) = PICTURE.iter().find(|(name, _)| *name == short) {
        allow(names);
    } else if package.folder.ends_with("domain") {
        allow(&[]);
    } else {
        allow(SHELL);
        allow(&[&format!("{short}-domain")]);
    }
    allowed
}

#[test]
fn the_dependency_picture_holds() {
    let mut wrong = Vec::new();
    for package in packages() {
        let allowed = allowed(&package);
        for name in package
            .dependencies
            .keys()
            .filter(|name| name.starts_with("brewline-"))
        {
            if !allowed.contains(name) {
                wrong.push(format!("{} may not name {name}", package.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn domain_packages_cannot_reach_the_outside() {
    let mut seen = 0;
    for package in packages()
        .iter()
        .filter(|package| package.folder.ends_with("domain"))
    {
        seen += 1;
        for (name, features) in &package.dependencies {
            assert!(
                DOMAIN.contains(&name.as_str()),
                "{} names {name}",
                package.name
            );
            let system = name == "brewline-kernel" && features.contains("system");
            assert!(!system, "{} asks for the real clock", package.name);
        }
    }
    assert!(seen >= 4, "only {seen} domain packages were found");
}

#[test]
fn each_driver_has_one_owner() {
    for package in packages() {
        for (library, owners) in OWNERS {
            let named = package.dependencies.contains_key(*library);
            assert!(
                !named || owners.contains(&package.name.as_str()),
                "{} names {library}",
                package.name
            );
        }
    }
}

#[test]
fn no_service_knows_another() {
    let services: BTreeSet<String> = packages()
        .iter()
        .filter(|package| {
            package
                .folder
                .parent()
                .is_some_and(|parent| parent.ends_with("services"))
        })
        .map(|package| package.name.clone())
        .collect();
    assert!(services.len() >= 5, "only {services:?} were found");
    for package in packages() {
        let other = package
            .dependencies
            .keys()
            .find(|name| services.contains(*name));
        assert!(
            other.is_none(),
            "{} names the service {other:?}",
            package.name
        );
    }
    let plain = |name: &&String| PLAIN_SHELLS.iter().any(|plain| name.ends_with(plain));
    for name in services.iter().filter(plain) {
        let package = packages()
            .into_iter()
            .find(|p| p.name == *name)
            .expect("it was just listed");
        for driver in ["brewline-postgres", "brewline-kafka", "brewline-messaging"] {
            assert!(
                !package.dependencies.contains_key(driver),
                "{name} names {driver}"
            );
        }
        let server = package.dependencies.get("brewline-server");
        assert!(
            server.is_none_or(|features| !features.contains("events")),
            "{name} has no events to start"
        );
    }
}

#[test]
fn every_package_has_the_lints() {
    for package in packages() {
        let manifest =
            std::fs::read_to_string(package.folder.join("Cargo.toml")).expect("a manifest");
        let shared = manifest.contains("[lints]\nworkspace = true");
        // The one crate with a reasoned exception to "no unsafe code" writes its lints out.
        let own = package.name == "brewline-kafka" && manifest.contains("[lints.rust]");
        assert!(shared || own, "{} has no lints", package.name);
    }
}

#[test]
fn every_service_has_the_same_rooms() {
    for service in [
        "gateway",
        "order",
        "payment",
        "inventory",
        "barista",
        "notification",
        "leaderboard",
        "sandbox",
    ] {
        let folder = root().join("services").join(service);
        for room in [
            "README.md",
            "src/main.rs",
            "src/lib.rs",
            "src/config.rs",
            "src/signals.rs",
        ] {
            assert!(
                folder.join(room).exists(),
                "services/{service} has no {room}"
            );
        }
    }
}

#[test]
fn copies_of_the_message_tables_are_equal() {
    let source = root().join("crates/messaging/schema/messaging.sql");
    let source = std::fs::read(source).expect("the schema is there");
    for service in ["order", "payment", "inventory", "barista", "notification"] {
        let copy = root()
            .join("services")
            .join(service)
            .join("migrations/0001_messaging.sql");
        let copy = std::fs::read(copy).expect("the copy is there");
        assert!(
            copy == source,
            "services/{service}/migrations/0001_messaging.sql differs"
        );
    }
}
