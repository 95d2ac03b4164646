//! What a supervisor keeps running: units in the order in which they start.

use std::rc::Rc;

use super::endpoints::Endpoints;
use super::launch::Launch;

/// Everything a supervisor may start.
#[derive(Debug, Default)]
pub struct Plan {
    /// In the order of starting; they are stopped in the opposite one.
    pub units: Vec<Unit>,
    /// What `endpoints.json` says whatever runs.
    pub endpoints: Endpoints,
}

/// One kind of process with its instances.
#[derive(Clone)]
pub struct Unit {
    /// Its name (`order`, `kafka`).
    pub name: String,
    /// So many instances are started.
    pub instances: u16,
    /// At most so many can run.
    pub instances_max: u16,
    /// What it is, beside brewline's version.
    pub version: String,
    /// How instance `n`, counted from 1, is made. Asked again before every start, so that a later
    /// start can use what an earlier one left behind.
    pub blueprint: Rc<dyn Fn(u16) -> anyhow::Result<Blueprint>>,
}

/// One instance to be.
#[derive(Clone, Debug)]
pub struct Blueprint {
    /// How it starts.
    pub launch: Launch,
    /// Where it will listen.
    pub addresses: Addresses,
    /// How it is asked whether it is ready.
    pub probe: Probe,
}

/// Where an instance listens, as URLs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// gRPC.
    pub grpc: Option<String>,
    /// HTTP.
    pub http: Option<String>,
    /// Health and metrics.
    pub admin: Option<String>,
    /// A second HTTP address that misbehaviour never closes (sandbox).
    pub control: Option<String>,
}

/// How an instance is asked whether it is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// It is as soon as it runs.
    Running,
    /// `GET` of this URL answers 200.
    Http(String),
    /// A broker at this port answers a request of its protocol.
    Kafka(u16),
    /// A server at this port asks clients for their password.
    Postgres(u16),
}

// === impl Unit ===

impl std::fmt::Debug for Unit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unit")
            .field("name", &self.name)
            .field("instances", &self.instances)
            .finish_non_exhaustive()
    }
}
