use super::panel::{Dashboard, Panel, Row, Unit};

/// Between the contexts: outboxes, relays, consumers, what waits and what was given up.
pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        uid: "brewline-messages".to_owned(),
        title: "brewline: messages".to_owned(),
        rows: vec![relays(), consumers(), trouble()],
    }
}

fn relays() -> Row {
    Row::new(
        "From the outbox to the log",
        vec![
            Panel::graph("events published", Unit::PerSecond, &[("{{service}}", "sum by (service) (rate(brewline_relay_published_events_total[$__rate_interval]))")]),
            Panel::quantiles("commit to log", Unit::Seconds, "brewline_relay_lag_seconds_bucket", "service"),
            Panel::graph("oldest event that waits", Unit::Seconds, &[("{{service}}", "max by (service) (brewline_outbox_oldest_age_seconds)")]),
            Panel::graph("sent and not acknowledged", Unit::Count, &[("{{service}}", "sum by (service) (brewline_relay_unacknowledged_events)")]),
            Panel::graph("deliveries that failed", Unit::PerSecond, &[("{{service}}", "sum by (service) (rate(brewline_relay_delivery_failures_total[$__rate_interval]))")]).rare(),
            Panel::graph("leases lost", Unit::PerSecond, &[("{{service}}", "sum by (service) (rate(brewline_relay_fenced_total[$__rate_interval]))")]).rare(),
        ],
    )
}

fn consumers() -> Row {
    Row::new(
        "From the log to the tables",
        vec![
            Panel::graph(
                "seconds behind",
                Unit::Seconds,
                &[(
                    "{{consumer}}",
                    "max by (consumer) (brewline_consumer_behind_seconds)",
                )],
            ),
            Panel::graph(
                "records behind",
                Unit::Count,
                &[(
                    "{{consumer}}",
                    "sum by (consumer) (brewline_consumer_lag_records)",
                )],
            ),
            Panel::graph(
                "batches",
                Unit::PerSecond,
                &[(
                    "{{consumer}}",
                    "sum by (consumer) (rate(brewline_consumer_batch_records_count[$__rate_interval]))",
                )],
            ),
            Panel::graph(
                "records",
                Unit::PerSecond,
                &[(
                    "{{consumer}}",
                    "sum by (consumer) (rate(brewline_consumer_batch_records_sum[$__rate_interval]))",
                )],
            ),
            Panel::quantiles(
                "records of a batch",
                Unit::Count,
                "brewline_consumer_batch_records_bucket",
                "consumer",
            ),
            Panel::quantiles(
                "time of a batch",
                Unit::Seconds,
                "brewline_consumer_batch_seconds_bucket",
                "consumer",
            ),
        ],
    )
}

fn trouble() -> Row {
    Row::new(
        "What does not move",
        vec![
            Panel::graph("dead letters open", Unit::Count, &[("{{consumer}}", "max by (consumer) (brewline_dead_letters_open)")]).rare(),
            Panel::graph("keys parked", Unit::Count, &[("{{consumer}}", "max by (consumer) (brewline_parked_keys)")]).rare(),
            Panel::graph("duplicates refused", Unit::PerSecond, &[("{{consumer}}", "sum by (consumer) (rate(brewline_consumer_duplicates_refused_total[$__rate_interval]))")]).rare(),
            Panel::graph(
                "given up, and parked",
                Unit::PerSecond,
                &[
                    ("given up {{consumer}}", "sum by (consumer) (rate(brewline_consumer_dead_letters_total[$__rate_interval]))"),
                    ("parked {{consumer}}", "sum by (consumer) (rate(brewline_consumer_parked_records_total[$__rate_interval]))"),
                ],
            )
            .rare(),
            Panel::graph("partitions paused", Unit::PerSecond, &[("{{consumer}}", "sum by (consumer) (rate(brewline_consumer_partition_pauses_total[$__rate_interval]))")]).rare(),
            Panel::graph(
                "batches put back",
                Unit::PerSecond,
                &[
                    ("fenced {{consumer}}", "sum by (consumer) (rate(brewline_consumer_fenced_batches_total[$__rate_interval]))"),
                    ("no database {{consumer}}", "sum by (consumer) (rate(brewline_consumer_outages_total[$__rate_interval]))"),
                ],
            )
            .rare(),
        ],
    )
}
