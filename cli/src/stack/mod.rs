//! The local stack: PostgreSQL, Kafka, the sandbox and all services as processes of this machine.
//!
//! ```text
//! up ──► supervisor ──► child (one task per process: spawn, wait, back off, spawn again)
//!            ▲  │
//!   control ─┘  └──► endpoints.json, processes.json   (rewritten whole after each change)
//! ```
//!
//! One supervisor owns one data folder. It alone starts processes, always from the thread that
//! lives as long as itself, because the kernel binds the parent-death signal to that thread.
//! Everybody else asks it over the folder's socket or reads `endpoints.json`.

pub mod acl;
pub mod backoff;
pub mod boot;
pub mod child;
pub mod companion;
pub mod control;
pub mod demo;
pub mod detached;
pub mod endpoints;
pub mod folder;
pub mod kafka;
pub mod kafka_files;
pub mod launch;
pub mod leftovers;
pub mod marks;
pub mod observe;
pub mod options;
pub mod placeholders;
pub mod plan;
pub mod ports;
pub mod postgres;
pub mod prepare;
pub mod process;
pub mod readiness;
pub mod roles;
pub mod rotation;
pub mod secrets;
pub mod services;
pub mod supervisor;
pub mod topics;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use tonic::transport::{Channel, Endpoint};

use crate::exit::{Unknown, Usage};

pub use endpoints::Endpoints;
pub use folder::Folder;

/// A running stack, as its data folder describes it.
#[derive(Clone, Debug)]
pub struct Stack {
    folder: Folder,
    elsewhere: Option<PathBuf>,
}

// === impl Stack ===

impl Stack {
    /// The stack of a data folder, running or not.
    #[must_use]
    pub fn new(folder: Folder) -> Self {
        Self {
            folder,
            elsewhere: None,
        }
    }

    /// A stack that runs elsewhere, such as in a cluster, as a file of endpoints describes it.
    #[must_use]
    pub fn elsewhere(folder: Folder, endpoints: PathBuf) -> Self {
        Self {
            folder,
            elsewhere: Some(endpoints),
        }
    }

    /// Fails when the processes are not of this machine, for verbs that start or stop some.
    ///
    /// # Errors
    /// When the stack runs elsewhere.
    pub fn must_be_here(&self, verb: &str) -> anyhow::Result<()> {
        match &self.elsewhere {
            None => Ok(()),
            Some(file) => Err(Usage(format!(
                "`{verb}` is for processes of this machine, but BREWLINE_ENDPOINTS={} names a platform \
                 elsewhere: use that platform's own tool (in Kubernetes kubectl)",
                file.display()
            ))
            .into()),
        }
    }

    /// Whether it runs elsewhere.
    #[must_use]
    pub fn is_elsewhere(&self) -> bool {
        self.elsewhere.is_some()
    }

    /// Its data folder.
    #[must_use]
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Where everything listens now. Read it again after a restart or a change of scale.
    ///
    /// # Errors
    /// When no stack runs on the folder.
    pub fn endpoints(&self) -> anyhow::Result<Endpoints> {
        match &self.elsewhere {
            Some(file) => Endpoints::read_filled(file),
            None => Endpoints::read(&self.folder),
        }
    }

    /// The gateway's base address, without a slash at its end.
    ///
    /// # Errors
    /// When no stack runs on the folder.
    pub fn gateway(&self) -> anyhow::Result<String> {
        let endpoints = self.endpoints()?;
        endpoints
            .gateway
            .ok_or_else(|| Unknown("the gateway does not run".to_owned()).into())
    }

    /// A channel to a service's first instance.
    ///
    /// # Errors
    /// When the service does not run.
    pub fn channel(&self, service: &str) -> anyhow::Result<Channel> {
        let endpoints = self.endpoints()?;
        let url = endpoints
            .services
            .get(service)
            .and_then(|service| service.grpc.clone())
            .ok_or_else(|| Unknown(format!("service {service} does not run or speaks no gRPC")))?;
        let endpoint = Endpoint::from_shared(url.clone()).with_context(|| format!("read {url}"))?;
        Ok(endpoint
            .connect_timeout(Duration::from_secs(2))
            .timeout(Duration::from_secs(30))
            .connect_lazy())
    }
}
