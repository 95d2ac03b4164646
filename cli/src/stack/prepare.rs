//! What has to be there before the first process starts: ports, passwords, folders, jars.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{anyhow, bail};
use tokio::time::{Instant, sleep};

use super::acl::{ADMIN, BROKER, OPERATOR, SERVICE_USERS, TEST};
use super::endpoints::{Endpoints, EvidenceEndpoints, KafkaEndpoint, KafkaLogin};
use super::folder::Folder;
use super::kafka::{Broker, Compiler, TopicShape, make_topics};
use super::launch::Launch;
use super::observe;
use super::options::{Extent, StackOptions};
use super::plan::{Addresses, Blueprint, Plan, Probe, Unit};
use super::ports::Ports;
use super::postgres::{self, DATABASES, Durability, Installation, Server, VERIFY_ROLE};
use super::roles;
use super::secrets::Secrets;
use super::services::{SERVICES, Surroundings};
use crate::terminal;

/// Two that claim the same folder are through with their ports long before.
const CLAIM_WITHIN: Duration = Duration::from_millis(300);
const CLAIM_POLL: Duration = Duration::from_millis(20);

/// Everything that has been prepared before the first process starts.
#[derive(Debug)]
pub struct Prepared {
    /// What is kept running.
    pub plan: Plan,
    /// The servers that still have to be given their roles, topics and rights.
    pub servers: Option<Servers>,
}

/// PostgreSQL and Kafka, own or somebody else's.
#[derive(Debug)]
pub struct Servers {
    server: Server,
    broker: Option<Broker>,
    admin: KafkaLogin,
    secrets: Secrets,
    extent: Extent,
}

// === impl Servers ===

impl Servers {
    /// Makes roles and databases.
    ///
    /// # Errors
    /// When PostgreSQL refuses.
    pub async fn provision_postgres(&self) -> anyhow::Result<()> {
        roles::provision(&self.server.super_url, &self.secrets).await
    }

    /// Makes topics, and on an own broker rights.
    ///
    /// # Errors
    /// When Kafka refuses.
    pub async fn provision_kafka(&self) -> anyhow::Result<()> {
        let with_tests = self.extent == Extent::Servers;
        match &self.broker {
            Some(broker) => {
                broker
                    .provision(&self.admin, &self.secrets, with_tests)
                    .await
            }
            None => make_topics(&self.admin, TopicShape::default()).await,
        }
    }
}

/// Checks, fetches and formats all that can be before a process runs.
///
/// # Errors
/// When something is missing or a port is taken.
pub async fn prepare(folder: &Folder, options: &StackOptions) -> anyhow::Result<Prepared> {
    if let Extent::Programs(programs) = &options.extent {
        return Ok(only_programs(folder, programs));
    }
    let ports = Ports::from_base(options.port_base)?;
    check_ports(options, ports)?;
    let with_tests = options.extent == Extent::Servers;
    let secrets = load_secrets(folder, with_tests)?;
    let installation = Installation::find()?;
    terminal::step("preparing PostgreSQL and Kafka");
    let (broker, ()) = tokio::try_join!(
        prepare_kafka(folder, options, ports, &secrets),
        prepare_postgres(&installation, folder, options, ports, &secrets),
    )?;
    let server = match &options.external_postgres {
        Some(url) => Server::external(url)?,
        None => Server::private(ports.postgres(), &secrets),
    };
    let surroundings = surroundings(folder, options, ports, &server, &secrets);
    let mut units = vec![];
    if options.external_postgres.is_none() {
        units.push(installation.unit(folder, ports.postgres()));
    }
    units.extend(broker.as_ref().map(Broker::unit));
    if options.extent == Extent::Whole {
        check_binaries(&options.bin_dir)?;
        units.extend(SERVICES.map(|name| surroundings.unit(name)));
        if let Some(time_scale) = options.observe {
            units.push(observe::unit(folder, ports, time_scale)?);
        }
    }
    let endpoints = fixed_endpoints(&surroundings, &server, &secrets);
    let servers = Servers {
        server,
        broker,
        admin: login(ADMIN, options, ports, &secrets),
        secrets,
        extent: options.extent.clone(),
    };
    Ok(Prepared {
        plan: Plan { units, endpoints },
        servers: Some(servers),
    })
}

/// Makes the data folder. A new one only when nothing speaks against the stack: who mistyped its
/// name finds nothing there.
///
/// # Errors
/// When the folder is somebody else's, something is missing or a port is taken.
pub async fn claim(folder: &Folder, options: &StackOptions) -> anyhow::Result<()> {
    folder.refuse_strangers()?;
    let deadline = Instant::now() + CLAIM_WITHIN;
    // In one that was used before, a killed supervisor may have left processes that still hold the
    // ports: they are ended first, under its lock.
    while !folder.is_ours() {
        match check(options) {
            Ok(()) => break,
            Err(error) if Instant::now() >= deadline => return Err(error),
            // Another `up` on this folder may be trying the same ports just now.
            Err(_) => sleep(CLAIM_POLL).await,
        }
    }
    folder.create()
}

/// What can be told without a folder.
fn check(options: &StackOptions) -> anyhow::Result<()> {
    if matches!(options.extent, Extent::Programs(_)) {
        return Ok(());
    }
    check_ports(options, Ports::from_base(options.port_base)?)?;
    Installation::find()?;
    if options.extent == Extent::Whole {
        check_binaries(&options.bin_dir)?;
    }
    if options.observe.is_some() {
        observe::program()?;
    }
    Ok(())
}

fn check_ports(options: &StackOptions, ports: Ports) -> anyhow::Result<()> {
    let mut wanted = vec![];
    if options.external_postgres.is_none() {
        wanted.push(("PostgreSQL", ports.postgres()));
    }
    if options.external_kafka.is_none() {
        wanted.push(("Kafka", ports.kafka()));
        wanted.push(("Kafka's controller", ports.controller()));
    }
    if options.extent == Extent::Whole {
        wanted.push(("gateway", ports.gateway()));
        wanted.push(("sandbox", ports.sandbox()));
        wanted.push(("sandbox's mailbox", ports.mail()));
        for name in SERVICES {
            wanted.push((name, ports.main(name, 1)?));
            wanted.push((name, ports.admin(name, 1)?));
        }
    }
    if options.observe.is_some() {
        wanted.push(("Prometheus", ports.prometheus()));
    }
    Ports::check_free(&wanted)
}

fn check_binaries(folder: &Path) -> anyhow::Result<()> {
    for name in SERVICES {
        let program = folder.join(format!("brewline-{name}"));
        if !program.is_file() {
            bail!(
                "{} is missing: build it first (./brewline up does)",
                program.display()
            );
        }
    }
    Ok(())
}

fn load_secrets(folder: &Folder, with_tests: bool) -> anyhow::Result<Secrets> {
    let roles = postgres::roles();
    let roles: Vec<&str> = roles.iter().map(String::as_str).collect();
    let mut users = [&SERVICE_USERS[..], &[OPERATOR, ADMIN, BROKER]].concat();
    if with_tests {
        users.push(TEST);
    }
    Secrets::load_or_make(folder, &roles, &users)
}

async fn prepare_kafka(
    folder: &Folder,
    options: &StackOptions,
    ports: Ports,
    secrets: &Secrets,
) -> anyhow::Result<Option<Broker>> {
    if options.external_kafka.is_some() {
        return Ok(None);
    }
    let compiler = match options.extent {
        Extent::Servers => Compiler::Quick,
        Extent::Whole | Extent::Programs(_) => Compiler::Full,
    };
    Broker::prepare(folder, ports, secrets, compiler)
        .await
        .map(Some)
}

async fn prepare_postgres(
    installation: &Installation,
    folder: &Folder,
    options: &StackOptions,
    ports: Ports,
    secrets: &Secrets,
) -> anyhow::Result<()> {
    if options.external_postgres.is_some() {
        return Ok(());
    }
    let durability = match options.extent {
        Extent::Servers => Durability::Crash,
        Extent::Whole | Extent::Programs(_) => Durability::PowerCut,
    };
    installation
        .prepare(folder, ports.postgres(), secrets, durability)
        .await
}

fn surroundings(
    folder: &Folder,
    options: &StackOptions,
    ports: Ports,
    server: &Server,
    secrets: &Secrets,
) -> Rc<Surroundings> {
    let own = DATABASES.map(|name| {
        let role = postgres::database(name);
        (name.to_owned(), server.url(name, &role, secrets))
    });
    let logins = SERVICE_USERS.map(|user| (user.to_owned(), login(user, options, ports, secrets)));
    let mut kafka = BTreeMap::from(logins);
    kafka.insert(
        OPERATOR.to_owned(),
        login(OPERATOR, options, ports, secrets),
    );
    Rc::new(Surroundings {
        folder: folder.clone(),
        ports,
        options: options.clone(),
        postgres: BTreeMap::from(own),
        kafka,
    })
}

fn login(user: &str, options: &StackOptions, ports: Ports, secrets: &Secrets) -> KafkaLogin {
    match &options.external_kafka {
        Some(external) => KafkaLogin {
            brokers: external.brokers.clone(),
            username: external.username.clone(),
            password: external.password.clone(),
        },
        None => KafkaLogin {
            brokers: format!("127.0.0.1:{}", ports.kafka()),
            username: Some(user.to_owned()),
            password: Some(secrets.kafka(user).to_owned()),
        },
    }
}

fn fixed_endpoints(around: &Surroundings, server: &Server, secrets: &Secrets) -> Endpoints {
    let operator = around.kafka.get(OPERATOR).cloned().unwrap_or_default();
    let readable = DATABASES.map(|name| (name.to_owned(), server.url(name, VERIFY_ROLE, secrets)));
    Endpoints {
        postgres: around.postgres.clone(),
        kafka: KafkaEndpoint {
            brokers: operator.brokers.clone(),
            cli: "./brewline kafka TOOL …".to_owned(),
        },
        evidence: EvidenceEndpoints {
            postgres: BTreeMap::from(readable),
            kafka: operator,
        },
        ..Endpoints::default()
    }
}

/// A stack of arbitrary programs, each ready as soon as it runs.
fn only_programs(folder: &Folder, programs: &BTreeMap<String, Vec<String>>) -> Prepared {
    let units = programs.iter().map(|(name, words)| {
        let (folder, name, words) = (folder.clone(), name.clone(), words.clone());
        Unit {
            name: name.clone(),
            instances: 1,
            instances_max: 10,
            version: String::new(),
            blueprint: Rc::new(move |instance| {
                let (program, arguments) = words
                    .split_first()
                    .ok_or_else(|| anyhow!("{name} has no program"))?;
                Ok(Blueprint {
                    launch: Launch::new(program, folder.log(&name, instance))
                        .arguments(arguments.iter().cloned()),
                    addresses: Addresses::default(),
                    probe: Probe::Running,
                })
            }),
        }
    });
    Prepared {
        plan: Plan {
            units: units.collect(),
            endpoints: Endpoints::default(),
        },
        servers: None,
    }
}
