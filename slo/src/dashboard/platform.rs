use super::panel::{Dashboard, Panel, Row, Unit};

/// The whole at a glance: does it work, how busy is it, who is out of breath.
pub(super) fn dashboard() -> Dashboard {
    Dashboard {
        uid: "brewline-platform".to_owned(),
        title: "brewline: platform".to_owned(),
        rows: vec![now(), edge(), processes(), servers()],
    }
}

fn now() -> Row {
    Row::new(
        "Now",
        vec![
            Panel::stat(
                "orders accepted",
                Unit::PerSecond,
                &[(
                    "",
                    "sum(rate(brewline_orders_placed_total[$__rate_interval]))",
                )],
            ),
            Panel::stat(
                "checkouts open",
                Unit::Count,
                &[("", "sum(brewline_sagas_open)")],
            ),
            Panel::stat(
                "most seconds behind",
                Unit::Seconds,
                &[("", "max(brewline_consumer_behind_seconds)")],
            ),
            Panel::stat(
                "alerts firing",
                Unit::Count,
                &[(
                    "{{severity}}",
                    "count by (severity) (ALERTS{alertstate=\"firing\"})",
                )],
            )
            .rare(),
            Panel::stat(
                "processes that answer",
                Unit::Count,
                &[("", "sum(up{job=\"brewline\"})")],
            ),
            Panel::stat(
                "dead letters",
                Unit::Count,
                &[("", "sum(brewline_dead_letters_open)")],
            )
            .rare(),
            Panel::stat(
                "checkouts parked",
                Unit::Count,
                &[("", "sum(brewline_sagas_open{state=\"parked\"})")],
            )
            .rare(),
        ],
    )
}

fn edge() -> Row {
    Row::new(
        "Edge",
        vec![
            Panel::graph(
                "requests by status",
                Unit::PerSecond,
                &[("{{http_response_status_code}}", "sum by (http_response_status_code) (rate(http_server_request_duration_seconds_count[$__rate_interval]))")],
            ),
            Panel::quantiles("time to answer, by route", Unit::Seconds, "http_server_request_duration_seconds_bucket", "http_route"),
            Panel::graph(
                "in flight and refused",
                Unit::Count,
                &[
                    ("in flight", "sum(http_server_active_requests)"),
                    ("streams", "sum(brewline_gateway_open_streams)"),
                    ("refused in a second", "sum(rate(brewline_gateway_shed_requests_total[$__rate_interval]))"),
                ],
            ),
            Panel::graph(
                "calls between services",
                Unit::PerSecond,
                &[("{{service}} {{rpc_response_status_code}}", "sum by (service, rpc_response_status_code) (rate(rpc_server_call_duration_seconds_count[$__rate_interval]))")],
            ),
            Panel::quantiles("time to answer calls", Unit::Seconds, "rpc_server_call_duration_seconds_bucket", "service"),
            Panel::graph(
                "errors in logs",
                Unit::PerSecond,
                &[("{{service}}", "sum by (service) (rate(brewline_log_lines_total{level=~\"error|warn\"}[$__rate_interval]))")],
            )
            .rare(),
        ],
    )
}

fn processes() -> Row {
    Row::new(
        "Processes",
        vec![
            Panel::graph(
                "processors used",
                Unit::Cores,
                &[(
                    "{{service}}",
                    "sum by (service) (rate(process_cpu_time_seconds_total[$__rate_interval]))",
                )],
            ),
            Panel::graph(
                "memory",
                Unit::Bytes,
                &[(
                    "{{service}} {{instance}}",
                    "max by (service, instance) (process_memory_usage_bytes)",
                )],
            ),
            Panel::graph(
                "running for",
                Unit::Seconds,
                &[(
                    "{{service}} {{instance}}",
                    "max by (service, instance) (process_uptime_seconds)",
                )],
            ),
            Panel::graph(
                "connections in use",
                Unit::Share,
                &[(
                    "{{service}}",
                    "max by (service) (sum by (service, instance) (db_client_connection_count{db_client_connection_state=\"used\"}) / sum by (service, instance) (db_client_connection_max))",
                )],
            ),
            Panel::graph(
                "waiting for a connection",
                Unit::Count,
                &[(
                    "{{service}}",
                    "sum by (service) (db_client_connection_pending_requests)",
                )],
            ),
            Panel::graph(
                "spans",
                Unit::PerSecond,
                &[
                    (
                        "taken by the collector",
                        "sum(rate(brewline_trace_spans_exported_total[$__rate_interval]))",
                    ),
                    (
                        "given up",
                        "sum(rate(brewline_trace_spans_dropped_total[$__rate_interval]))",
                    ),
                ],
            )
            .rare(),
        ],
    )
}

fn servers() -> Row {
    Row::new(
        "Servers, as services see them",
        vec![
            Panel::graph(
                "databases that take writes",
                Unit::Count,
                &[(
                    "{{service}}",
                    "max by (service) (brewline_database_writable)",
                )],
            ),
            Panel::graph(
                "consumers that reach Kafka",
                Unit::Count,
                &[(
                    "{{service}}",
                    "sum by (service) (brewline_consumer_broker_reachable)",
                )],
            ),
        ],
    )
}
