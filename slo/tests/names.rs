//! Rules and dashboards read what the registry says there is, and nothing else.

use std::collections::BTreeSet;

use brewline_slo::registry::{FOREIGN, Registry};
use brewline_slo::{Pack, Rule, dashboard, expression, groups};

fn recorded(pack: &Pack) -> BTreeSet<String> {
    let rules = groups(pack).into_iter().flat_map(|group| group.rules);
    let names = rules.filter_map(|rule| match rule {
        Rule::Record { name, .. } => Some(name),
        Rule::Alert { .. } => None,
    });
    names.collect()
}

/// The names in an expression that nobody makes.
fn unknown(expr: &str, registry: &Registry, recorded: &BTreeSet<String>) -> Vec<String> {
    let names = expression::metrics(expr).into_iter();
    let made = |name: &String| {
        registry.has(name) || recorded.contains(name) || FOREIGN.contains(&name.as_str())
    };
    names.filter(|name| !made(name)).collect()
}

#[test]
fn every_rule_reads_registered_metrics() {
    let (pack, registry) = (Pack::committed().unwrap(), Registry::committed().unwrap());
    let recorded = recorded(&pack);
    for rule in groups(&pack).into_iter().flat_map(|group| group.rules) {
        let (Rule::Record { name, expr, .. } | Rule::Alert { name, expr, .. }) = rule;
        let unknown = unknown(&expr, &registry, &recorded);
        assert!(unknown.is_empty(), "{name} reads {unknown:?}");
    }
}

#[test]
fn every_panel_reads_registered_metrics() {
    let (pack, registry) = (Pack::committed().unwrap(), Registry::committed().unwrap());
    let recorded = recorded(&pack);
    for dashboard in dashboard::all() {
        for panel in dashboard.rows.iter().flat_map(|row| &row.panels) {
            for query in &panel.queries {
                let expr = dashboard::runnable(&query.expr, "5m");
                let unknown = unknown(&expr, &registry, &recorded);
                let place = format!("{} / {}", dashboard.uid, panel.title);
                assert!(unknown.is_empty(), "{place} reads {unknown:?}");
            }
        }
    }
}

#[test]
fn every_metric_of_the_registry_is_on_a_dashboard() {
    let registry = Registry::committed().unwrap();
    let panels = dashboard::all()
        .into_iter()
        .flat_map(|dashboard| dashboard.rows);
    let queries = panels
        .flat_map(|row| row.panels)
        .flat_map(|panel| panel.queries);
    let shown: BTreeSet<String> = queries
        .flat_map(|query| expression::metrics(&dashboard::runnable(&query.expr, "5m")))
        .collect();
    let missing: Vec<&str> = registry
        .metrics
        .iter()
        .filter(|metric| !shown.iter().any(|series| metric.scraped_as(series)))
        .map(|metric| metric.name.as_str())
        .collect();
    // Who a process is, is no number.
    assert_eq!(missing, ["target_info"]);
}
