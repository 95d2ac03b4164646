//! What this service tells the outside about itself: its metrics, by name.

use std::sync::LazyLock;
use std::time::Duration;

use brewline_telemetry::metrics::{self, Counter, Family, FloatGauge, Gauge};

static TURNS: LazyLock<Family<[(&'static str, &'static str); 2], Counter>> = LazyLock::new(|| {
    metrics::register(
        "brewline_notification_turns",
        "Turns of deliveries, by kind and what came of them",
        Family::default(),
    )
});

static CALLS: LazyLock<Family<[(&'static str, &'static str); 1], Counter>> = LazyLock::new(|| {
    metrics::register(
        "brewline_webhook_calls",
        "Calls of webhooks, by what came of them",
        Family::default(),
    )
});

static PENDING: LazyLock<Gauge> = LazyLock::new(|| {
    metrics::register(
        "brewline_notification_pending_deliveries",
        "Deliveries that are to be sent",
        Gauge::default(),
    )
});

static OLDEST: LazyLock<FloatGauge> = LazyLock::new(|| {
    metrics::register(
        "brewline_notification_oldest_pending_seconds",
        "Age of the oldest delivery that is to be sent",
        FloatGauge::default(),
    )
});

/// A delivery had its turn.
pub(crate) fn turn(kind: &'static str, outcome: &'static str) {
    let labels = [("kind", kind), ("outcome", outcome)];
    TURNS.get_or_create(&labels).inc();
}

/// A webhook was called.
pub(crate) fn call(outcome: &'static str) {
    CALLS.get_or_create(&[("outcome", outcome)]).inc();
}

/// So many deliveries are pending; the oldest is of this age.
pub(crate) fn pending(count: i64, oldest_ms: i64) {
    PENDING.set(count);
    let oldest = Duration::from_millis(u64::try_from(oldest_ms).unwrap_or_default());
    OLDEST.set(oldest.as_secs_f64());
}
