//! `endpoints.json`: where everything of a stack listens, and how to get in.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::folder::{Folder, write_atomically};
use super::placeholders;
use crate::exit::Unknown;

/// The whole file. Readable by its owner only: it holds passwords.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoints {
    /// The gateway's base address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// The sandbox's base address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<String>,
    /// Prometheus, when it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<String>,
    /// Every service by name.
    #[serde(default)]
    pub services: BTreeMap<String, ServiceEndpoints>,
    /// Each service's own database, as its own role.
    #[serde(default)]
    pub postgres: BTreeMap<String, String>,
    /// The broker.
    #[serde(default)]
    pub kafka: KafkaEndpoint,
    /// What reads evidence may use: it can read everything and change nothing.
    #[serde(default)]
    pub evidence: EvidenceEndpoints,
    /// Processes that are no service.
    #[serde(default)]
    pub pids: Pids,
}

/// One service. The first instance's addresses are repeated at the top, for scripts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceEndpoints {
    /// gRPC, for those who speak it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc: Option<String>,
    /// HTTP, for those who speak it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
    /// Health and metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin: Option<String>,
    /// A second HTTP address that misbehaviour never closes (sandbox).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control: Option<String>,
    /// The process; 0 while it waits to be started again.
    #[serde(default)]
    pub pid: u32,
    /// All instances.
    #[serde(default)]
    pub instances: Vec<InstanceEndpoints>,
}

/// One instance of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceEndpoints {
    /// Its number, from 1.
    pub instance: u16,
    /// gRPC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc: Option<String>,
    /// HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
    /// Health and metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin: Option<String>,
    /// A second HTTP address that misbehaviour never closes (sandbox).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control: Option<String>,
    /// The process; 0 while it waits to be started again.
    pub pid: u32,
}

/// The broker.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KafkaEndpoint {
    /// `host:port`, comma-separated.
    pub brokers: String,
    /// How to run Kafka's own tools.
    #[serde(default)]
    pub cli: String,
}

/// Read-only ways in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceEndpoints {
    /// Each service's database, as the role that may read all and write nothing.
    #[serde(default)]
    pub postgres: BTreeMap<String, String>,
    /// Kafka as the user that may read and describe everything.
    #[serde(default)]
    pub kafka: KafkaLogin,
}

/// How a client gets into Kafka.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KafkaLogin {
    /// `host:port`, comma-separated.
    pub brokers: String,
    /// The SASL user; none: plaintext.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Its password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// Processes that are no service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pids {
    /// PostgreSQL's first process; none when the server is somebody else's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postgres: Option<u32>,
    /// The brokers.
    #[serde(default)]
    pub kafka: Vec<u32>,
    /// The supervisor.
    #[serde(default)]
    pub supervisor: u32,
}

// === impl Endpoints ===

impl Endpoints {
    /// Reads the file of a data folder.
    ///
    /// # Errors
    /// When no stack runs there, or the file is not what it should be.
    pub fn read(folder: &Folder) -> anyhow::Result<Self> {
        let path = folder.endpoints();
        let shown = path.display();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let shown = folder.root().display();
                return Err(Unknown(format!("nothing runs on {shown}")).into());
            }
            Err(error) => return Err(error).with_context(|| format!("read {shown}")),
        };
        serde_json::from_str(&text).with_context(|| format!("understand {shown}"))
    }

    /// Reads a file that was written for a platform elsewhere, and fills in the secrets it refers to.
    ///
    /// # Errors
    /// When the file is not what it should be, or a secret is not there.
    pub fn read_filled(path: &Path) -> anyhow::Result<Self> {
        let shown = path.display();
        let text = fs::read_to_string(path).with_context(|| format!("read {shown}"))?;
        let mut value =
            serde_json::from_str(&text).with_context(|| format!("understand {shown}"))?;
        placeholders::fill(&mut value).with_context(|| format!("fill in {shown}"))?;
        serde_json::from_value(value).with_context(|| format!("understand {shown}"))
    }

    /// Replaces the file of a data folder.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn write(&self, folder: &Folder) -> anyhow::Result<()> {
        let text = serde_json::to_vec_pretty(self).context("write endpoints as JSON")?;
        write_atomically(&folder.endpoints(), &text, 0o600)
    }
}

// === impl ServiceEndpoints ===

impl ServiceEndpoints {
    /// A service from its instances, which are in the order of their numbers.
    #[must_use]
    pub fn of(instances: Vec<InstanceEndpoints>) -> Self {
        let first = instances.first().cloned().unwrap_or_default();
        Self {
            grpc: first.grpc,
            http: first.http,
            admin: first.admin,
            control: first.control,
            pid: first.pid,
            instances,
        }
    }
}
