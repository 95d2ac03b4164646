use std::sync::LazyLock;
use std::time::Duration;

use brewline_order_domain::checkout::Phase;
use brewline_telemetry::metrics::{self, Counter, Family, FloatGauge, Gauge, Histogram};

use super::Notice;
use crate::outbound::payments_client::CallKind;

/// One label.
type Label = [(&'static str, &'static str); 1];
type Histograms = Family<Label, Histogram, fn() -> Histogram>;

static STEPS: LazyLock<Family<Label, Counter>> = LazyLock::new(|| {
    metrics::register(
        "brewline_saga_steps",
        "Checkouts that came into a state, by state",
        Family::default(),
    )
});

static COMPENSATIONS: LazyLock<Counter> = LazyLock::new(|| {
    metrics::register(
        "brewline_saga_compensations",
        "Checkouts that began to unwind",
        Counter::default(),
    )
});

static OPEN: LazyLock<Family<Label, Gauge>> = LazyLock::new(|| {
    metrics::register(
        "brewline_sagas_open",
        "Checkouts that are not closed, by state",
        Family::default(),
    )
});

static OLDEST: LazyLock<Family<Label, FloatGauge>> = LazyLock::new(|| {
    metrics::register(
        "brewline_sagas_oldest_age_seconds",
        "Age of the oldest checkout that is not closed, by state; 0 when there is none",
        Family::default(),
    )
});

static SETTLED: LazyLock<Histograms> = LazyLock::new(|| {
    metrics::register(
        "brewline_order_settled_seconds",
        "Time from accepted to settled: the order has left pending",
        Family::new_with_constructor(metrics::histogram_seconds),
    )
});

static CLOSED: LazyLock<Histograms> = LazyLock::new(|| {
    metrics::register(
        "brewline_order_closed_seconds",
        "Time from accepted to closed: the checkout is completed or undone",
        Family::new_with_constructor(metrics::histogram_seconds),
    )
});

static OVERDUE: LazyLock<Family<Label, Counter>> = LazyLock::new(|| {
    metrics::register(
        "brewline_saga_overdue",
        "Checkouts past the pivot or unwinding that took too long to close, by state",
        Family::default(),
    )
});

static QUEUE_FULL: LazyLock<Counter> = LazyLock::new(|| {
    metrics::register(
        "brewline_saga_calls_queue_full",
        "Calls to payment that found the queue full and wait for their timer",
        Counter::default(),
    )
});

static CALL_BATCH: LazyLock<Histograms> = LazyLock::new(|| {
    metrics::register(
        "brewline_saga_call_batch_orders",
        "Orders in one call to payment, by call",
        Family::new_with_constructor(metrics::histogram_items),
    )
});

static CALL_SECONDS: LazyLock<Histograms> = LazyLock::new(|| {
    metrics::register(
        "brewline_saga_call_seconds",
        "Duration of one call to payment, by call",
        Family::new_with_constructor(metrics::histogram_seconds),
    )
});

static CALLS_UNKNOWN: LazyLock<Family<Label, Counter>> = LazyLock::new(|| {
    metrics::register(
        "brewline_saga_calls_unknown",
        "Calls to payment whose outcome is unknown, by call",
        Family::default(),
    )
});

pub(super) fn moved(steps: &[Phase]) {
    for phase in steps {
        STEPS.get_or_create(&[("state", phase.as_str())]).inc();
        if *phase == Phase::Unwinding {
            COMPENSATIONS.inc();
        }
    }
}

pub(super) fn ended(settled: &[(&'static str, Duration)], closed: &[(Phase, Duration)]) {
    for (outcome, age) in settled {
        SETTLED
            .get_or_create(&[("outcome", *outcome)])
            .observe(age.as_secs_f64());
    }
    for (phase, age) in closed {
        CLOSED
            .get_or_create(&[("outcome", phase.as_str())])
            .observe(age.as_secs_f64());
    }
}

/// What is open now. A state that none is in is told as 0, not as what it was before.
pub(super) fn census(states: &[(String, i64, Duration)]) {
    for phase in Phase::ALL.into_iter().filter(|phase| !phase.is_closed()) {
        let found = states.iter().find(|(state, ..)| state == phase.as_str());
        let (count, oldest) = found.map_or((0, Duration::ZERO), |(_, count, age)| (*count, *age));
        let label = [("state", phase.as_str())];
        OPEN.get_or_create(&label).set(count);
        OLDEST.get_or_create(&label).set(oldest.as_secs_f64());
    }
}

pub(super) fn notice(notice: Notice) {
    match notice {
        Notice::Overdue(order_id, phase) => {
            let state = phase.as_str();
            OVERDUE.get_or_create(&[("state", state)]).inc();
            tracing::warn!(%order_id, state, "a checkout takes too long to close; it goes on");
        }
        Notice::Parked(order_id, reason) => {
            let reason = reason.as_str();
            tracing::error!(%order_id, reason, "a checkout is parked");
        }
    }
}

pub(super) fn queue_full(refused: usize) {
    QUEUE_FULL.inc_by(u64::try_from(refused).unwrap_or_default());
}

#[allow(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "a histogram counts in floating point; a batch is small"
)]
pub(super) fn called(kind: CallKind, items: usize, unknown: usize, took: Duration) {
    let label = [("call", kind.as_str())];
    CALL_BATCH.get_or_create(&label).observe(items as f64);
    CALL_SECONDS
        .get_or_create(&label)
        .observe(took.as_secs_f64());
    let unknown = u64::try_from(unknown).unwrap_or_default();
    CALLS_UNKNOWN.get_or_create(&label).inc_by(unknown);
}
