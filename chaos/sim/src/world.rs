//! The world: a clock, what is going to happen, and everybody to whom it happens.
//!
//! Nothing runs by itself. Whatever is to happen is an [`Event`] at an instant; the earliest one
//! happens next, and what follows from it is put into the same queue. Two replicas of each service
//! run the pure cores; between them and their databases, the log, the card processor and the customers
//! there are delays, losses, crashes and pauses, all drawn from the seed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use brewline_kernel::{Envelope, OrderId, Timestamp};
use brewline_order_domain::checkout::Checkout;
use brewline_payment_domain::{KeyLifetime, Request};
use uuid::{Builder, Uuid};

use crate::broker::{Log, Outgoing, Service};
use crate::clients::{Client, ClientStep};
use crate::process::{Pid, Process, Step};
use crate::processor::{Card, Processor};
use crate::random::Random;
use crate::store::Store;
use crate::trace::{Coverage, Trace};

/// A millisecond on the world's clock.
pub const MS: i64 = 1_000;
/// A second on the world's clock.
pub const SECOND: i64 = 1_000_000;
/// When the world begins: 2027-01-15T08:00:00Z, in microseconds since 1970.
const DAWN: i64 = 1_800_000_000_000_000;

/// Something that is going to happen.
#[derive(Debug)]
pub enum Event {
    /// To a process, if it still is the same one by then.
    Step(Pid, u32, Step),
    /// To a customer.
    Client(usize, ClientStep),
    /// A record reaches the broker.
    Append(Box<Flight>),
    /// A request reaches the card processor.
    Ask(Box<Question>),
    /// Something breaks.
    Fault,
    /// A process starts.
    Start(Pid),
    /// The group of a service's consumer divides its partitions anew.
    Rebalance(Service),
    /// Somebody fills a shelf.
    Restock,
    /// The barista looks at an order.
    Barista(OrderId),
}

/// A record on its way from a relay to the broker.
#[derive(Debug)]
pub struct Flight {
    /// Names it, so that a purge can stop it.
    pub id: u64,
    /// Whose it is.
    pub from: (Pid, u32),
    /// The relay's epoch.
    pub epoch: i64,
    /// The relay's name for it.
    pub ticket: brewline_messaging::relay::core::Ticket,
    /// The record.
    pub event: Outgoing,
}

/// A request on its way from a payment process to the card processor.
#[derive(Debug)]
pub struct Question {
    /// Whose it is.
    pub from: (Pid, u32),
    /// The process's name for it.
    pub id: u64,
    /// The request.
    pub request: Request,
    /// The key it is made under.
    pub key: Option<String>,
}

/// What differs from seed to seed.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// How many orders are tried.
    pub orders: usize,
    /// For how long things break, in microseconds.
    pub storm: i64,
    /// The longest time between two faults.
    pub fault_every_max: i64,
    /// How often, of a thousand, a commit goes wrong.
    pub commit_trouble: i64,
    /// How often, of a thousand, a commit takes seconds.
    pub slow_commit: i64,
    /// How often, of a thousand, a message gets lost on its way.
    pub loss: i64,
    /// How often, of a thousand, a request takes effect late.
    pub late: i64,
    /// How the checkout is set.
    pub checkout: Checkout,
    /// How long the card processor remembers a key, in microseconds.
    pub key_lifetime: i64,
}

/// Everything there is.
#[derive(Debug)]
pub struct World {
    /// Microseconds since the beginning.
    pub now: i64,
    /// The one source of chance.
    pub random: Random,
    /// What happened.
    pub trace: Trace,
    /// What was reached.
    pub coverage: Coverage,
    /// What differs from seed to seed.
    pub setup: Setup,
    /// Nothing breaks any more.
    pub calm: bool,
    /// The databases.
    pub stores: BTreeMap<Service, Store>,
    /// The log.
    pub log: Log,
    /// The card processor.
    pub processor: Processor,
    /// The customers.
    pub clients: Vec<Client>,
    /// What the customers wrote down.
    pub journal: Vec<brewline_chaos::history::Line>,
    /// The card of each order, as its checkout's row holds it.
    pub cards: BTreeMap<OrderId, Card>,
    /// The replicas.
    pub processes: BTreeMap<Pid, Process>,
    /// Which replica the group gave each partition.
    pub owners: BTreeMap<(Service, i32), u8>,
    /// Flights that a purge stopped.
    pub purged: BTreeSet<u64>,
    /// Flights that outlive their sender, and take their time.
    pub late: BTreeSet<u64>,
    /// Contradictions that a core refused to swallow.
    pub broken: Vec<String>,
    queue: BTreeMap<(i64, u64), Event>,
    names: u64,
}

// === impl Setup ===

impl Setup {
    /// The size of a world and how bad things get there: from hardly at all to very.
    #[must_use]
    pub fn draw(random: &mut Random) -> Self {
        let mut checkout = Checkout::default();
        // A look-up that finds nothing has to be followed by the request while its answer is fresh, so
        // half a key's lifetime must be longer than the longest pause between two attempts.
        let mut lifetime = random.between(12, 60);
        if random.chance(200) {
            checkout.policy.park = Duration::from_secs(3);
            lifetime = random.between(70, 100);
        }
        let trouble = random.between(0, 3);
        Self {
            orders: usize::try_from(random.between(5, 16)).unwrap_or(5),
            storm: random.between(8, 40) * SECOND,
            fault_every_max: random.between(1, 8) * SECOND,
            commit_trouble: trouble * random.between(0, 12),
            slow_commit: random.between(0, 25),
            loss: trouble * random.between(0, 20),
            late: random.between(0, 150),
            checkout,
            key_lifetime: lifetime * SECOND,
        }
    }

    /// The card processor's promise, as payment knows it.
    #[must_use]
    pub fn lifetime(&self) -> KeyLifetime {
        KeyLifetime::new(Duration::from_micros(
            u64::try_from(self.key_lifetime).unwrap_or(0),
        ))
    }
}

// === impl World ===

impl World {
    /// The world of `seed`, before anything has happened.
    #[must_use]
    pub fn new(seed: u64, keep_trace: bool) -> Self {
        let mut random = Random::new(seed);
        let setup = Setup::draw(&mut random);
        let stores = Service::ALL.map(|service| (service, Store::new(service)));
        let mut world = Self {
            now: 0,
            random,
            trace: Trace::new(keep_trace),
            coverage: Coverage::default(),
            setup,
            calm: false,
            stores: stores.into(),
            log: Log::new(),
            processor: Processor::default(),
            clients: Vec::new(),
            journal: Vec::new(),
            cards: BTreeMap::new(),
            processes: BTreeMap::new(),
            owners: BTreeMap::new(),
            purged: BTreeSet::new(),
            late: BTreeSet::new(),
            broken: Vec::new(),
            queue: BTreeMap::new(),
            names: 0,
        };
        world.processor.key_lifetime = setup.key_lifetime;
        world.open_shop();
        for service in Service::ALL {
            for replica in 0..2 {
                world.processes.insert((service, replica), Process::new());
                world.at(0, Event::Start((service, replica)));
            }
        }
        let first_fault = world.random.between(0, SECOND);
        world.at(first_fault, Event::Fault);
        let restock = world.random.between(0, setup.storm);
        world.at(restock, Event::Restock);
        world
    }

    /// Lets the next thing happen. False when there is none.
    pub fn step(&mut self) -> bool {
        let Some(((at, _), event)) = self.queue.pop_first() else {
            return false;
        };
        self.now = at;
        match event {
            Event::Step(pid, incarnation, step) => self.step_of(pid, incarnation, step),
            Event::Client(client, step) => self.client(client, &step),
            Event::Append(flight) => self.append(*flight),
            Event::Ask(question) => self.ask(*question),
            Event::Fault => self.fault(),
            Event::Start(pid) => self.start(pid),
            Event::Rebalance(service) => self.rebalance(service),
            Event::Restock => self.restock(),
            Event::Barista(order) => self.barista(order),
        }
        true
    }

    fn step_of(&mut self, pid: Pid, incarnation: u32, step: Step) {
        let Some(process) = self.processes.get(&pid) else {
            return;
        };
        if !process.up || process.incarnation != incarnation {
            return;
        }
        // A process that stands still finds everything waiting when it goes on, in the same order.
        if process.paused_until > self.now {
            let until = process.paused_until - self.now;
            self.after(until, Event::Step(pid, incarnation, step));
            return;
        }
        self.perform(pid, step);
    }

    /// Puts an event into the queue, `delay` from now.
    pub fn after(&mut self, delay: i64, event: Event) {
        self.at(self.now.saturating_add(delay.max(0)), event);
    }

    fn at(&mut self, at: i64, event: Event) {
        let name = self.name();
        self.queue.insert((at, name), event);
    }

    /// Puts a step of a process into the queue, some time from `low` to `high` from now.
    pub fn soon(&mut self, pid: Pid, (low, high): (i64, i64), step: Step) {
        let delay = self.random.between(low, high);
        let incarnation = self
            .processes
            .get(&pid)
            .map_or(0, |process| process.incarnation);
        self.after(delay, Event::Step(pid, incarnation, step));
    }

    /// A number that nothing else has.
    pub const fn name(&mut self) -> u64 {
        self.names += 1;
        self.names
    }

    /// True `permille` times in a thousand while things break.
    pub fn trouble(&mut self, permille: i64) -> bool {
        !self.calm && self.random.chance(permille)
    }

    /// The instant, on every database's clock.
    #[must_use]
    pub const fn instant(&self) -> Timestamp {
        Timestamp::from_micros(DAWN + self.now)
    }

    /// The time since the beginning.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        Duration::from_micros(u64::try_from(self.now).unwrap_or(0))
    }

    /// A new id of version 7.
    pub fn id(&mut self) -> Uuid {
        let millis = u64::try_from(self.instant().as_millis()).unwrap_or(0);
        let (high, low) = (self.random.next(), self.random.next());
        let mut bytes = [0; 10];
        let drawn = high.to_be_bytes().into_iter().chain(low.to_be_bytes());
        for (byte, random) in bytes.iter_mut().zip(drawn) {
            *byte = random;
        }
        Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
    }

    /// What is said about a new event.
    pub fn envelope(
        &mut self,
        service: Service,
        name: &str,
        (order, version): (OrderId, i64),
        cause: Option<&Envelope>,
    ) -> Envelope {
        let id = self.id();
        let source = service.name();
        self.tell(format_args!("{source}: {name} {order} version {version}"));
        Envelope {
            id,
            event_type: format!("brewline.{source}.v1.{name}"),
            source: format!("brewline/{source}"),
            subject: order.to_string(),
            version,
            time: self.instant(),
            correlation_id: cause.map_or(order.as_uuid(), |cause| cause.correlation_id),
            causation_id: cause.map(|cause| cause.id),
            traceparent: None,
        }
    }

    /// Puts a line into the trace.
    pub fn tell(&mut self, what: std::fmt::Arguments<'_>) {
        self.trace.tell(self.now, what);
    }
}
