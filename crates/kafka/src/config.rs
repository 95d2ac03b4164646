use std::time::Duration;

use brewline_config::{Environment, Secret, Variable};
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

const BROKERS: Variable = Variable {
    name: "BREWLINE_KAFKA_BROKERS",
    default: None,
    help: "Where to find the first broker: host:port, several with commas; ssl://host:port for TLS, whose \
           certificate a known authority must have signed (SSL_CERT_FILE names others).",
};

const USERNAME: Variable = Variable {
    name: "BREWLINE_KAFKA_USERNAME",
    default: None,
    help: "The service's own user (SCRAM-SHA-512). None: no authentication at all.",
};

const PASSWORD: Variable = Variable {
    name: "BREWLINE_KAFKA_PASSWORD",
    default: None,
    help: "The user's password; needed when there is a user.",
};

const SESSION_TIMEOUT: Variable = Variable {
    name: "BREWLINE_KAFKA_SESSION_TIMEOUT_MS",
    default: Some("6000"),
    help: "A consumer silent for this many milliseconds loses its partitions. 6000, the least that a \
           broker allows unless told: what a killed replica held stands still for so long, and an \
           order that waits for stock has 10 s.",
};

const INSTANCE: Variable = Variable {
    name: "BREWLINE_INSTANCE",
    default: None,
    help: "The process's name, such as order-1; the broker sees it as client.id.",
};

/// librdkafka waits up to 10 s between attempts unless told otherwise, which a restart of the broker
/// would cost in full.
const BACKOFF_MS_MAX: &str = "500";
/// A request unanswered for this long breaks its connection: the broker may be frozen.
const SOCKET_TIMEOUT_MS: &str = "10000";

/// What addresses begin with that are spoken to over TLS.
const OVER_TLS: &str = "ssl://";

/// How to reach a cluster.
#[derive(Debug, Clone)]
pub struct Config {
    pub(crate) brokers: String,
    pub(crate) login: Option<Login>,
    pub(crate) session_timeout: Duration,
    pub(crate) client_id: String,
}

#[derive(Debug, Clone)]
pub(crate) struct Login {
    username: String,
    password: Secret<String>,
}

// === impl Config ===

impl Config {
    /// From the environment of a service.
    pub fn read(env: &mut Environment) -> Option<Self> {
        let brokers = env.read::<String>(&BROKERS);
        let username = env.optional::<String>(&USERNAME);
        let login = match username? {
            None => Some(None),
            Some(username) => env
                .secret(&PASSWORD)
                .map(|password| Some(Login { username, password })),
        };
        let session_timeout = env.millis(&SESSION_TIMEOUT);
        let instance = env.optional::<String>(&INSTANCE);
        Some(Self {
            brokers: brokers?,
            login: login?,
            session_timeout: session_timeout?,
            client_id: instance?.unwrap_or_else(|| "brewline".to_owned()),
        })
    }

    /// A cluster without authentication, with default settings.
    pub fn plain(brokers: impl Into<String>) -> Self {
        Self {
            brokers: brokers.into(),
            login: None,
            session_timeout: Duration::from_secs(6),
            client_id: "brewline".to_owned(),
        }
    }

    /// The same, as this user (SCRAM-SHA-512).
    #[must_use]
    pub fn with_login(mut self, username: impl Into<String>, password: impl Into<String>) -> Self {
        self.login = Some(Login {
            username: username.into(),
            password: Secret::new(password.into()),
        });
        self
    }

    /// The same, with another session timeout for consumers.
    #[must_use]
    pub const fn with_session_timeout(mut self, session_timeout: Duration) -> Self {
        self.session_timeout = session_timeout;
        self
    }

    /// The same, under another name in the broker's eyes.
    #[must_use]
    pub fn with_client_id(mut self, client_id: impl Into<String>) -> Self {
        self.client_id = client_id.into();
        self
    }

    /// What all kinds of clients have in common.
    pub(crate) fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client
            .set("bootstrap.servers", self.brokers.replace(OVER_TLS, ""))
            .set("security.protocol", self.protocol())
            .set("client.id", &self.client_id)
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", BACKOFF_MS_MAX)
            .set("retry.backoff.max.ms", BACKOFF_MS_MAX)
            .set("socket.timeout.ms", SOCKET_TIMEOUT_MS)
            .set("socket.keepalive.enable", "true")
            .set("socket.nagle.disable", "true")
            .set("topic.metadata.refresh.interval.ms", "60000")
            .set("statistics.interval.ms", "0")
            .set_log_level(RDKafkaLogLevel::Warning);
        if let Some(Login { username, password }) = &self.login {
            client
                .set("sasl.mechanism", "SCRAM-SHA-512")
                .set("sasl.username", username)
                .set("sasl.password", password.expose());
        }
        client
    }

    /// TLS for all brokers or for none: the addresses of the others are learned from the first.
    fn protocol(&self) -> &'static str {
        match (self.brokers.starts_with(OVER_TLS), &self.login) {
            (false, None) => "PLAINTEXT",
            (false, Some(_)) => "SASL_PLAINTEXT",
            (true, None) => "SSL",
            (true, Some(_)) => "SASL_SSL",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_needs_a_password() {
        let mut env = Environment::from_pairs([
            ("BREWLINE_KAFKA_BROKERS", "127.0.0.1:9092"),
            ("BREWLINE_KAFKA_USERNAME", "order"),
        ]);
        let config = Config::read(&mut env);
        let faults = env.finish(config).unwrap_err().to_string();
        assert!(faults.contains("BREWLINE_KAFKA_PASSWORD"), "{faults}");
    }

    #[test]
    fn the_addresses_say_whether_there_is_tls() {
        let all = "ssl://a:9096,ssl://b:9096";
        let client = Config::plain(all).with_login("order", "x").client();
        assert_eq!(client.get("security.protocol"), Some("SASL_SSL"));
        assert_eq!(client.get("bootstrap.servers"), Some("a:9096,b:9096"));
        let client = Config::plain("a:9092").with_login("order", "x").client();
        assert_eq!(client.get("security.protocol"), Some("SASL_PLAINTEXT"));
        let client = Config::plain("ssl://a:9094").client();
        assert_eq!(client.get("security.protocol"), Some("SSL"));
    }

    #[test]
    fn a_password_is_not_shown() {
        let config = Config::plain("127.0.0.1:9092").with_login("order", "hidden");
        assert!(!format!("{config:?}").contains("hidden"));
    }
}
