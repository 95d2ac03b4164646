//! What `up` was asked for, in the form that is handed to a detached supervisor.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::anyhow;
use serde::{Deserialize, Serialize};

use super::backoff::RestartBackoff;
use super::services::SERVICES;

/// 5 s: long enough that a process which dies at once costs its machine little.
pub const RESTART_PAUSE_MS_MAX_DEFAULT: u64 = 5_000;

/// Everything a supervisor has to know besides its data folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackOptions {
    /// The first port.
    pub port_base: u16,
    /// Where the services' binaries are.
    pub bin_dir: PathBuf,
    /// More environment for a service.
    pub environment: Vec<ServiceVariable>,
    /// What is started.
    pub extent: Extent,
    /// A server of PostgreSQL that is used instead of an own one, as a super-user's URL.
    pub external_postgres: Option<String>,
    /// Brokers that are used instead of an own one.
    pub external_kafka: Option<ExternalKafka>,
    /// How it is kept running.
    #[serde(default)]
    pub terms: Terms,
    /// Prometheus beside it, with windows so many times shorter; none: no Prometheus.
    #[serde(default)]
    pub observe: Option<u32>,
}

/// How patiently a stack is kept running, and for how long.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The longest pause before a process that died is started again, in milliseconds.
    pub restart_pause_ms_max: u64,
    /// The process with which the stack ends; none: it runs until it is told to stop.
    pub companion: Option<u32>,
}

/// How much of the stack is started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Extent {
    /// Servers and services.
    #[default]
    Whole,
    /// PostgreSQL and Kafka alone, with a Kafka user for tests.
    Servers,
    /// Only these programs, by name with their arguments. For tests of the supervisor itself.
    Programs(BTreeMap<String, Vec<String>>),
}

/// Brokers of somebody else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExternalKafka {
    /// `host:port`, comma-separated.
    pub brokers: String,
    /// The SASL user that may do everything; none: plaintext.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<String>,
}

/// One variable for one service, as `SERVICE:KEY=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceVariable {
    /// The service; `*`: all.
    pub service: String,
    /// The variable's name.
    pub name: String,
    /// Its value.
    pub value: String,
}

// === impl Terms ===

impl Default for Terms {
    fn default() -> Self {
        Self {
            restart_pause_ms_max: RESTART_PAUSE_MS_MAX_DEFAULT,
            companion: None,
        }
    }
}

impl Terms {
    /// Those of a stack that ends with this very process, however this one ends.
    #[must_use]
    pub fn of_this_process() -> Self {
        Self {
            companion: Some(std::process::id()),
            ..Self::default()
        }
    }

    /// The pauses before a restart.
    #[must_use]
    pub fn backoff(&self) -> RestartBackoff {
        RestartBackoff::up_to(Duration::from_millis(self.restart_pause_ms_max))
    }
}

// === impl ServiceVariable ===

impl std::str::FromStr for ServiceVariable {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let malformed = || anyhow!("write SERVICE:KEY=VALUE (SERVICE may be *), not {text:?}");
        let (service, assignment) = text.split_once(':').ok_or_else(malformed)?;
        let (name, value) = assignment.split_once('=').ok_or_else(malformed)?;
        if service.is_empty() || name.is_empty() {
            return Err(malformed());
        }
        if service != "*" && !SERVICES.contains(&service) {
            let known = SERVICES.join(", ");
            return Err(anyhow!(
                "there is no service {service} (there are {known}, and * for all)"
            ));
        }
        Ok(Self {
            service: service.to_owned(),
            name: name.to_owned(),
            value: value.to_owned(),
        })
    }
}

impl ServiceVariable {
    /// Whether it is meant for a service.
    #[must_use]
    pub fn is_for(&self, service: &str) -> bool {
        self.service == "*" || self.service == service
    }
}
