//! What the edge tells about itself: rate, errors and duration of each route.

use std::sync::LazyLock;
use std::time::Duration;

use axum::http::StatusCode;
use brewline_telemetry::metrics::{
    self, Counter, Family, Gauge, Histogram, MetricConstructor, histogram_seconds,
};

/// The route (never the path: it holds ids), the method and the status.
type Request = [(&'static str, &'static str); 3];

/// Makes the histogram of a route that is seen for the first time.
#[derive(Clone, Debug)]
struct Seconds;

static DURATION: LazyLock<Family<Request, Histogram, Seconds>> = LazyLock::new(|| {
    metrics::register(
        "http_server_request_duration_seconds",
        "Time to answer a request, what its caller asked to wait included.",
        Family::new_with_constructor(Seconds),
    )
});

static IN_FLIGHT: LazyLock<Gauge> = LazyLock::new(|| {
    metrics::register(
        "http_server_active_requests",
        "Requests being answered now.",
        Gauge::default(),
    )
});

static OPEN_STREAMS: LazyLock<Gauge> = LazyLock::new(|| {
    metrics::register(
        "brewline_gateway_open_streams",
        "Streams (server-sent events, WebSockets) that are open now.",
        Gauge::default(),
    )
});

static SHED: LazyLock<Counter> = LazyLock::new(|| {
    metrics::register(
        "brewline_gateway_shed_requests",
        "Requests refused at once since too many were in flight.",
        Counter::default(),
    )
});

/// Counts a request as in flight until it is dropped: even when its caller goes away.
#[derive(Debug)]
pub(crate) struct InFlight(());

/// Counts a stream as open until it is dropped.
#[derive(Debug)]
pub(crate) struct OpenStream(());

// === impl Seconds ===

impl MetricConstructor<Histogram> for Seconds {
    fn new_metric(&self) -> Histogram {
        histogram_seconds()
    }
}

// === impl InFlight ===

impl InFlight {
    pub(crate) fn enter() -> Self {
        IN_FLIGHT.inc();
        Self(())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        IN_FLIGHT.dec();
    }
}

// === impl OpenStream ===

impl OpenStream {
    pub(crate) fn enter() -> Self {
        OPEN_STREAMS.inc();
        Self(())
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        OPEN_STREAMS.dec();
    }
}

/// Tells both from the start: an alert on an increase never sees a first event that is the first thing told.
pub(crate) fn begin() {
    LazyLock::force(&SHED);
    LazyLock::force(&OPEN_STREAMS);
}

/// A request was refused at once.
pub(crate) fn shed() {
    SHED.inc();
}

/// A request was answered.
pub(crate) fn answered(
    route: &'static str,
    method: &'static str,
    status: StatusCode,
    took: Duration,
) {
    let request = [
        ("http_route", route),
        ("http_request_method", method),
        ("http_response_status_code", status_name(status.as_u16())),
    ];
    DURATION.get_or_create(&request).observe(took.as_secs_f64());
}

/// A status as a label. Those that the edge does not give are told by their class.
const fn status_name(status: u16) -> &'static str {
    match status {
        200 => "200",
        201 => "201",
        202 => "202",
        204 => "204",
        304 => "304",
        400 => "400",
        401 => "401",
        403 => "403",
        404 => "404",
        405 => "405",
        408 => "408",
        409 => "409",
        410 => "410",
        412 => "412",
        413 => "413",
        415 => "415",
        422 => "422",
        428 => "428",
        429 => "429",
        500 => "500",
        502 => "502",
        503 => "503",
        504 => "504",
        other => match other / 100 {
            0 | 1 => "1xx",
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            _ => "5xx",
        },
    }
}
