use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;

/// The same complaint is logged once in this time: a client without a broker repeats itself several
/// times a second.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// How a client stands with its brokers. A wrong password, say, shows nowhere else: records just time
/// out. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub struct Connection(Arc<State>);

#[derive(Debug, Default)]
struct State {
    broken: AtomicBool,
    complaint: Mutex<Option<Complaint>>,
}

#[derive(Debug)]
struct Complaint {
    text: Arc<str>,
    /// Whether it says why, and not only that no broker is to be reached.
    is_cause: bool,
    logged: Instant,
    unlogged: u32,
}

// === impl Connection ===

impl Connection {
    /// Whether no trouble is known: nothing was complained of since the last thing that worked.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        !self.0.broken.load(Ordering::Relaxed)
    }

    /// What the client complained of last, unless something has worked since.
    #[must_use]
    pub fn last_error(&self) -> Option<Arc<str>> {
        if self.is_sound() {
            return None;
        }
        self.complaint()
            .as_ref()
            .map(|complaint| Arc::clone(&complaint.text))
    }

    /// Something worked. Called for every acknowledgement and record, so it costs one load.
    pub(crate) fn works(&self) {
        if self.0.broken.load(Ordering::Relaxed) && self.0.broken.swap(false, Ordering::Relaxed) {
            tracing::info!("the Kafka client works again");
        }
    }

    fn complain(&self, error: &KafkaError, reason: &str) {
        let stands = self.0.broken.swap(true, Ordering::Relaxed);
        let is_cause = is_cause(error);
        let mut complaint = self.complaint();
        let known = complaint.take().filter(|_| stands);
        let recent = known.filter(|known| known.logged.elapsed() < LOG_INTERVAL);
        let text: Arc<str> = format!("{error}: {reason}").into();
        *complaint = Some(match recent {
            // A wrong password is followed by "all brokers are down": keep the one that says why.
            Some(known) if known.is_cause || !is_cause => Complaint {
                text: if known.is_cause && !is_cause {
                    known.text
                } else {
                    text
                },
                unlogged: known.unlogged.saturating_add(1),
                ..known
            },
            known => {
                let unlogged = known.map_or(0, |known| known.unlogged);
                tracing::warn!(%error, reason, unlogged, "the Kafka client has trouble");
                Complaint {
                    text,
                    is_cause,
                    logged: Instant::now(),
                    unlogged: 0,
                }
            }
        });
    }

    fn complaint(&self) -> MutexGuard<'_, Option<Complaint>> {
        self.0
            .complaint
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Connection {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning => tracing::debug!(facility, "librdkafka: {message}"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
                tracing::trace!(facility, "librdkafka: {message}");
            }
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // A single broker that closes an idle connection is routine; the client opens it again.
        match error.rdkafka_error_code() {
            Some(Code::BrokerTransportFailure) if self.is_sound() => {
                tracing::debug!(%error, reason, "a connection to a broker ended");
            }
            _ => self.complain(&error, reason),
        }
    }
}

fn is_cause(error: &KafkaError) -> bool {
    !matches!(
        error.rdkafka_error_code(),
        Some(Code::AllBrokersDown | Code::BrokerTransportFailure | Code::OperationTimedOut)
    )
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.last_error().as_deref().unwrap_or("no trouble known"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_stands_until_something_works() {
        let connection = Connection::default();
        assert!(connection.is_sound() && connection.last_error().is_none());
        connection.error(
            KafkaError::Global(Code::AllBrokersDown),
            "1/1 brokers are down",
        );
        assert!(
            connection
                .last_error()
                .unwrap()
                .contains("1/1 brokers are down")
        );
        connection.works();
        assert!(connection.is_sound() && connection.last_error().is_none());
    }

    #[test]
    fn a_complaint_that_says_why_is_not_hidden_by_its_consequence() {
        let connection = Connection::default();
        connection.error(
            KafkaError::Global(Code::AllBrokersDown),
            "1/1 brokers are down",
        );
        connection.error(KafkaError::Global(Code::Authentication), "wrong password");
        connection.error(
            KafkaError::Global(Code::AllBrokersDown),
            "1/1 brokers are down",
        );
        assert!(connection.last_error().unwrap().contains("wrong password"));
        connection.works();
        connection.error(
            KafkaError::Global(Code::AllBrokersDown),
            "1/1 brokers are down",
        );
        assert!(
            connection
                .last_error()
                .unwrap()
                .contains("1/1 brokers are down")
        );
    }
}
