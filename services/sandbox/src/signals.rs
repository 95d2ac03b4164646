//! What this service tells about itself.

use std::sync::LazyLock;

use brewline_telemetry::metrics::{
    self, Counter, Family, Histogram, histogram_items, histogram_seconds,
};

/// The operation and what came of it.
type Labels = [(&'static str, &'static str); 2];

static OPERATIONS: LazyLock<Family<Labels, Counter>> = LazyLock::new(|| {
    metrics::register(
        "brewline_sandbox_operations",
        "Requests to the card processor.",
        Family::default(),
    )
});

static BATCH: LazyLock<Histogram> = LazyLock::new(|| {
    metrics::register(
        "brewline_sandbox_journal_batch_entries",
        "Entries written with one sync.",
        histogram_items(),
    )
});

static SYNC: LazyLock<Histogram> = LazyLock::new(|| {
    metrics::register(
        "brewline_sandbox_journal_sync_seconds",
        "Time to write and sync one batch.",
        histogram_seconds(),
    )
});

/// A request was dealt with.
pub(crate) fn operation(operation: &'static str, outcome: &'static str) {
    let labels = [("operation", operation), ("outcome", outcome)];
    OPERATIONS.get_or_create(&labels).inc();
}

/// A batch is on disk.
pub(crate) fn synced(entries: usize, took: std::time::Duration) {
    BATCH.observe(f64::from(u32::try_from(entries).unwrap_or(u32::MAX)));
    SYNC.observe(took.as_secs_f64());
}
