use super::panel::{Dashboard, Panel, Row, Unit};

/// What is promised, what is left of each budget, and who is told.
pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        uid: "brewline-slo".to_owned(),
        title: "brewline: objectives".to_owned(),
        rows: vec![
            Row::new(
                "Budgets",
                vec![
                    Panel::stat(
                        "left of the budget",
                        Unit::Share,
                        &[("{{slo}}", "brewline:slo_budget_left:ratio")],
                    ),
                    Panel::stat(
                        "target",
                        Unit::Share,
                        &[("{{slo}}", "brewline:slo_target:ratio")],
                    ),
                ],
            ),
            Row::new(
                "Burn",
                vec![
                    burn("over five minutes", "5m"),
                    burn("over an hour", "1h"),
                    burn("over six hours", "6h"),
                ],
            ),
            Row::new(
                "Alerts",
                vec![
                    Panel::graph(
                        "firing",
                        Unit::Count,
                        &[(
                            "{{alertname}}",
                            "count by (alertname) (ALERTS{alertstate=\"firing\"})",
                        )],
                    )
                    .rare(),
                    Panel::graph(
                        "pending",
                        Unit::Count,
                        &[(
                            "{{alertname}}",
                            "count by (alertname) (ALERTS{alertstate=\"pending\"})",
                        )],
                    )
                    .rare(),
                ],
            ),
        ],
    }
}

/// How many times faster than allowed a budget burns: 1 spends it exactly in its window.
fn burn(title: &str, window: &str) -> Panel {
    let expr = format!(
        "brewline:slo_errors:ratio_rate{window} / on (slo) (1 - brewline:slo_target:ratio)"
    );
    Panel::graph(title, Unit::Count, &[("{{slo}}", &expr)])
}
