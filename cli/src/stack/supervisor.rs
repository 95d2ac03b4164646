//! The supervisor: one loop that owns all state; keepers, prober, boot and control speak to it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::interval;

use super::child::{Event, Happened, Keeper, Order};
use super::companion::Companion;
use super::folder::Folder;
use super::options::Terms;
use super::plan::{Addresses, Plan, Probe, Unit};
use super::process::{self, ProcessIdentity};
use super::readiness;
use super::rotation;
use crate::terminal;

mod report;

pub use report::{ProcessReport, StatusReport};

/// Requests that may wait.
const REQUESTS_MAX: usize = 64;
/// Events that may wait; a full queue makes keepers wait, not lose.
const EVENTS_MAX: usize = 256;
const PROBE_INTERVAL_BUSY: Duration = Duration::from_millis(50);
const PROBE_INTERVAL_CALM: Duration = Duration::from_secs(1);

/// Speaks to a supervisor from the same process.
#[derive(Clone, Debug)]
pub struct Handle {
    requests: mpsc::Sender<(Request, oneshot::Sender<Answer>)>,
}

/// What a supervisor can be asked.
#[derive(Clone, Debug)]
pub enum Request {
    /// Start a unit with its planned instances.
    Start(String),
    /// Stop and start again.
    Restart(Target),
    /// Send a signal.
    Signal(Target, Signal),
    /// Have so many instances.
    Scale(String, u16),
    /// Say how everything is, memory included.
    Status,
    /// Say how everything is, quickly: without memory.
    Peek,
    /// Say from now on that this is going on.
    Phase(String),
    /// The boot is through: everything was ready once.
    Booted,
    /// Stop everything and end.
    Down,
}

/// A unit, or one instance of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The unit.
    pub unit: String,
    /// The instance, from 1; none: all.
    pub instance: Option<u16>,
}

/// What comes back: a report, or why not.
pub type Answer = Result<StatusReport, String>;

/// All state of a running stack.
pub struct Supervisor {
    folder: Folder,
    plan: Plan,
    terms: Terms,
    children: BTreeMap<(String, u16), Tracked>,
    keepers: JoinSet<()>,
    events: (mpsc::Sender<Event>, mpsc::Receiver<Event>),
    requests: mpsc::Receiver<(Request, oneshot::Sender<Answer>)>,
    probes: Rc<RefCell<Probes>>,
    phase: String,
    booted: bool,
}

/// What is known about one instance.
struct Tracked {
    orders: mpsc::Sender<Order>,
    identity: Option<ProcessIdentity>,
    addresses: Addresses,
    restarts: u32,
    last_end: Option<String>,
}

/// Shared with the prober: what it asks, and what it last heard.
#[derive(Default)]
struct Probes {
    targets: BTreeMap<(String, u16), (u32, Probe)>,
    ready: BTreeMap<(String, u16), u32>,
}

// === impl Target ===

impl std::str::FromStr for Target {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (unit, instance) = match text.split_once('/') {
            Some((unit, number)) => {
                let number = number
                    .parse()
                    .map_err(|_| anyhow!("write SERVICE or SERVICE/N, not {text:?}"))?;
                (unit, Some(number))
            }
            None => (text, None),
        };
        Ok(Self {
            unit: unit.to_owned(),
            instance,
        })
    }
}

// === impl Handle ===

impl Handle {
    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// When the answer is a no, or the supervisor has ended.
    pub async fn ask(&self, request: Request) -> anyhow::Result<StatusReport> {
        let (reply, answer) = oneshot::channel();
        let ended = || anyhow!("the supervisor has ended");
        let sent = self.requests.send((request, reply)).await;
        sent.map_err(|_| ended())?;
        answer
            .await
            .map_err(|_| ended())?
            .map_err(|why| anyhow!(why))
    }
}

// === impl Supervisor ===

impl std::fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Supervisor({})", self.folder.root().display())
    }
}

impl Supervisor {
    /// A supervisor that has started nothing yet.
    #[must_use]
    pub fn new(folder: Folder, plan: Plan, terms: Terms) -> (Self, Handle) {
        let (sender, requests) = mpsc::channel(REQUESTS_MAX);
        let supervisor = Self {
            folder,
            plan,
            terms,
            children: BTreeMap::new(),
            keepers: JoinSet::new(),
            events: mpsc::channel(EVENTS_MAX),
            requests,
            probes: Rc::default(),
            phase: "starting".to_owned(),
            booted: false,
        };
        (supervisor, Handle { requests: sender })
    }

    /// Runs until it is told to end, then stops everything in order. To be called inside a
    /// `LocalSet` on the process's main thread.
    ///
    /// # Errors
    /// When signals cannot be watched or `endpoints.json` cannot be written.
    pub async fn run(mut self) -> anyhow::Result<()> {
        let mut terminated = signal(SignalKind::terminate()).context("watch SIGTERM")?;
        let mut interrupted = signal(SignalKind::interrupt()).context("watch SIGINT")?;
        let mut hung_up = signal(SignalKind::hangup()).context("watch SIGHUP")?;
        let companion = Companion::of(self.terms.companion);
        let mut rotations = interval(rotation::CHECK_INTERVAL);
        let http = reqwest::Client::builder().no_proxy().build();
        let http = http.context("make an HTTP client")?;
        let mut prober = JoinSet::new();
        prober.spawn_local(probe_forever(Rc::clone(&self.probes), http.clone()));
        let mut questions = JoinSet::new();
        self.publish()?;
        loop {
            tokio::select! {
                Some(event) = self.events.1.recv() => self.observe(event)?,
                Some((request, reply)) = self.requests.recv() => {
                    if matches!(request, Request::Down) {
                        // Answered at once: who asked sees the end by the end of this process.
                        reply.send(Ok(self.report())).ok();
                        break;
                    }
                    if matches!(request, Request::Status) {
                        // A process may have been frozen since the last round: it is asked now.
                        let (probes, http) = (Rc::clone(&self.probes), http.clone());
                        questions.spawn_local(async move {
                            probe_all(&probes, &http).await;
                            reply
                        });
                        continue;
                    }
                    let answer = self.perform(request).map_err(|error| format!("{error:#}"));
                    // Who asked may have gone away; the request was carried out all the same.
                    reply.send(answer).ok();
                }
                Some(Ok(reply)) = questions.join_next() => {
                    reply.send(Ok(self.measured_report())).ok();
                }
                _ = rotations.tick() => rotation::rotate(&self.folder.logs(), rotation::LOG_BYTES_MAX),
                () = companion.ended() => {
                    terminal::note("the process that this stack belongs to has ended");
                    break;
                }
                _ = terminated.recv() => break,
                _ = interrupted.recv() => break,
                _ = hung_up.recv() => break,
            }
        }
        self.drain(&mut terminated, &mut interrupted).await;
        self.withdraw();
        Ok(())
    }

    fn perform(&mut self, request: Request) -> anyhow::Result<StatusReport> {
        match request {
            Request::Start(name) => self.start(&name)?,
            Request::Restart(target) => self.order(&target, Order::Restart)?,
            Request::Signal(target, signal) => self.order(&target, Order::Signal(signal))?,
            Request::Scale(name, instances) => self.scale(&name, instances)?,
            Request::Phase(phase) => self.phase = phase,
            Request::Booted => {
                self.booted = true;
                "running".clone_into(&mut self.phase);
            }
            Request::Status => return Ok(self.measured_report()),
            Request::Peek | Request::Down => {}
        }
        Ok(self.report())
    }

    fn unit(&self, name: &str) -> anyhow::Result<Unit> {
        let mut units = self.plan.units.iter();
        let unit = units.find(|unit| unit.name == name).cloned();
        unit.ok_or_else(|| {
            let names: Vec<&str> = self.plan.units.iter().map(|u| u.name.as_str()).collect();
            anyhow!(
                "there is no service {name} here (there are {})",
                names.join(", ")
            )
        })
    }

    fn start(&mut self, name: &str) -> anyhow::Result<()> {
        let unit = self.unit(name)?;
        for instance in 1..=unit.instances {
            self.start_instance(&unit, instance)?;
        }
        self.publish()
    }

    fn start_instance(&mut self, unit: &Unit, instance: u16) -> anyhow::Result<()> {
        let key = (unit.name.clone(), instance);
        if self.children.contains_key(&key) {
            return Ok(());
        }
        let blueprint = (unit.blueprint)(instance)?;
        let (orders, receiver) = mpsc::channel(8);
        let make = Rc::clone(&unit.blueprint);
        let keeper = Keeper {
            unit: unit.name.clone(),
            instance,
            launch: Rc::new(move || Ok(make(instance)?.launch)),
            backoff: self.terms.backoff(),
            orders: receiver,
            events: self.events.0.clone(),
        };
        self.keepers.spawn_local(keeper.run());
        let targets = &mut self.probes.borrow_mut().targets;
        targets.insert(key.clone(), (0, blueprint.probe));
        let tracked = Tracked {
            orders,
            identity: None,
            addresses: blueprint.addresses,
            restarts: 0,
            last_end: None,
        };
        self.children.insert(key, tracked);
        Ok(())
    }

    fn scale(&mut self, name: &str, instances: u16) -> anyhow::Result<()> {
        let unit = self.unit(name)?;
        if instances == 0 || instances > unit.instances_max {
            bail!("{name} can have 1 to {} instances", unit.instances_max);
        }
        for instance in 1..=instances {
            self.start_instance(&unit, instance)?;
        }
        let surplus: Vec<u16> = self.instances(name).filter(|n| *n > instances).collect();
        for instance in surplus {
            let target = Target {
                unit: name.to_owned(),
                instance: Some(instance),
            };
            self.order(&target, Order::Stop)?;
        }
        self.publish()
    }

    fn instances(&self, name: &str) -> impl Iterator<Item = u16> {
        self.children
            .keys()
            .filter(move |(unit, _)| unit == name)
            .map(|(_, instance)| *instance)
    }

    fn order(&self, target: &Target, order: Order) -> anyhow::Result<()> {
        self.unit(&target.unit)?;
        let mut reached = false;
        for ((unit, instance), child) in &self.children {
            if *unit == target.unit && target.instance.is_none_or(|wanted| wanted == *instance) {
                reached = true;
                let sent = child.orders.try_send(order);
                sent.map_err(|_| anyhow!("{unit}/{instance} is busy with earlier orders"))?;
            }
        }
        if !reached {
            bail!("no such instance of {} runs", target.unit);
        }
        Ok(())
    }

    fn observe(&mut self, event: Event) -> anyhow::Result<()> {
        let key = (event.unit, event.instance);
        let Some(child) = self.children.get_mut(&key) else {
            return Ok(());
        };
        let mut pid = 0;
        match event.what {
            Happened::Started { pid: started } => {
                pid = started;
                child.identity = ProcessIdentity::of(started);
            }
            Happened::Died { how, pause } => {
                let (unit, instance) = &key;
                let millis = pause.as_millis();
                terminal::note(format!(
                    "{unit}/{instance} ended ({how}); starting it again in {millis} ms"
                ));
                child.restarts += 1;
                child.last_end = Some(how);
                child.identity = None;
            }
            Happened::Restarting => {
                child.restarts += 1;
                child.identity = None;
            }
            Happened::Gone => {
                self.children.remove(&key);
                self.probes.borrow_mut().targets.remove(&key);
                self.probes.borrow_mut().ready.remove(&key);
                return self.publish();
            }
        }
        let mut probes = self.probes.borrow_mut();
        probes.ready.remove(&key);
        if let Some(target) = probes.targets.get_mut(&key) {
            target.0 = pid;
        }
        drop(probes);
        self.publish()
    }

    /// Stops units in the opposite order of starting, each within its grace. A second signal
    /// stops the waiting: everything is killed at once.
    async fn drain(
        &mut self,
        terminated: &mut tokio::signal::unix::Signal,
        interrupted: &mut tokio::signal::unix::Signal,
    ) {
        let names: Vec<String> = self
            .plan
            .units
            .iter()
            .rev()
            .map(|u| u.name.clone())
            .collect();
        for name in names {
            self.phase = format!("stopping {name}");
            let targets: Vec<u16> = self.instances(&name).collect();
            if targets.is_empty() {
                continue;
            }
            terminal::note(format!("stopping {name}"));
            for instance in targets {
                if let Some(child) = self.children.get(&(name.clone(), instance)) {
                    // A full queue of earlier orders must not keep the stop out.
                    child.orders.send(Order::Stop).await.ok();
                }
            }
            tokio::select! {
                () = self.await_stopped(&name) => {}
                _ = terminated.recv() => return self.kill_everything(),
                _ = interrupted.recv() => return self.kill_everything(),
            }
        }
    }

    /// Bounded by each keeper's own grace.
    async fn await_stopped(&mut self, name: &str) {
        loop {
            if self.instances(name).next().is_none() {
                return;
            }
            tokio::select! {
                Some(event) = self.events.1.recv() => {
                    if let Err(error) = self.observe(event) {
                        tracing::warn!(%error, "endpoints were not written");
                    }
                }
                // Status is still answered, everything else comes too late.
                Some((request, reply)) = self.requests.recv() => {
                    let answer = match request {
                        Request::Status | Request::Peek => Ok(self.report()),
                        Request::Start(_)
                        | Request::Restart(_)
                        | Request::Signal(..)
                        | Request::Scale(..)
                        | Request::Phase(_)
                        | Request::Booted
                        | Request::Down => Err("the stack is being stopped".to_owned()),
                    };
                    reply.send(answer).ok();
                }
            }
        }
    }

    fn kill_everything(&self) {
        for child in self.children.values() {
            if let Some(identity) = &child.identity {
                process::signal_tree(identity.pid, Signal::KILL);
                process::kill_group(identity.pid);
            }
        }
    }
}

/// Asks every process, often while one is not ready and rarely when all are.
async fn probe_forever(probes: Rc<RefCell<Probes>>, http: reqwest::Client) {
    loop {
        probe_all(&probes, &http).await;
        let pause = {
            let shared = probes.borrow();
            if shared.ready.len() == shared.targets.len() && !shared.targets.is_empty() {
                PROBE_INTERVAL_CALM
            } else {
                PROBE_INTERVAL_BUSY
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// Asks every process once, all at the same time, each bounded, and keeps the answers.
async fn probe_all(probes: &RefCell<Probes>, http: &reqwest::Client) {
    let targets = probes.borrow().targets.clone();
    let asked = targets.into_iter().filter(|(_, (pid, _))| *pid != 0);
    let answers = asked.map(|(key, (pid, probe))| async move {
        (key, pid, readiness::is_ready(http, &probe).await)
    });
    let answers = futures_util::future::join_all(answers).await;
    let mut shared = probes.borrow_mut();
    for (key, pid, ready) in answers {
        // An answer of a process that has died meanwhile says nothing about the next one.
        let current = shared.targets.get(&key).is_some_and(|(now, _)| *now == pid);
        if current && ready {
            shared.ready.insert(key, pid);
        } else {
            shared.ready.remove(&key);
        }
    }
}
