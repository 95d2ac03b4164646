//! What this service tells the outside about itself: its metrics, by name.

use std::sync::LazyLock;

use brewline_leaderboard_domain::Applied;
use brewline_telemetry::metrics::{self, Counter, Family, FloatGauge, Gauge, Histogram};

static RECORDS: LazyLock<Family<[(&'static str, &'static str); 1], Counter>> =
    LazyLock::new(|| {
        metrics::register(
            "brewline_boards_records",
            "Records read into the boards, by what became of them",
            Family::default(),
        )
    });

/// Age of what the boards do not show yet; 0 when they show everything.
pub(crate) static BEHIND: LazyLock<FloatGauge> = LazyLock::new(|| {
    metrics::register(
        "brewline_boards_behind_seconds",
        "Age of the oldest record this replica's boards do not hold; 0 when there is none",
        FloatGauge::default(),
    )
});

/// Records between the boards and the end of the log.
pub(crate) static LAG: LazyLock<Gauge> = LazyLock::new(|| {
    metrics::register(
        "brewline_boards_lag_records",
        "Records this replica's boards do not hold yet",
        Gauge::default(),
    )
});

/// Records that could not be read and were left out.
pub(crate) static SKIPPED: LazyLock<Gauge> = LazyLock::new(|| {
    metrics::register(
        "brewline_boards_skipped_records",
        "Subjects left out since a record of theirs could not be read",
        Gauge::default(),
    )
});

/// Customers in memory.
pub(crate) static CUSTOMERS: LazyLock<Gauge> = LazyLock::new(|| {
    metrics::register(
        "brewline_boards_customers",
        "Customers known to the boards",
        Gauge::default(),
    )
});

/// The size of the last snapshot.
pub(crate) static SNAPSHOT_BYTES: LazyLock<Gauge> = LazyLock::new(|| {
    metrics::register(
        "brewline_boards_snapshot_bytes",
        "Size of the last snapshot written here",
        Gauge::default(),
    )
});

/// How long snapshots take.
pub(crate) static SNAPSHOT_SECONDS: LazyLock<Histogram> = LazyLock::new(|| {
    metrics::register(
        "brewline_boards_snapshot_seconds",
        "How long it took to write a snapshot",
        metrics::histogram_seconds(),
    )
});

/// Notes what became of records.
pub(crate) fn applied(outcome: Applied, times: u64) {
    let name = match outcome {
        Applied::Counted => "counted",
        Applied::TakenBack => "taken-back",
        Applied::Noted | Applied::NameGone => "noted",
        Applied::Duplicate => "duplicate",
        Applied::TooOld => "too-old",
        Applied::Skipped => "skipped",
    };
    RECORDS.get_or_create(&[("outcome", name)]).inc_by(times);
}
