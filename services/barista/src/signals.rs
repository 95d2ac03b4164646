//! What this service tells the outside about itself: its metrics, by name.

use std::sync::LazyLock;

use brewline_telemetry::metrics::{self, Counter, Family, Gauge, Histogram};

/// Events of preparations, by what happened.
pub(crate) static PREPARATIONS: LazyLock<Family<Outcome, Counter>> = LazyLock::new(|| {
    metrics::register(
        "brewline_preparations",
        "Steps of preparations, by outcome",
        Family::default(),
    )
});

/// Tickets opened.
pub(crate) static TICKETS_OPENED: LazyLock<Counter> = LazyLock::new(|| {
    metrics::register(
        "brewline_tickets_opened",
        "Tickets put onto a wall",
        Counter::default(),
    )
});

/// Who watches a wall.
pub(crate) static WALL_WATCHERS: LazyLock<Gauge> = LazyLock::new(|| {
    metrics::register(
        "brewline_wall_watchers",
        "Callers who watch a wall now",
        Gauge::default(),
    )
});

/// How many events one transaction led to.
pub(crate) static BATCH: LazyLock<Histogram> = LazyLock::new(|| {
    metrics::register(
        "brewline_preparation_batch_events",
        "Events of preparations written by one transaction",
        metrics::histogram_items(),
    )
});

/// What happened to a preparation, as a label.
pub(crate) type Outcome = [(&'static str, &'static str); 1];
