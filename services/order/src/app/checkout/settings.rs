use std::time::Duration;

use brewline_config::{Environment, Variable};
use brewline_order_domain::checkout::Policy;
use brewline_saga::driver::TimerSettings;
use brewline_saga::executor::Limits;

/// How checkouts run.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long each thing may take.
    pub policy: Policy,
    /// How long one call to payment may take.
    pub call_timeout: Duration,
    /// How calls are batched.
    pub calls: Limits,
    /// How timers are looked after.
    pub timers: TimerSettings,
}

const RESERVE_MS: Variable = Variable {
    name: "BREWLINE_CHECKOUT_RESERVE_MS",
    default: Some("10000"),
    help: "How long an answer about stock may take, in milliseconds. 10 s: far longer than a healthy \
           inventory needs, short enough for somebody who waits at the counter.",
};

const AUTHORISE_MS: Variable = Variable {
    name: "BREWLINE_CHECKOUT_AUTHORISE_MS",
    default: Some("20000"),
    help: "How long a known authorisation may take, in milliseconds. 20 s: slow banks take several.",
};

const PENDING_MS: Variable = Variable {
    name: "BREWLINE_CHECKOUT_PENDING_MS",
    default: Some("30000"),
    help: "How long an order may be pending in all, in milliseconds. 30 s: the two above together.",
};

const ALERT_MS: Variable = Variable {
    name: "BREWLINE_CHECKOUT_ALERT_MS",
    default: Some("60000"),
    help: "How long a sold or turned-back order may take to close before somebody is told, in \
           milliseconds. 60 s: it waits for others to heal, which a restart should have done by then.",
};

const PARK_MS: Variable = Variable {
    name: "BREWLINE_CHECKOUT_PARK_MS",
    default: Some("600000"),
    help: "How long a call may stay unknown before its saga is parked, in milliseconds. 10 min: longer \
           than any restart, short enough for a person to look into it.",
};

const CALL_TIMEOUT_MS: Variable = Variable {
    name: "BREWLINE_CHECKOUT_CALL_TIMEOUT_MS",
    default: Some("3000"),
    help: "How long one call to payment may take, in milliseconds. 3 s: beyond it the outcome is \
           unknown and asked for again.",
};

const CALL_BATCH_MAX: Variable = Variable {
    name: "BREWLINE_CHECKOUT_CALL_BATCH_MAX",
    default: Some("200"),
    help: "Orders in one call to payment. 200: below payment's limit of 500; larger ones gain nothing.",
};

const CALL_BATCHES_IN_FLIGHT_MAX: Variable = Variable {
    name: "BREWLINE_CHECKOUT_CALL_BATCHES_IN_FLIGHT_MAX",
    default: Some("2"),
    help: "Calls of one kind that may be away at once. 2: one is worked on while the next one fills; \
           more would only make them smaller.",
};

const CALL_QUEUE_MAX: Variable = Variable {
    name: "BREWLINE_CHECKOUT_CALL_QUEUE_MAX",
    default: Some("4096"),
    help: "Calls that may wait in memory. 4096: some seconds at full load; what finds no room is picked \
           up by its timer.",
};

const TIMER_INTERVAL_MS: Variable = Variable {
    name: "BREWLINE_CHECKOUT_TIMER_INTERVAL_MS",
    default: Some("100"),
    help: "How often due timers are looked for, in milliseconds. 100 ms: the first retries come after \
           50 ms, and a look costs a fraction of a millisecond.",
};

const TIMER_BATCH_MAX: Variable = Variable {
    name: "BREWLINE_CHECKOUT_TIMER_BATCH_MAX",
    default: Some("200"),
    help: "Timers that are fired in one transaction. 200: as many as one call takes.",
};

// === impl Settings ===

impl Settings {
    /// Reads the settings.
    pub fn read(env: &mut Environment) -> Option<Self> {
        let policy = policy(env);
        let call_timeout = env.millis(&CALL_TIMEOUT_MS);
        let calls = calls(env);
        let timers = timers(env);
        Some(Self {
            policy: policy?,
            call_timeout: call_timeout?,
            calls: calls?,
            timers: timers?,
        })
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            call_timeout: Duration::from_secs(3),
            calls: Limits {
                queue_calls_max: 4_096,
                batch_calls_max: 200,
                batches_in_flight_max: 2,
            },
            timers: TimerSettings {
                interval: Duration::from_millis(100),
                batch_max: 200,
            },
        }
    }
}

fn policy(env: &mut Environment) -> Option<Policy> {
    let reserve = env.millis(&RESERVE_MS);
    let authorise = env.millis(&AUTHORISE_MS);
    let pending = env.millis(&PENDING_MS);
    let alert = env.millis(&ALERT_MS);
    let park = env.millis(&PARK_MS);
    Some(Policy {
        reserve: reserve?,
        authorise: authorise?,
        pending: pending?,
        alert: alert?,
        park: park?,
    })
}

fn calls(env: &mut Environment) -> Option<Limits> {
    let batch_calls_max = env.read::<usize>(&CALL_BATCH_MAX);
    let batches_in_flight_max = env.read::<usize>(&CALL_BATCHES_IN_FLIGHT_MAX);
    let queue_calls_max = env.read::<usize>(&CALL_QUEUE_MAX);
    Some(Limits {
        batch_calls_max: batch_calls_max?.clamp(1, 500),
        batches_in_flight_max: batches_in_flight_max?.max(1),
        queue_calls_max: queue_calls_max?,
    })
}

fn timers(env: &mut Environment) -> Option<TimerSettings> {
    let interval = env.millis(&TIMER_INTERVAL_MS);
    let batch_max = env.read::<i64>(&TIMER_BATCH_MAX);
    Some(TimerSettings {
        interval: interval?,
        batch_max: batch_max?.max(1),
    })
}
