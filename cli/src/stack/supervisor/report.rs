//! What the supervisor tells the world: its report and the two files of the data folder.

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::super::endpoints::{InstanceEndpoints, ServiceEndpoints};
use super::super::folder::write_atomically;
use super::super::observe;
use super::super::process::{ProcessIdentity, memory_mib};
use super::Supervisor;

/// How everything is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusReport {
    /// Whether the boot is through and every process is ready.
    pub ready: bool,
    /// What is going on, in words.
    pub phase: String,
    /// Whether everything was ready once since the start.
    pub booted: bool,
    /// The supervisor's own process.
    pub supervisor: u32,
    /// Every process, in the order of starting.
    pub processes: Vec<ProcessReport>,
}

/// How one process is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessReport {
    /// The service.
    pub service: String,
    /// The instance, from 1.
    pub instance: u16,
    /// Its number; 0 while it waits to be started again.
    pub pid: u32,
    /// Its main port, when it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Whether it says that it is ready.
    pub ready: bool,
    /// What it is.
    pub version: String,
    /// What it holds.
    #[serde(rename = "memoryMiB")]
    pub memory_mib: u64,
    /// How often it was started again.
    pub restarts: u32,
    /// How it last ended by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_end: Option<String>,
}

impl Supervisor {
    /// How everything is now.
    pub(super) fn report(&self) -> StatusReport {
        let processes: Vec<ProcessReport> = self
            .plan
            .units
            .iter()
            .flat_map(|unit| self.unit_reports(&unit.name, &unit.version))
            .collect();
        StatusReport {
            ready: self.booted && processes.iter().all(|process| process.ready),
            phase: self.phase.clone(),
            booted: self.booted,
            supervisor: std::process::id(),
            processes,
        }
    }

    /// The same with the memory of each process, which takes a walk through all of `/proc`.
    pub(super) fn measured_report(&self) -> StatusReport {
        let mut report = self.report();
        for process in report
            .processes
            .iter_mut()
            .filter(|process| process.pid != 0)
        {
            process.memory_mib = memory_mib(process.pid);
        }
        report
    }

    fn unit_reports(&self, name: &str, version: &str) -> Vec<ProcessReport> {
        let probes = self.probes.borrow();
        let mine = self.children.iter().filter(|((unit, _), _)| unit == name);
        mine.map(|(key, child)| {
            let pid = child.identity.as_ref().map_or(0, |identity| identity.pid);
            let main = child
                .addresses
                .http
                .as_ref()
                .or(child.addresses.grpc.as_ref());
            ProcessReport {
                service: name.to_owned(),
                instance: key.1,
                pid,
                port: main.and_then(|url| url.rsplit(':').next()?.parse().ok()),
                ready: pid != 0 && probes.ready.get(key) == Some(&pid),
                version: version.to_owned(),
                memory_mib: 0,
                restarts: child.restarts,
                last_end: child.last_end.clone(),
            }
        })
        .collect()
    }

    /// Writes `endpoints.json` and `processes.json`.
    pub(super) fn publish(&self) -> anyhow::Result<()> {
        let identities: Vec<ProcessIdentity> = ProcessIdentity::of(std::process::id())
            .into_iter()
            .chain(
                self.children
                    .values()
                    .filter_map(|child| child.identity.clone()),
            )
            .collect();
        let text = serde_json::to_vec(&identities).context("write processes as JSON")?;
        write_atomically(&self.folder.processes(), &text, 0o644)?;
        let endpoints = self.endpoints();
        observe::tell_targets(&self.folder, &endpoints)?;
        endpoints.write(&self.folder)
    }

    /// Removes what says that something runs.
    pub(super) fn withdraw(&self) {
        for path in [
            self.folder.endpoints(),
            self.folder.processes(),
            self.folder.control_socket(),
        ] {
            if let Err(error) = std::fs::remove_file(&path) {
                tracing::debug!(path = %path.display(), %error, "file was not there to remove");
            }
        }
    }

    fn endpoints(&self) -> super::super::Endpoints {
        let mut endpoints = self.plan.endpoints.clone();
        endpoints.pids.supervisor = std::process::id();
        for unit in &self.plan.units {
            let instances = self.instance_endpoints(&unit.name);
            let pids = instances.iter().map(|instance| instance.pid);
            match unit.name.as_str() {
                "postgres" => endpoints.pids.postgres = pids.clone().next(),
                "kafka" => endpoints.pids.kafka = pids.collect(),
                observe::PROMETHEUS => {
                    endpoints.prometheus = instances.first().and_then(|one| one.http.clone());
                }
                name => {
                    let service = ServiceEndpoints::of(instances);
                    if name == "gateway" {
                        endpoints.gateway.clone_from(&service.http);
                    } else if name == "sandbox" {
                        endpoints.sandbox.clone_from(&service.http);
                    }
                    endpoints.services.insert(name.to_owned(), service);
                }
            }
        }
        endpoints
    }

    fn instance_endpoints(&self, name: &str) -> Vec<InstanceEndpoints> {
        let mine = self.children.iter().filter(|((unit, _), _)| unit == name);
        mine.map(|((_, instance), child)| InstanceEndpoints {
            instance: *instance,
            grpc: child.addresses.grpc.clone(),
            http: child.addresses.http.clone(),
            admin: child.addresses.admin.clone(),
            control: child.addresses.control.clone(),
            pid: child.identity.as_ref().map_or(0, |identity| identity.pid),
        })
        .collect()
    }
}
