use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::rules::{Group, Rule};

/// A rule file as Prometheus reads it.
#[must_use]
pub fn rule_file(groups: &[Group]) -> String {
    let mut text = format!("# {}\ngroups:\n", crate::files::HEAD);
    for group in groups {
        line(&mut text, 2, &format!("- name: {}", group.name));
        line(&mut text, 4, &format!("interval: {}", group.interval));
        line(&mut text, 4, "rules:");
        for rule in &group.rules {
            write_rule(&mut text, rule);
        }
    }
    text
}

fn write_rule(text: &mut String, rule: &Rule) {
    match rule {
        Rule::Record { name, expr, labels } => {
            line(text, 6, &format!("- record: {name}"));
            block(text, 8, "expr", expr);
            map(text, 8, "labels", labels);
        }
        Rule::Alert {
            name,
            expr,
            lasting,
            labels,
            annotations,
        } => {
            line(text, 6, &format!("- alert: {name}"));
            block(text, 8, "expr", expr);
            line(text, 8, &format!("for: {lasting}"));
            map(text, 8, "labels", labels);
            map(text, 8, "annotations", annotations);
        }
    }
}

pub(crate) fn line(text: &mut String, indent: usize, words: &str) {
    // Writing to a string cannot fail.
    writeln!(text, "{:indent$}{words}", "").ok();
}

/// A text of several lines under a key.
pub(crate) fn block(text: &mut String, indent: usize, key: &str, value: &str) {
    line(text, indent, &format!("{key}: |-"));
    for part in value.trim().lines() {
        line(text, indent + 2, part.trim_end());
    }
}

fn map(text: &mut String, indent: usize, key: &str, values: &BTreeMap<&'static str, String>) {
    line(text, indent, &format!("{key}:"));
    for (name, value) in values {
        line(text, indent + 2, &format!("{name}: {}", quoted(value)));
    }
}

/// A text in double quotes; what JSON escapes, YAML reads.
pub(crate) fn quoted(value: &str) -> String {
    serde_json::Value::from(value.split_whitespace().collect::<Vec<_>>().join(" ")).to_string()
}
