use std::time::Duration;

use brewline_config::{Environment, Variable};

const RELAY_LEASE_MS: Variable = Variable {
    name: "BREWLINE_RELAY_LEASE_MS",
    default: Some("5000"),
    help: "How long a relay may publish without renewing its lease, in milliseconds. 5000: a holder \
           that dies is replaced before people notice, and a pause of the machine seldom costs a lease.",
};

const RELAY_BATCH_ROWS: Variable = Variable {
    name: "BREWLINE_RELAY_BATCH_ROWS",
    default: Some("1000"),
    help: "Outbox rows a relay reads at once. 1000: one round trip and one mark are nothing beside them.",
};

const RELAY_IN_FLIGHT_ROWS_MAX: Variable = Variable {
    name: "BREWLINE_RELAY_IN_FLIGHT_ROWS_MAX",
    default: Some("4000"),
    help: "Rows a relay holds that Kafka has not acknowledged. 4000: some 50 ms of a full load, so \
           that reading, sending and waiting overlap.",
};

const RELAY_DELIVERY_TIMEOUT_MS: Variable = Variable {
    name: "BREWLINE_RELAY_DELIVERY_TIMEOUT_MS",
    default: Some("15000"),
    help: "How long Kafka has to acknowledge a record, in milliseconds; then the relay goes on with a new \
           producer. 15000: longer than a broker takes to start again, so that an outage is mostly waited \
           out, and short enough for a producer that has lost a partition.",
};

const CONSUMER_BATCH_RECORDS_MAX: Variable = Variable {
    name: "BREWLINE_CONSUMER_BATCH_RECORDS_MAX",
    default: Some("500"),
    help: "Records a consumer applies in one transaction. 500: the commit is shared by enough, and \
           the locks are held for a few tens of milliseconds.",
};

const CONSUMER_GAP_WAIT_MS: Variable = Variable {
    name: "BREWLINE_CONSUMER_GAP_WAIT_MS",
    default: Some("30000"),
    help: "How long an event waits for a missing earlier version of its subject before the subject \
           parks, in milliseconds. 30000: longer than a relay takes to change hands.",
};

const CONSUMER_GATHER_MS: Variable = Variable {
    name: "BREWLINE_CONSUMER_GATHER_MS",
    default: Some("50"),
    help: "How long the broker may gather records before it hands them over, in milliseconds; 0 for not at \
           all. 50: nobody sees it in a ticket or a mail, and under load twenty answers a second cost less \
           than hundreds.",
};

/// How the relay works.
#[derive(Clone, Debug)]
pub struct RelaySettings {
    /// `ce_source` of what it publishes, such as `brewline/order`.
    pub source: &'static str,
    /// How many slots this installation has.
    pub slots: u16,
    /// How long it may publish without renewing.
    pub lease: Duration,
    /// Rows read at once.
    pub batch_rows: usize,
    /// Rows held that are not acknowledged.
    pub in_flight_rows_max: usize,
    /// How long Kafka has to acknowledge a record.
    pub delivery_timeout: Duration,
    /// How often it looks without being woken.
    pub poll: Duration,
}

/// How a consumer works.
#[derive(Clone, Copy, Debug)]
pub struct ConsumerSettings {
    /// Records in one transaction.
    pub batch_records_max: usize,
    /// Bytes of bodies in one transaction; a single larger record is a batch of its own.
    pub batch_bytes_max: usize,
    /// How long the broker may gather records before it hands them over.
    pub gather: Duration,
    /// How often a record that stands alone is tried before it becomes a dead letter.
    pub attempts_max: i32,
    /// How long an event waits for a missing earlier version.
    pub gap_wait: Duration,
    /// Parked records of one subject; beyond, the partition pauses.
    pub parked_per_key_max: i64,
    /// Parked records of the consumer; beyond, the partition pauses.
    pub parked_max: i64,
    /// How long the inbox remembers a subject that ended.
    pub inbox_memory: Duration,
    /// How many relay slots this installation has: dead letters are published through them.
    pub outbox_slots: u16,
}

// === impl RelaySettings ===

impl RelaySettings {
    /// The defaults, for tests and tools.
    #[must_use]
    pub const fn new(source: &'static str) -> Self {
        Self {
            source,
            slots: 1,
            lease: Duration::from_secs(5),
            batch_rows: 1_000,
            in_flight_rows_max: 4_000,
            delivery_timeout: Duration::from_secs(15),
            poll: Duration::from_millis(500),
        }
    }

    /// From the environment of the service that is `source`.
    pub fn read(env: &mut Environment, source: &'static str) -> Option<Self> {
        let lease = env.millis(&RELAY_LEASE_MS);
        let batch_rows = env.read(&RELAY_BATCH_ROWS);
        let in_flight_rows_max = env.read(&RELAY_IN_FLIGHT_ROWS_MAX);
        let delivery_timeout = env.millis(&RELAY_DELIVERY_TIMEOUT_MS);
        Some(Self {
            lease: lease?,
            batch_rows: batch_rows?,
            in_flight_rows_max: in_flight_rows_max?,
            delivery_timeout: delivery_timeout?,
            ..Self::new(source)
        })
    }
}

// === impl ConsumerSettings ===

impl Default for ConsumerSettings {
    fn default() -> Self {
        Self {
            batch_records_max: 500,
            batch_bytes_max: 4 << 20,
            gather: Duration::ZERO,
            attempts_max: 3,
            gap_wait: Duration::from_secs(30),
            parked_per_key_max: 1_000,
            parked_max: 100_000,
            inbox_memory: Duration::from_secs(14 * 24 * 3_600),
            outbox_slots: 1,
        }
    }
}

impl ConsumerSettings {
    /// From the environment of a service on an order's way to its confirmation: each record at once.
    pub fn read(env: &mut Environment) -> Option<Self> {
        let batch_records_max = env.read(&CONSUMER_BATCH_RECORDS_MAX);
        let gap_wait = env.millis(&CONSUMER_GAP_WAIT_MS);
        Some(Self {
            batch_records_max: batch_records_max?,
            gap_wait: gap_wait?,
            ..Self::default()
        })
    }

    /// From the environment of a service that nobody waits for: records may gather.
    pub fn read_of_follower(env: &mut Environment) -> Option<Self> {
        let gather = env.millis(&CONSUMER_GATHER_MS);
        let settings = Self::read(env);
        Some(Self {
            gather: gather?,
            ..settings?
        })
    }
}
