use super::panel::{Dashboard, Panel, Row, Unit};

/// An order's way: accepted, settled, made, told, paid.
pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        uid: "brewline-order-journey".to_owned(),
        title: "brewline: order journey".to_owned(),
        rows: vec![placed(), settled(), made(), money()],
    }
}

fn placed() -> Row {
    Row::new(
        "Accepted",
        vec![
            Panel::graph(
                "orders",
                Unit::PerSecond,
                &[
                    (
                        "accepted",
                        "sum(rate(brewline_orders_placed_total[$__rate_interval]))",
                    ),
                    (
                        "settled",
                        "sum(rate(brewline_order_settled_seconds_count[$__rate_interval]))",
                    ),
                    (
                        "closed",
                        "sum(rate(brewline_order_closed_seconds_count[$__rate_interval]))",
                    ),
                ],
            ),
            Panel::graph(
                "refused, by reason",
                Unit::PerSecond,
                &[(
                    "{{reason}}",
                    "sum by (reason) (rate(brewline_orders_refused_total[$__rate_interval]))",
                )],
            )
            .rare(),
            Panel::quantiles(
                "time to place",
                Unit::Seconds,
                "brewline_place_seconds_bucket",
                "",
            ),
            Panel::graph(
                "waiting to be placed",
                Unit::Count,
                &[(
                    "{{instance}}",
                    "max by (instance) (brewline_place_queue_orders)",
                )],
            ),
            Panel::graph(
                "share of new orders let in",
                Unit::Share,
                &[(
                    "{{instance}}",
                    "min by (instance) (brewline_place_admitted_ratio)",
                )],
            ),
            Panel::quantiles(
                "orders in one transaction",
                Unit::Count,
                "brewline_place_batch_orders_bucket",
                "",
            ),
            Panel::graph(
                "commits of unknown outcome",
                Unit::PerSecond,
                &[(
                    "",
                    "sum(rate(brewline_place_commits_unknown_total[$__rate_interval]))",
                )],
            ),
        ],
    )
}

fn settled() -> Row {
    Row::new(
        "Settled and closed",
        vec![
            Panel::quantiles(
                "accepted to settled",
                Unit::Seconds,
                "brewline_order_settled_seconds_bucket",
                "outcome",
            ),
            Panel::quantiles(
                "accepted to closed",
                Unit::Seconds,
                "brewline_order_closed_seconds_bucket",
                "outcome",
            ),
            Panel::graph(
                "settled, by outcome",
                Unit::PerSecond,
                &[(
                    "{{outcome}}",
                    "sum by (outcome) (rate(brewline_order_settled_seconds_count[$__rate_interval]))",
                )],
            ),
        ],
    )
}

fn made() -> Row {
    Row::new(
        "Stock, tickets, news",
        vec![
            Panel::graph("reservations", Unit::PerSecond, &[("{{outcome}}", "sum by (outcome) (rate(brewline_reservations_total[$__rate_interval]))")]),
            Panel::graph(
                "tickets",
                Unit::PerSecond,
                &[
                    ("opened", "sum(rate(brewline_tickets_opened_total[$__rate_interval]))"),
                    ("{{outcome}}", "sum by (outcome) (rate(brewline_preparations_total[$__rate_interval]))"),
                ],
            ),
            Panel::graph("mails", Unit::PerSecond, &[("{{kind}} {{outcome}}", "sum by (kind, outcome) (rate(brewline_notification_turns_total[$__rate_interval]))")]).rare(),
            Panel::graph("webhooks", Unit::PerSecond, &[("{{outcome}}", "sum by (outcome) (rate(brewline_webhook_calls_total[$__rate_interval]))")]).rare(),
            Panel::graph("news to be sent", Unit::Count, &[("pending", "sum(brewline_notification_pending_deliveries)")]),
            Panel::graph("oldest news to be sent", Unit::Seconds, &[("", "max(brewline_notification_oldest_pending_seconds)")]),
        ],
    )
}

fn money() -> Row {
    Row::new(
        "Money",
        vec![
            Panel::graph(
                "worth of orders accepted (minor units)",
                Unit::PerSecond,
                &[(
                    "{{currency}}",
                    "sum by (currency) (rate(brewline_orders_placed_minor_units_total[$__rate_interval]))",
                )],
            ),
            Panel::graph(
                "money moved (minor units)",
                Unit::PerSecond,
                &[(
                    "{{event}} {{currency}}",
                    "sum by (event, currency) (rate(brewline_payment_minor_units_total[$__rate_interval]))",
                )],
            ),
            Panel::graph(
                "what happened to orders' money",
                Unit::PerSecond,
                &[(
                    "{{event}}",
                    "sum by (event) (rate(brewline_payment_events_total[$__rate_interval]))",
                )],
            ),
        ],
    )
}
