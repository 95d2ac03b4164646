use std::time::Duration;

use brewline_config::{Environment, Variable};
use tokio_postgres::config::TargetSessionAttrs;

use crate::Error;
use crate::tls::Tls;

/// Where the database is.
const URL: Variable = Variable {
    name: "BREWLINE_POSTGRES_URL",
    default: None,
    help: "The service's own database: postgres://user:password@host:port/database. Over TLS with \
           ?sslmode=require, and &sslrootcert=FILE for roots other than the system's; the server's \
           certificate and name are then verified.",
};

/// How many connections the pool may hold.
const POOL_SIZE: Variable = Variable {
    name: "BREWLINE_POSTGRES_POOL_SIZE",
    default: Some("6"),
    help: "Connections per process. 6, because work is batched: a few transactions at a time keep \
           two cores busy, and PostgreSQL pays for each connection.",
};

/// How far apart the batches of one loop begin.
const BATCH_INTERVAL_MS: Variable = Variable {
    name: "BREWLINE_POSTGRES_BATCH_INTERVAL_MS",
    default: Some("5"),
    help: "The least time from the beginning of one batch to that of the next in the same loop, in \
           milliseconds. 5: at half load a commit is shared by several orders instead of one, and \
           an order, which passes some eight loops, settles within 40 ms. 0 turns it off.",
};

/// The name the sessions carry.
const INSTANCE: Variable = Variable {
    name: "BREWLINE_INSTANCE",
    default: None,
    help: "The process's name, such as order-1; the sessions carry it as application_name.",
};

/// The server gives a statement up after this: longer work belongs into smaller batches.
const STATEMENT_TIMEOUT_MS: u32 = 30_000;
/// A lock not had by then is held by something stuck; better to fail and try again.
const LOCK_TIMEOUT_MS: u32 = 10_000;
/// A client frozen inside a transaction holds back every relay's horizon; the server ends it.
const IDLE_IN_TRANSACTION_TIMEOUT_MS: u32 = 60_000;

/// The longest a caller waits for a free connection before it is told that there is none.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest that opening one connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Silence on an idle socket after which the kernel asks whether the other side still lives.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(3);
const KEEPALIVE_RETRIES: u32 = 3;
/// Bytes sent and not acknowledged for this long break the connection: a half-open socket else
/// waits for ever.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(15);
/// Above the server's own limit for a statement, so that it only bites when the server is silent.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(35);

/// How to reach one database, with the session settings every connection gets.
#[derive(Debug, Clone)]
pub struct Config {
    pub(crate) session: tokio_postgres::Config,
    pub(crate) tls: Tls,
    pub(crate) pool_size: usize,
    pub(crate) acquire_timeout: Duration,
    pub(crate) answer_timeout: Duration,
    pub(crate) batch_interval: Duration,
}

// === impl Config ===

impl Config {
    /// From the environment of a service.
    pub fn read(env: &mut Environment) -> Option<Self> {
        let url = env.secret(&URL);
        let pool_size = env.read::<usize>(&POOL_SIZE);
        let batch_interval = env.millis(&BATCH_INTERVAL_MS);
        let instance = env.optional::<String>(&INSTANCE);
        match Self::from_url(url?.expose(), pool_size?) {
            Ok(config) => {
                let config = config.index_lookups().batches_apart(batch_interval?);
                Some(match instance? {
                    Some(instance) => config.named(&instance),
                    None => config,
                })
            }
            Err(error) => {
                // The error names the part that is wrong, never the password.
                env.fault(format!("{}: {error}", URL.name));
                None
            }
        }
    }

    /// From a URL, for tests and tools.
    ///
    /// # Errors
    /// When the text is no such URL, or the roots it names cannot be read.
    pub fn from_url(url: &str, pool_size: usize) -> Result<Self, Error> {
        let (url, tls) = Tls::of_url(url)?;
        let mut session: tokio_postgres::Config = url.parse().map_err(Error::Url)?;
        let given = session.get_options().unwrap_or_default().to_owned();
        // What the URL says comes last and wins.
        session.options(format!(
            "-c statement_timeout={STATEMENT_TIMEOUT_MS} -c lock_timeout={LOCK_TIMEOUT_MS} \
             -c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_TIMEOUT_MS} {given}"
        ));
        if session.get_application_name().is_none() {
            session.application_name(format!("brewline-{}", std::process::id()));
        }
        session
            .keepalives(true)
            .keepalives_idle(KEEPALIVE_IDLE)
            .keepalives_interval(KEEPALIVE_INTERVAL)
            .keepalives_retries(KEEPALIVE_RETRIES)
            .tcp_user_timeout(TCP_USER_TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            // After a failover the old primary may still answer, read-only: never settle there.
            .target_session_attrs(TargetSessionAttrs::ReadWrite);
        Ok(Self {
            session,
            tls,
            pool_size: pool_size.max(1),
            acquire_timeout: ACQUIRE_TIMEOUT,
            answer_timeout: ANSWER_TIMEOUT,
            batch_interval: Duration::ZERO,
        })
    }

    /// The same with another `application_name`.
    #[must_use]
    pub fn named(mut self, instance: &str) -> Self {
        self.session.application_name(instance);
        self
    }

    /// The same with another limit on the wait for a free connection (5 s unless told).
    #[must_use]
    pub const fn acquire_within(mut self, acquire_timeout: Duration) -> Self {
        self.acquire_timeout = acquire_timeout;
        self
    }

    /// The same with another limit on the wait for an answer, after which the connection counts as
    /// broken (35 s unless told: a little above the server's own limit for one statement).
    #[must_use]
    pub const fn answer_within(mut self, answer_timeout: Duration) -> Self {
        self.answer_timeout = answer_timeout;
        self
    }

    /// The same with batches of one loop beginning at least so far apart (not at all unless told).
    #[must_use]
    pub const fn batches_apart(mut self, batch_interval: Duration) -> Self {
        self.batch_interval = batch_interval;
        self
    }

    /// The same for a service, whose statements all find their rows by index. Two things the planner
    /// would do by itself cost more than they bring:
    ///
    /// * A batch comes in arrays, and their lengths make a plan of its own look better for each
    ///   execution; planning then costs as much as running.
    /// * A plan made while the tables are still empty reads them whole, and goes on to do so until the
    ///   first analyse, a minute of full load later.
    #[must_use]
    fn index_lookups(mut self) -> Self {
        let given = self.session.get_options().unwrap_or_default().to_owned();
        // Without `jit = off`, a statement that has no index to use would count as dear enough to be
        // compiled.
        self.session.options(format!(
            "-c plan_cache_mode=force_generic_plan -c jit=off -c enable_seqscan=off \
             -c enable_hashjoin=off -c enable_mergejoin=off {given}"
        ));
        self
    }

    /// The most connections the pool may hold.
    #[must_use]
    pub const fn pool_size(&self) -> usize {
        self.pool_size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        let config = Config::from_url("postgres://u:hidden@127.0.0.1:1/d", 2).unwrap();
        assert!(!format!("{config:?}").contains("hidden"));
    }

    #[test]
    fn options_of_the_url_win() {
        let url = "postgres://u@127.0.0.1:1/d?options=-c%20lock_timeout%3D1";
        let config = Config::from_url(url, 2).unwrap();
        let options = config.session.get_options().unwrap();
        assert!(options.ends_with("-c lock_timeout=1"), "{options}");
        assert!(
            options.starts_with("-c statement_timeout=30000"),
            "{options}"
        );
    }

    #[test]
    fn a_malformed_url_is_a_fault_among_others() {
        let mut env = Environment::from_pairs([
            ("BREWLINE_POSTGRES_URL", "postgres://u@h:notaport/d"),
            ("BREWLINE_POSTGRES_POOL_SIZE", "many"),
        ]);
        let config = Config::read(&mut env);
        let faults = env.finish(config).unwrap_err().to_string();
        assert!(faults.contains("BREWLINE_POSTGRES_POOL_SIZE"), "{faults}");
    }
}
