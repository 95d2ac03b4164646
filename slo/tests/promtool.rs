//! Prometheus itself reads what is made: rules, their tests, each query of each dashboard.

#![allow(clippy::unwrap_used, reason = "a test ends where it fails")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use brewline_slo::{Pack, dashboard, files, groups, rule_file};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Runs promtool; its output when it says no.
fn promtool(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("promtool")
        .args(arguments)
        .current_dir(root())
        .output()
        .expect("promtool is there: the package is called prometheus");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    output.status.success().then_some(()).ok_or(said)
}

fn scratch(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    folder.join(name)
}

fn rule_files() -> [String; 2] {
    let pack = Pack::committed().unwrap();
    files::rules(&pack).map(|(name, _)| format!("{}/{name}", files::RULES))
}

fn tests(name: &str) -> String {
    format!("{}/{name}.test.yaml", files::PROMTOOL)
}

#[test]
fn prometheus_accepts_the_rules_at_every_scale() {
    for path in rule_files() {
        promtool(&["check", "rules", &path]).unwrap();
    }
    for scale in [20, 60] {
        let rules = rule_file(&groups(&Pack::committed().unwrap().at_scale(scale)));
        let path = scratch(&format!("rules-{scale}.yaml"));
        std::fs::write(&path, rules).unwrap();
        promtool(&["check", "rules", path.to_str().unwrap()]).unwrap();
    }
}

#[test]
fn every_cause_fires_when_it_should_and_stays_quiet_when_it_should() {
    promtool(&["test", "rules", &tests("causes")]).unwrap();
}

#[test]
fn budgets_that_burn_fast_are_told_now_and_slow_ones_are_not() {
    promtool(&["test", "rules", &tests("fast-burns")]).unwrap();
}

#[test]
fn budgets_that_burn_slowly_are_told_later_and_whole_ones_never() {
    promtool(&["test", "rules", &tests("slow-burns")]).unwrap();
}

/// The tests above can fail: rules that are wrong are noticed.
#[test]
fn promtools_tests_notice_rules_that_are_wrong() {
    for (name, rules, from, to) in [
        ("slow-burns", "objectives.yaml", "> 1 *", "> 0.01 *"),
        ("fast-burns", "objectives.yaml", "> 14.4 *", "> 0.01 *"),
        ("causes", "causes.yaml", "== 0\n", "== 2\n"),
    ] {
        let path = format!("{}/{rules}", files::RULES);
        let right = std::fs::read_to_string(root().join(&path)).unwrap();
        let wrong = right.replace(from, to);
        assert_ne!(wrong, right, "{from:?} is not in {rules}");
        let wrong_rules = scratch(&format!("{name}.yaml"));
        std::fs::write(&wrong_rules, wrong).unwrap();
        let tests = std::fs::read_to_string(root().join(tests(name))).unwrap();
        let tests = tests.replace(&format!("../../{path}"), wrong_rules.to_str().unwrap());
        let pointed = scratch(&format!("{name}.test.yaml"));
        std::fs::write(&pointed, tests).unwrap();
        let refused = promtool(&["test", "rules", pointed.to_str().unwrap()]);
        assert!(refused.is_err(), "{name} did not notice {to:?}");
    }
}

#[test]
fn every_query_of_every_dashboard_can_be_read() {
    let mut rules = "groups:\n  - name: queries\n    rules:\n".to_owned();
    let mut count = 0;
    for dashboard in dashboard::all() {
        for panel in dashboard.rows.iter().flat_map(|row| &row.panels) {
            for query in &panel.queries {
                let expr = serde_json::Value::from(dashboard::runnable(&query.expr, "5m"));
                writeln!(rules, "      - record: query:{count}\n        expr: {expr}").unwrap();
                count += 1;
            }
        }
    }
    assert!(count > 100, "only {count} queries");
    let path = scratch("queries.yaml");
    std::fs::write(&path, rules).unwrap();
    promtool(&["check", "rules", path.to_str().unwrap()]).unwrap();
}
