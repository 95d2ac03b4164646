//! What this service tells the outside about itself: its metrics, by name.

use std::sync::LazyLock;
use std::time::Duration;

use brewline_kernel::Money;
use brewline_payment_domain::{Answer, Call, Event, Hit, Kind, Outcome};
use brewline_telemetry::metrics::{self, Counter, Family, Histogram};

use crate::outbound::store::event_name;

/// Label names with their values.
type Labels<const N: usize> = [(&'static str, &'static str); N];

/// A histogram for each set of labels.
type Histograms<const N: usize> = Family<Labels<N>, Histogram, fn() -> Histogram>;

static COMMANDS: LazyLock<Family<Labels<2>, Counter>> = LazyLock::new(|| {
    metrics::register(
        "brewline_payment_commands",
        "Commands answered, by kind and outcome",
        Family::default(),
    )
});

static RISK_REFUSALS: LazyLock<Family<[(&'static str, String); 1], Counter>> =
    LazyLock::new(|| {
        metrics::register(
            "brewline_payment_risk_refusals",
            "Authorisations refused by a risk rule, by rule",
            Family::default(),
        )
    });

static EVENTS: LazyLock<Family<Labels<1>, Counter>> = LazyLock::new(|| {
    metrics::register(
        "brewline_payment_events",
        "What happened to orders' money",
        Family::default(),
    )
});

static MINOR_UNITS: LazyLock<Family<[(&'static str, String); 2], Counter>> = LazyLock::new(|| {
    metrics::register(
        "brewline_payment_minor_units",
        "Money moved, in minor units of the currency, by what happened to it",
        Family::default(),
    )
});

static REQUEST_SECONDS: LazyLock<Histograms<2>> = LazyLock::new(|| {
    metrics::register(
        "brewline_processor_request_seconds",
        "Time a request to the card processor took, by call and answer",
        Family::new_with_constructor(metrics::histogram_seconds),
    )
});

static BATCH: LazyLock<Histograms<1>> = LazyLock::new(|| {
    metrics::register(
        "brewline_payment_batch_rows",
        "Rows recorded by one transaction, by stage",
        Family::new_with_constructor(metrics::histogram_items),
    )
});

/// Counts an answered command, and names its outcome.
pub(crate) fn answered(kind: Kind, outcome: &Outcome) -> &'static str {
    let outcome = match outcome {
        Outcome::Done { .. } => "done",
        Outcome::Declined { .. } => "declined",
        Outcome::Unknown { .. } => "unknown",
        Outcome::Refused { .. } => "refused",
    };
    let labels = [("kind", kind.as_str()), ("outcome", outcome)];
    COMMANDS.get_or_create(&labels).inc();
    outcome
}

/// Counts an authorisation that a risk rule refused.
pub(crate) fn risk_refused(hit: &Hit) {
    let labels = [("rule", hit.rule.clone())];
    RISK_REFUSALS.get_or_create(&labels).inc();
}

/// Counts what happened to an order's money.
pub(crate) fn happened(event: &Event, amount: Option<Money>) {
    let name = event_name(event);
    EVENTS.get_or_create(&[("event", name)]).inc();
    let Some(amount) = amount else { return };
    let labels = [
        ("event", name.to_owned()),
        ("currency", amount.currency.to_string()),
    ];
    let minor = u64::try_from(amount.minor).unwrap_or_default();
    MINOR_UNITS.get_or_create(&labels).inc_by(minor);
}

/// Times a request to the processor.
pub(crate) fn asked(call: &Call, answer: &Answer, took: Duration) {
    let labels = [("call", call_name(call)), ("answer", answer_name(answer))];
    REQUEST_SECONDS
        .get_or_create(&labels)
        .observe(took.as_secs_f64());
}

/// Measures a batch.
pub(crate) fn batch(stage: &'static str, rows: usize) {
    let rows = u32::try_from(rows).unwrap_or(u32::MAX);
    BATCH
        .get_or_create(&[("stage", stage)])
        .observe(f64::from(rows));
}

pub(crate) const fn call_name(call: &Call) -> &'static str {
    match call {
        Call::Authorise { .. } => "authorise",
        Call::Capture { .. } => "capture",
        Call::Void { .. } => "void",
        Call::Refund { .. } => "refund",
        Call::FindByReference => "find",
    }
}

pub(crate) const fn answer_name(answer: &Answer) -> &'static str {
    match answer {
        Answer::Authorised { .. } | Answer::Accepted => "done",
        Answer::Declined { .. } => "declined",
        Answer::Refused { .. } => "refused",
        Answer::Found(_) => "found",
        Answer::Unknown { .. } => "unknown",
    }
}
