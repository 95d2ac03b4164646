use serde_json::{Value, json};

use super::panel::{Dashboard, Kind, Panel, Row};

/// The version of the dashboard model that this is written in.
const SCHEMA_VERSION: u32 = 39;

/// Grafana's grid.
const GRID_WIDTH: usize = 24;
const PANEL_HEIGHT: usize = 8;
const STAT_HEIGHT: usize = 4;

// === impl Dashboard ===

impl Dashboard {
    /// The dashboard as Grafana reads it.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "uid": self.uid,
            "title": self.title,
            "tags": ["brewline"],
            "schemaVersion": SCHEMA_VERSION,
            "editable": false,
            "refresh": "10s",
            "time": {"from": "now-1h", "to": "now"},
            "timezone": "browser",
            "templating": {"list": [{
                "name": "datasource",
                "label": "Prometheus",
                "type": "datasource",
                "query": "prometheus",
            }]},
            "links": [{
                "title": "brewline",
                "type": "dashboards",
                "tags": ["brewline"],
                "asDropdown": true,
            }],
            "panels": self.placed(),
        })
    }

    /// All panels with their places; ids count from 1.
    fn placed(&self) -> Vec<Value> {
        let mut panels = Vec::new();
        let mut y = 0;
        for row in &self.rows {
            panels.push(heading(row, y));
            y += 1;
            let per_line = per_line(row);
            for line in row.panels.chunks(per_line) {
                let width = GRID_WIDTH / per_line;
                let height = line.iter().map(height).max().unwrap_or_default();
                for (index, panel) in line.iter().enumerate() {
                    let place = json!({"x": index * width, "y": y, "w": width, "h": height});
                    panels.push(drawn(panel, &place));
                }
                y += height;
            }
        }
        for (index, panel) in panels.iter_mut().enumerate() {
            if let Some(panel) = panel.as_object_mut() {
                panel.insert("id".to_owned(), json!(index + 1));
            }
        }
        panels
    }
}

/// How many panels stand beside one another: numbers are small, lines want room.
fn per_line(row: &Row) -> usize {
    if row.panels.iter().all(|panel| panel.kind == Kind::Stat) {
        4
    } else {
        row.panels.len().clamp(1, 3)
    }
}

fn height(panel: &Panel) -> usize {
    match panel.kind {
        Kind::Graph => PANEL_HEIGHT,
        Kind::Stat => STAT_HEIGHT,
    }
}

fn heading(row: &Row, y: usize) -> Value {
    json!({
        "type": "row",
        "title": row.title,
        "collapsed": false,
        "panels": [],
        "gridPos": {"x": 0, "y": y, "w": GRID_WIDTH, "h": 1},
    })
}

fn drawn(panel: &Panel, place: &Value) -> Value {
    let source = json!({"type": "prometheus", "uid": "${datasource}"});
    let targets: Vec<Value> = panel
        .queries
        .iter()
        .zip('A'..='Z')
        .map(|(query, id)| {
            json!({
                "refId": id.to_string(),
                "datasource": source,
                "expr": query.expr,
                "legendFormat": query.legend,
            })
        })
        .collect();
    json!({
        "type": match panel.kind { Kind::Graph => "timeseries", Kind::Stat => "stat" },
        "title": panel.title,
        "datasource": source,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit.as_str(), "min": 0}, "overrides": []},
        "options": options(panel.kind),
        "targets": targets,
    })
}

fn options(kind: Kind) -> Value {
    match kind {
        Kind::Graph => json!({
            "legend": {"displayMode": "list", "placement": "bottom"},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }),
        Kind::Stat => json!({
            "reduceOptions": {"calcs": ["lastNotNull"]},
            "colorMode": "value",
            "graphMode": "area",
        }),
    }
}
