//! What this service tells the outside about itself: its metrics, by name.

use std::sync::LazyLock;

use brewline_telemetry::metrics::{self, Counter, Family, Histogram};

/// Events of reservations, by what happened.
pub(crate) static RESERVATIONS: LazyLock<Family<Outcome, Counter>> = LazyLock::new(|| {
    metrics::register(
        "brewline_reservations",
        "Steps of reservations, by outcome",
        Family::default(),
    )
});

/// Adjustments made; repeats are not counted.
pub(crate) static ADJUSTED: LazyLock<Counter> = LazyLock::new(|| {
    metrics::register(
        "brewline_stock_adjustments",
        "Adjustments of stock by hand",
        Counter::default(),
    )
});

/// Reservations that were neither committed nor released within five minutes.
pub(crate) static RESERVATIONS_OVERDUE: LazyLock<Counter> = LazyLock::new(|| {
    metrics::register(
        "brewline_reservations_overdue",
        "Reservations that lasted for more than five minutes",
        Counter::default(),
    )
});

/// How many reservations one transaction moved.
pub(crate) static BATCH: LazyLock<Histogram> = LazyLock::new(|| {
    metrics::register(
        "brewline_reservation_batch_orders",
        "Reservations moved by one transaction",
        metrics::histogram_items(),
    )
});

/// What happened to a reservation, as a label.
pub(crate) type Outcome = [(&'static str, &'static str); 1];
