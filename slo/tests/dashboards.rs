//! Dashboards are what Grafana can draw.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test ends where it fails"
)]

use std::collections::BTreeSet;

use brewline_slo::dashboard;
use serde_json::Value;

fn number(panel: &Value, key: &str) -> u64 {
    panel["gridPos"][key].as_u64().unwrap()
}

#[test]
fn panels_have_ids_of_their_own_places_of_their_own_and_queries() {
    for dashboard in dashboard::all() {
        let json = dashboard.json();
        let panels = json["panels"].as_array().unwrap();
        let ids: BTreeSet<u64> = panels.iter().map(|p| p["id"].as_u64().unwrap()).collect();
        assert_eq!(ids.len(), panels.len(), "{}", dashboard.uid);
        let mut taken = BTreeSet::new();
        for panel in panels {
            let (x, w) = (number(panel, "x"), number(panel, "w"));
            assert!(w > 0 && x + w <= 24, "{panel} is beyond the grid");
            for (column, line) in cells(panel) {
                assert!(taken.insert((column, line)), "{panel} covers another");
            }
            check_targets(panel);
        }
    }
}

fn cells(panel: &Value) -> Vec<(u64, u64)> {
    let (x, y) = (number(panel, "x"), number(panel, "y"));
    let (w, h) = (number(panel, "w"), number(panel, "h"));
    let columns = x..x + w;
    columns
        .flat_map(|column| (y..y + h).map(move |line| (column, line)))
        .collect()
}

fn check_targets(panel: &Value) {
    let kind = panel["type"].as_str().unwrap();
    if kind == "row" {
        return;
    }
    assert!(["timeseries", "stat"].contains(&kind), "{kind}");
    let targets = panel["targets"].as_array().unwrap();
    assert!(!targets.is_empty(), "{panel} asks nothing");
    let ids: BTreeSet<&str> = targets
        .iter()
        .map(|t| t["refId"].as_str().unwrap())
        .collect();
    assert_eq!(
        ids.len(),
        targets.len(),
        "{panel} has two queries of one id"
    );
    for target in targets {
        assert_eq!(target["datasource"]["uid"], "${datasource}");
        assert!(!target["expr"].as_str().unwrap().is_empty());
    }
    assert!(!panel["title"].as_str().unwrap().is_empty());
}

#[test]
fn no_two_dashboards_have_one_name() {
    let all = dashboard::all();
    let uids: BTreeSet<&String> = all.iter().map(|dashboard| &dashboard.uid).collect();
    let titles: BTreeSet<&String> = all.iter().map(|dashboard| &dashboard.title).collect();
    assert_eq!((uids.len(), titles.len()), (all.len(), all.len()));
    assert!(
        uids.iter().all(|uid| uid.len() <= 40),
        "Grafana refuses longer ones"
    );
}
