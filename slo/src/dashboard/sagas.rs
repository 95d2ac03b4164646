use super::panel::{Dashboard, Panel, Row, Unit};

/// Checkouts: where they are, how old, what is asked of payment and of the card processor.
pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        uid: "brewline-sagas".to_owned(),
        title: "brewline: sagas".to_owned(),
        rows: vec![states(), calls()],
    }
}

fn states() -> Row {
    Row::new(
        "Checkouts",
        vec![
            Panel::graph(
                "not closed, by state",
                Unit::Count,
                &[("{{state}}", "sum by (state) (brewline_sagas_open)")],
            ),
            Panel::graph(
                "oldest, by state",
                Unit::Seconds,
                &[(
                    "{{state}}",
                    "max by (state) (brewline_sagas_oldest_age_seconds)",
                )],
            ),
            Panel::graph(
                "came into a state",
                Unit::PerSecond,
                &[(
                    "{{state}}",
                    "sum by (state) (rate(brewline_saga_steps_total[$__rate_interval]))",
                )],
            ),
            Panel::graph(
                "began to unwind",
                Unit::PerSecond,
                &[(
                    "",
                    "sum(rate(brewline_saga_compensations_total[$__rate_interval]))",
                )],
            )
            .rare(),
            Panel::graph(
                "too long in a state",
                Unit::PerSecond,
                &[(
                    "{{state}}",
                    "sum by (state) (rate(brewline_saga_overdue_total[$__rate_interval]))",
                )],
            )
            .rare(),
            Panel::quantiles(
                "accepted to closed",
                Unit::Seconds,
                "brewline_order_closed_seconds_bucket",
                "outcome",
            ),
        ],
    )
}

fn calls() -> Row {
    Row::new(
        "Payment and the card processor",
        vec![
            Panel::quantiles(
                "calls to payment",
                Unit::Seconds,
                "brewline_saga_call_seconds_bucket",
                "call",
            ),
            Panel::quantiles(
                "orders in one call",
                Unit::Count,
                "brewline_saga_call_batch_orders_bucket",
                "call",
            ),
            Panel::graph(
                "calls of unknown outcome",
                Unit::PerSecond,
                &[(
                    "{{call}}",
                    "sum by (call) (rate(brewline_saga_calls_unknown_total[$__rate_interval]))",
                )],
            )
            .rare(),
            Panel::graph(
                "requests to the processor",
                Unit::PerSecond,
                &[(
                    "{{call}} {{answer}}",
                    "sum by (call, answer) (rate(brewline_processor_request_seconds_count[$__rate_interval]))",
                )],
            ),
            Panel::quantiles(
                "time of a request to the processor",
                Unit::Seconds,
                "brewline_processor_request_seconds_bucket",
                "call",
            ),
            Panel::graph(
                "calls that found the queue full",
                Unit::PerSecond,
                &[(
                    "",
                    "sum(rate(brewline_saga_calls_queue_full_total[$__rate_interval]))",
                )],
            )
            .rare(),
        ],
    )
}
