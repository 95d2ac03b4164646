//! The metrics of relays and consumers.

use std::sync::LazyLock;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use brewline_kafka::TopicPartition;
use brewline_kernel::system::SystemClock;
use brewline_kernel::{Clock as _, Timestamp};
use brewline_telemetry::metrics::{
    Counter, Family, FloatGauge, Gauge, Histogram, histogram_items, histogram_seconds, register,
};

/// Labels, by name.
type Labels<const N: usize> = [(&'static str, String); N];

type SlotGauge = Family<Labels<1>, Gauge<f64, AtomicU64>>;
type ConsumerCounter = Family<Labels<1>, Counter>;

static RELAY_PUBLISHED: LazyLock<Counter> = LazyLock::new(|| {
    register(
        "brewline_relay_published_events",
        "Events acknowledged by Kafka.",
        Counter::default(),
    )
});

static RELAY_LAG: LazyLock<Histogram> = LazyLock::new(|| {
    register(
        "brewline_relay_lag_seconds",
        "Time from an event's occurrence to Kafka's acknowledgement of it",
        histogram_seconds(),
    )
});

pub(crate) static RELAY_FENCED: LazyLock<Counter> = LazyLock::new(|| {
    register(
        "brewline_relay_fenced",
        "Leases found to be another instance's.",
        Counter::default(),
    )
});

pub(crate) static RELAY_DELIVERY_FAILED: LazyLock<Counter> = LazyLock::new(|| {
    register(
        "brewline_relay_delivery_failures",
        "Deliveries that failed, each followed by sending again from the watermark.",
        Counter::default(),
    )
});

static OUTBOX_OLDEST: LazyLock<SlotGauge> = LazyLock::new(|| {
    register(
        "brewline_outbox_oldest_age_seconds",
        "Age of the oldest event that is not known to be in the log.",
        SlotGauge::default(),
    )
});

static RELAY_UNACKED: LazyLock<Family<Labels<1>, Gauge>> = LazyLock::new(|| {
    register(
        "brewline_relay_unacknowledged_events",
        "Events sent or held back that Kafka has not acknowledged.",
        Family::default(),
    )
});

static BATCH: LazyLock<Family<Labels<1>, Histogram>> = LazyLock::new(|| {
    let make: fn() -> Histogram = histogram_items;
    register(
        "brewline_consumer_batch_records",
        "Records applied in one transaction.",
        Family::new_with_constructor(make),
    )
});

static BATCH_SECONDS: LazyLock<Family<Labels<1>, Histogram>> = LazyLock::new(|| {
    let make: fn() -> Histogram = histogram_seconds;
    register(
        "brewline_consumer_batch_seconds",
        "Time to apply a batch of records, its commit included",
        Family::new_with_constructor(make),
    )
});

static DEAD_LETTERS_OPEN: LazyLock<Family<Labels<1>, Gauge>> = LazyLock::new(|| {
    register(
        "brewline_dead_letters_open",
        "Dead letters nobody has redriven or dropped yet",
        Family::default(),
    )
});

static PARKED_KEYS: LazyLock<Family<Labels<1>, Gauge>> = LazyLock::new(|| {
    register(
        "brewline_parked_keys",
        "Subjects that may not move on: behind a dead letter, or waiting for a missing version",
        Family::default(),
    )
});

static DUPLICATES: LazyLock<ConsumerCounter> = LazyLock::new(|| {
    register(
        "brewline_consumer_duplicates_refused",
        "Records refused by the inbox.",
        ConsumerCounter::default(),
    )
});

static DEAD_LETTERS: LazyLock<ConsumerCounter> = LazyLock::new(|| {
    register(
        "brewline_consumer_dead_letters",
        "Records given up.",
        ConsumerCounter::default(),
    )
});

static PARKED: LazyLock<ConsumerCounter> = LazyLock::new(|| {
    register(
        "brewline_consumer_parked_records",
        "Records held behind a dead letter or a missing version.",
        ConsumerCounter::default(),
    )
});

static PAUSED: LazyLock<ConsumerCounter> = LazyLock::new(|| {
    register(
        "brewline_consumer_partition_pauses",
        "Times a partition stood still because too many records were parked.",
        ConsumerCounter::default(),
    )
});

static FENCED: LazyLock<ConsumerCounter> = LazyLock::new(|| {
    register(
        "brewline_consumer_fenced_batches",
        "Batches refused because a position had moved or had another owner.",
        ConsumerCounter::default(),
    )
});

static OUTAGES: LazyLock<ConsumerCounter> = LazyLock::new(|| {
    register(
        "brewline_consumer_outages",
        "Batches put back because the database was away.",
        ConsumerCounter::default(),
    )
});

static REACHABLE: LazyLock<Family<Labels<1>, Gauge>> = LazyLock::new(|| {
    register(
        "brewline_consumer_broker_reachable",
        "1 while a consumer reaches Kafka, 0 while it does not.",
        Family::default(),
    )
});

static BEHIND: LazyLock<Family<Labels<3>, FloatGauge>> = LazyLock::new(|| {
    register(
        "brewline_consumer_behind_seconds",
        "Age of the next record of a partition; 0 when there is none.",
        Family::default(),
    )
});

static LAG: LazyLock<Family<Labels<3>, Gauge>> = LazyLock::new(|| {
    register(
        "brewline_consumer_lag_records",
        "Records between a partition's position and its end.",
        Family::default(),
    )
});

/// Kafka has an event that occurred then.
pub(crate) fn acknowledged(occurred_at: Timestamp) {
    RELAY_PUBLISHED.inc();
    let lag = SystemClock.now().since(occurred_at);
    RELAY_LAG.observe(lag.as_secs_f64());
}

pub(crate) fn outbox(slot: i16, oldest: Duration, unacked_rows: usize) {
    let labels = [("slot", slot.to_string())];
    OUTBOX_OLDEST
        .get_or_create(&labels)
        .set(oldest.as_secs_f64());
    let unacked_rows = i64::try_from(unacked_rows).unwrap_or(i64::MAX);
    RELAY_UNACKED.get_or_create(&labels).set(unacked_rows);
}

/// Tells from the start what a relay counts: an alert on an increase never sees a first event that is the
/// first thing told.
pub(crate) fn relay_begins() {
    LazyLock::force(&RELAY_FENCED);
    LazyLock::force(&RELAY_DELIVERY_FAILED);
}

/// What a consumer has to tell, each with its name as label.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConsumerSignals(pub(crate) &'static str);

// === impl ConsumerSignals ===

impl ConsumerSignals {
    /// Tells from the start what it counts, for the same reason as a relay.
    pub(crate) fn begin(self) {
        for counter in [
            &DUPLICATES,
            &DEAD_LETTERS,
            &PARKED,
            &PAUSED,
            &FENCED,
            &OUTAGES,
        ] {
            self.add(counter, 0);
        }
    }

    pub(crate) fn batch(self, records: usize, took: Duration) {
        let (labels, records) = (self.labels(), u32::try_from(records).unwrap_or(u32::MAX));
        BATCH.get_or_create(&labels).observe(f64::from(records));
        BATCH_SECONDS
            .get_or_create(&labels)
            .observe(took.as_secs_f64());
    }

    /// What stands in the tables now.
    pub(crate) fn standing(self, dead_letters: i64, parked_keys: i64) {
        let labels = self.labels();
        DEAD_LETTERS_OPEN.get_or_create(&labels).set(dead_letters);
        PARKED_KEYS.get_or_create(&labels).set(parked_keys);
    }

    pub(crate) fn duplicates(self, records: usize) {
        self.add(&DUPLICATES, records);
    }

    pub(crate) fn dead_letter(self) {
        self.add(&DEAD_LETTERS, 1);
    }

    pub(crate) fn parked(self, records: usize) {
        self.add(&PARKED, records);
    }

    pub(crate) fn paused(self) {
        self.add(&PAUSED, 1);
    }

    pub(crate) fn fenced(self) {
        self.add(&FENCED, 1);
    }

    pub(crate) fn outage(self) {
        self.add(&OUTAGES, 1);
    }

    /// How it stands with the broker. A lag alone does not tell: without a broker nobody knows of more.
    pub(crate) fn reaches_broker(self, reaches: bool) {
        let gauge = REACHABLE.get_or_create(&self.labels());
        gauge.set(i64::from(reaches));
    }

    pub(crate) fn lag(self, place: &TopicPartition, records: i64, behind: Duration) {
        let labels = self.partition(place);
        LAG.get_or_create(&labels).set(records);
        BEHIND.get_or_create(&labels).set(behind.as_secs_f64());
    }

    /// A partition that is somebody else's must not be told any more.
    pub(crate) fn released(self, place: &TopicPartition) {
        let labels = self.partition(place);
        LAG.remove(&labels);
        BEHIND.remove(&labels);
    }

    fn partition(self, place: &TopicPartition) -> Labels<3> {
        [
            ("consumer", self.0.to_owned()),
            ("topic", place.topic.to_string()),
            ("partition", place.partition.to_string()),
        ]
    }

    fn add(self, counter: &ConsumerCounter, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        counter.get_or_create(&self.labels()).inc_by(count);
    }

    fn labels(self) -> Labels<1> {
        [("consumer", self.0.to_owned())]
    }
}
