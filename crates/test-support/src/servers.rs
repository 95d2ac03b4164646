use brewline_config::{Environment, Variable};
use brewline_kafka as kafka;

const POSTGRES_URL: Variable = Variable {
    name: "BREWLINE_TEST_POSTGRES_URL",
    default: None,
    help: "A superuser's URL of a maintenance database.",
};
const KAFKA_BROKERS: Variable = Variable {
    name: "BREWLINE_TEST_KAFKA_BROKERS",
    default: None,
    help: "host:port of a broker.",
};
const KAFKA_USERNAME: Variable = Variable {
    name: "BREWLINE_TEST_KAFKA_USERNAME",
    default: None,
    help: "A user who owns the prefix `test.`, when the broker wants one.",
};
const KAFKA_PASSWORD: Variable = Variable {
    name: "BREWLINE_TEST_KAFKA_PASSWORD",
    default: None,
    help: "That user's password.",
};

/// The URL of the test server's maintenance database.
///
/// # Panics
/// When no server was given.
#[must_use]
#[allow(
    clippy::panic,
    reason = "a test without a server fails with this sentence"
)]
pub fn postgres_url() -> String {
    given(&POSTGRES_URL).unwrap_or_else(|| panic!("{}", missing(&POSTGRES_URL)))
}

/// How to reach the test broker.
///
/// # Panics
/// When no broker was given.
#[must_use]
#[allow(
    clippy::panic,
    reason = "a test without a server fails with this sentence"
)]
pub fn kafka() -> kafka::Config {
    let brokers = given(&KAFKA_BROKERS).unwrap_or_else(|| panic!("{}", missing(&KAFKA_BROKERS)));
    let config = kafka::Config::plain(brokers);
    match (given(&KAFKA_USERNAME), given(&KAFKA_PASSWORD)) {
        (Some(username), Some(password)) => config.with_login(username, password),
        _ => config,
    }
}

fn given(variable: &Variable) -> Option<String> {
    Environment::from_process()
        .optional::<String>(variable)
        .flatten()
}

fn missing(variable: &Variable) -> String {
    let name = variable.name;
    format!("{name} is not set: run this test through `./brewline test`, which starts the servers")
}
