//! What the edge tells about itself: rate, errors and duration of each route.

use std::sync::LazyLock;
use std::time::Duration;

use brewline_telemetry::metrics::{
    self, Counter, Family, Gauge, Histogram, MetricConstructor, histogram_seconds,
};

/// The route (never the path: it holds ids), the method and the class of the status.
type Request = [(&'static str, &'static str); 3];
type Route = [(&'static str, &'static str); 2];

/// Makes the histogram of a route that is seen for the first time.
#[derive(Clone, Debug)]
struct Seconds;

static REQUESTS: LazyLock<Family<Request, Counter>> = LazyLock::new(|| {
    metrics::register(
        "brewline_gateway_requests",
        "Requests answered, by route, method and class of status.",
        Family::default(),
    )
});

static DURATION: LazyLock<Family<Route, Histogram, Seconds>> = LazyLock::new(|| {
    metrics::register(
        "brewline_gateway_request_duration_seconds",
        "Time to answer, by route and method; what a caller asked to wait included.",
        Family::new_with_constructor(Seconds),
    )
});

static IN_FLIGHT: LazyLock<Gauge> = LazyLock::new(|| {
    metrics::register(
        "brewline_gateway_in_flight_requests",
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

/// A request was refused at once.
pub(crate) fn shed() {
    SHED.inc();
}

/// A request was answered.
pub(crate) fn answered(route: &'static str, method: &'static str, status: u16, took: Duration) {
    let class = match status {
        0..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        500.. => "5xx",
    };
    let request = [("route", route), ("method", method), ("status", class)];
    REQUESTS.get_or_create(&request).inc();
    let route = [("route", route), ("method", method)];
    DURATION.get_or_create(&route).observe(took.as_secs_f64());
}
