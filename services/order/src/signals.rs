//! What this service tells the outside about itself: its metrics, by name.

use std::sync::LazyLock;

use brewline_kernel::Money;
use brewline_telemetry::metrics::{self, Counter, Family, FloatGauge, Gauge, Histogram};

/// Orders accepted: durable and answered.
pub static PLACED: LazyLock<Counter> = LazyLock::new(|| {
    metrics::register(
        "brewline_orders_placed",
        "Orders accepted",
        Counter::default(),
    )
});

static PLACED_MINOR_UNITS: LazyLock<Family<[(&'static str, String); 1], Counter>> =
    LazyLock::new(|| {
        metrics::register(
            "brewline_orders_placed_minor_units",
            "Worth of the orders accepted, in minor units of the currency",
            Family::default(),
        )
    });

/// Requests to place an order that were answered with a "no", by reason.
pub static REFUSED: LazyLock<Family<[(&'static str, &'static str); 1], Counter>> =
    LazyLock::new(|| {
        metrics::register(
            "brewline_orders_refused",
            "Requests to place an order that were refused, by reason",
            Family::default(),
        )
    });

/// How many orders one transaction placed.
pub static PLACE_BATCH: LazyLock<Histogram> = LazyLock::new(|| {
    metrics::register(
        "brewline_place_batch_orders",
        "Orders placed by one transaction",
        metrics::histogram_items(),
    )
});

/// How long a request waited for its transaction to end, from its arrival in the queue.
pub static PLACE_SECONDS: LazyLock<Histogram> = LazyLock::new(|| {
    metrics::register(
        "brewline_place_seconds",
        "Time from a request's arrival in the queue to its answer",
        metrics::histogram_seconds(),
    )
});

/// Requests in the queue.
pub static PLACE_QUEUED: LazyLock<Gauge> = LazyLock::new(|| {
    metrics::register(
        "brewline_place_queue_orders",
        "Requests to place an order that wait for a transaction",
        Gauge::default(),
    )
});

static PLACE_ADMITTED: LazyLock<FloatGauge> = LazyLock::new(|| {
    metrics::register(
        "brewline_place_admitted_ratio",
        "Share of new orders that are let in; below 1 while pending ones take too long to settle",
        FloatGauge::default(),
    )
});

/// Commits whose outcome had to be asked for.
pub static COMMIT_UNKNOWN: LazyLock<Counter> = LazyLock::new(|| {
    metrics::register(
        "brewline_place_commits_unknown",
        "Commits whose answer was lost and whose outcome was read from the idempotency keys",
        Counter::default(),
    )
});

/// The revision of the catalogue that orders are priced from.
pub static CATALOGUE_REVISION: LazyLock<Gauge> = LazyLock::new(|| {
    metrics::register(
        "brewline_catalogue_copy_revision",
        "Revision of the copy of the catalogue held in memory",
        Gauge::default(),
    )
});

/// Counts an accepted order of this worth.
pub fn placed(total: Money) {
    PLACED.inc();
    let worth = u64::try_from(total.minor).unwrap_or_default();
    PLACED_MINOR_UNITS
        .get_or_create(&[("currency", total.currency.to_string())])
        .inc_by(worth);
}

/// Counts a refusal.
pub fn refused(reason: &'static str) {
    REFUSED.get_or_create(&[("reason", reason)]).inc();
}

/// Tells the share of new orders that is let in.
#[allow(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    clippy::float_arithmetic,
    reason = "a gauge holds a floating point number; both are small"
)]
pub fn admitted(share: u64, of: u64) {
    PLACE_ADMITTED.set(share as f64 / of as f64);
}

/// Notes how many orders one transaction placed; none is no batch.
pub fn place_batch(orders: usize) {
    if let Some(orders) = u32::try_from(orders).ok().filter(|orders| *orders > 0) {
        PLACE_BATCH.observe(f64::from(orders));
    }
}
