//! Which port belongs to whom: everything follows from one base.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::{anyhow, bail};

use crate::exit::Usage;

/// The base unless told otherwise; the gateway's own port.
pub const PORT_BASE_DEFAULT: u16 = 8080;

/// Where the ports of tests are looked for.
pub const TESTS_BASE: u16 = 28_080;
/// How far apart two stacks are looked for, and how many places are tried.
const STRIDE: u16 = 200;
const TRIES: u16 = 20;

/// So many instances of one service have ports.
pub const INSTANCES_MAX: u16 = 10;

/// Services with a pair of ports per instance, in the order of their ports. Append only: scripts
/// know the numbers.
const PAIRED: [&str; 8] = [
    "order",
    "payment",
    "inventory",
    "gateway",
    "sandbox",
    "barista",
    "notification",
    "leaderboard",
];

const PAIRS_START: u16 = 10;
const PORTS_PER_SERVICE: u16 = 20;

/// The ports of one stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    base: u16,
}

// === impl Ports ===

impl Ports {
    /// All ports from `base` on.
    ///
    /// # Errors
    /// When the last of them would be beyond 65535, or the first below 1024.
    pub fn from_base(base: u16) -> anyhow::Result<Self> {
        if base < 1024 || base.checked_add(COUNT).is_none() {
            let last = u16::MAX - COUNT;
            bail!(Usage(format!(
                "--port-base must be from 1024 to {last}, since {COUNT} ports follow it"
            )));
        }
        Ok(Self { base })
    }

    /// The first base, from `first` on, all of whose ports are free now: several checkouts can be tested
    /// on one machine at the same time.
    ///
    /// # Errors
    /// When there is none near.
    pub fn first_free(first: u16) -> anyhow::Result<u16> {
        let bases = (0..TRIES).map(|n| first.saturating_add(n.saturating_mul(STRIDE)));
        let free = |port: u16| TcpListener::bind(loopback(port)).is_ok();
        bases
            .filter(|base| Self::from_base(*base).is_ok())
            .find(|base| (*base..base + COUNT).all(free))
            .ok_or_else(|| anyhow!("no {COUNT} free ports in a row were found from {first} on"))
    }

    /// The gateway's HTTP port.
    #[must_use]
    pub fn gateway(&self) -> u16 {
        self.base
    }

    /// The sandbox's HTTP port.
    #[must_use]
    pub fn sandbox(&self) -> u16 {
        self.base + 1
    }

    /// PostgreSQL.
    #[must_use]
    pub fn postgres(&self) -> u16 {
        self.base + 2
    }

    /// Kafka's listener for clients.
    #[must_use]
    pub fn kafka(&self) -> u16 {
        self.base + 3
    }

    /// Kafka's controller.
    #[must_use]
    pub fn controller(&self) -> u16 {
        self.base + 4
    }

    /// The sandbox's mail server.
    #[must_use]
    pub fn mail(&self) -> u16 {
        self.base + 5
    }

    /// Prometheus.
    #[must_use]
    pub fn prometheus(&self) -> u16 {
        self.base + 6
    }

    /// The main port (gRPC; HTTP for further gateways) of an instance, counted from 1.
    ///
    /// # Errors
    /// When the service has no ports or the instance is beyond the limit.
    pub fn main(&self, service: &str, instance: u16) -> anyhow::Result<u16> {
        if instance == 0 || instance > INSTANCES_MAX {
            bail!("{service} can have 1 to {INSTANCES_MAX} instances");
        }
        let index = PAIRED
            .iter()
            .position(|name| *name == service)
            .and_then(|index| u16::try_from(index).ok())
            .ok_or_else(|| anyhow!("{service} has no ports"))?;
        Ok(self.base + PAIRS_START + PORTS_PER_SERVICE * index + 2 * (instance - 1))
    }

    /// The admin port of an instance, counted from 1.
    ///
    /// # Errors
    /// As for [`Self::main`].
    pub fn admin(&self, service: &str, instance: u16) -> anyhow::Result<u16> {
        Ok(self.main(service, instance)? + 1)
    }

    /// Fails with one sentence when a port that is about to be used is taken.
    ///
    /// # Errors
    /// When it is.
    pub fn check_free(ports: &[(&str, u16)]) -> anyhow::Result<()> {
        for (what, port) in ports {
            if TcpListener::bind(loopback(*port)).is_err() {
                bail!(
                    "port {port} ({what}) is in use by another program: stop that, or choose \
                     other ports with --port-base"
                );
            }
        }
        Ok(())
    }
}

const PAIRED_COUNT: u16 = 8;

/// How many ports follow a base.
const COUNT: u16 = PAIRS_START + PORTS_PER_SERVICE * PAIRED_COUNT;

/// A port on this machine only.
#[must_use]
pub fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
