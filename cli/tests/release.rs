//! What people run holds neither crash points nor planted bugs; what tests run holds both.

use std::fs;
use std::path::PathBuf;

/// Services that have crash points.
const SERVICES: [&str; 4] = ["gateway", "order", "payment", "inventory"];
/// Texts that stand in a binary only when the feature is built in.
const MARKS: [&str; 3] = [
    "BREWLINE_FAILPOINTS",
    "BREWLINE_PLANTED_BUG",
    "/planted-bug",
];

fn folder(variable: &str) -> PathBuf {
    let folder = std::env::var_os(variable);
    folder
        .expect("the folder of binaries is set: run this by `./brewline test`")
        .into()
}

fn marks_in(folder: &str, service: &str) -> Vec<&'static str> {
    let path = self::folder(folder).join(format!("brewline-{service}"));
    let binary = fs::read(&path).expect("the binary is there");
    let text = String::from_utf8_lossy(&binary);
    MARKS
        .into_iter()
        .filter(|mark| text.contains(mark))
        .collect()
}

#[test]
fn binaries_that_people_run_hold_no_crash_points() {
    for service in SERVICES {
        assert!(
            marks_in("BREWLINE_PLAIN_BIN_DIR", service).is_empty(),
            "brewline-{service} can be broken"
        );
    }
}

#[test]
fn binaries_that_tests_run_hold_them() {
    for service in SERVICES {
        assert_eq!(
            marks_in("BREWLINE_BIN_DIR", service),
            MARKS,
            "brewline-{service} cannot be broken"
        );
    }
}
