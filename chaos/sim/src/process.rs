//! A replica of a service: what it keeps in memory, and what can happen to it.

use std::collections::BTreeMap;

use brewline_kernel::OrderId;
use brewline_messaging::Delivery;
use brewline_messaging::consumer::core::Batch;
use brewline_messaging::relay::core::Ticket;
use brewline_order_domain::checkout::Outcome;
use brewline_payment_domain as payment;
use brewline_saga::executor::{Executor, Limits};

use crate::broker::Service;
use crate::consumer::Consumer;
use crate::relay::Relay;
use crate::world::{MS, SECOND, World};

/// A replica: its service and its number.
pub type Pid = (Service, u8);

/// What a checkout calls payment for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallKind {
    /// Hold the amount.
    Authorise,
    /// Take it.
    Capture,
    /// Undo whatever happened.
    Reverse,
}

/// Calls that are due.
pub type Calls = Vec<(CallKind, OrderId)>;

/// Something that happens to a process.
#[derive(Debug)]
pub enum Step {
    /// Its relay looks round; `poll`: and will again.
    Relay {
        /// Whether this is the regular look.
        poll: bool,
    },
    /// Its relay sends what it has read.
    Send,
    /// The broker answers.
    Ack {
        /// Under which epoch it was sent.
        epoch: i64,
        /// Which record.
        ticket: Ticket,
        /// Whether it is in the log.
        ok: bool,
    },
    /// Its consumer looks round.
    Consume {
        /// Whether this is the regular look.
        poll: bool,
    },
    /// Its consumer applies what it has in hand.
    Apply,
    /// The group gave it partitions.
    Assigned(Vec<i32>),
    /// The group took partitions away.
    Revoked(Vec<i32>),
    /// A transaction is to be committed.
    Commit(i64),
    /// It looks for due checkouts.
    Timers,
    /// A batch of calls has waited long enough.
    Overdue(u64),
    /// Payment answers one call of a batch.
    Outcome(u64, OrderId, Outcome),
    /// The outcomes of a batch are to be written.
    Write(u64),
    /// A customer wants an order.
    Place(usize, u32),
    /// A customer wants an order cancelled.
    Cancel(OrderId),
    /// A checkout calls.
    Command(Command),
    /// The card processor answers, or has not for too long.
    Answered(u64, payment::Answer),
}

/// A call as payment receives it.
#[derive(Clone, Debug)]
pub struct Command {
    /// The order.
    pub order: OrderId,
    /// What is asked.
    pub kind: CallKind,
    /// The same in payment's words.
    pub command: payment::Command,
    /// Who asks.
    pub caller: (Pid, u32),
    /// The caller's name for the batch.
    pub batch: u64,
}

/// What follows a transaction.
#[derive(Debug)]
pub enum After {
    /// A customer is told.
    Placed(usize, u32, OrderId),
    /// Calls are made.
    Moved(Calls),
    /// A batch of outcomes is written, and calls are made.
    Outcomes(CallKind, Calls),
    /// A batch of records is applied, and calls are made.
    Consumed(Batch<Delivery>, Calls),
    /// A payment's intent is on record.
    Decided(Command, payment::Step),
    /// A payment's answer is on record.
    Learnt(Command),
}

/// Calls that are away.
#[derive(Debug)]
pub struct Away {
    /// Their kind.
    pub kind: CallKind,
    /// The orders, with what is known.
    pub outcomes: BTreeMap<OrderId, Option<Outcome>>,
}

/// A request that is with the card processor.
#[derive(Debug)]
pub struct Asked {
    /// What it is made for.
    pub command: Command,
    /// The request.
    pub request: payment::Request,
}

/// A replica.
#[derive(Debug)]
pub struct Process {
    /// Counts its lives.
    pub incarnation: u32,
    /// Whether it lives.
    pub up: bool,
    /// Until when it stands still.
    pub paused_until: i64,
    /// What follows its open transactions.
    pub afters: BTreeMap<i64, After>,
    /// Its relay.
    pub relay: Relay,
    /// Its consumer.
    pub consumer: Consumer,
    /// Calls that wait (order).
    pub executor: Executor<CallKind, OrderId>,
    /// Calls that are away (order).
    pub away: BTreeMap<u64, Away>,
    /// Requests that are away (payment).
    pub asked: BTreeMap<u64, Asked>,
}

const EXECUTOR: Limits = Limits {
    queue_calls_max: 8,
    batch_calls_max: 4,
    batches_in_flight_max: 2,
};

// === impl Process ===

impl Process {
    /// One that never lived.
    #[must_use]
    pub fn new() -> Self {
        Self {
            incarnation: 0,
            up: false,
            paused_until: 0,
            afters: BTreeMap::new(),
            relay: Relay::default(),
            consumer: Consumer::new(0),
            executor: Executor::new(EXECUTOR),
            away: BTreeMap::new(),
            asked: BTreeMap::new(),
        }
    }

    /// Begins a life without memory.
    pub fn begin(&mut self, now: i64) {
        let incarnation = self.incarnation + 1;
        *self = Self {
            incarnation,
            up: true,
            consumer: Consumer::new(now),
            ..Self::new()
        };
    }
}

impl Default for Process {
    fn default() -> Self {
        Self::new()
    }
}

// === impl World ===

impl World {
    /// A process starts.
    pub fn start(&mut self, pid: Pid) {
        let now = self.now;
        let Some(process) = self.processes.get_mut(&pid) else {
            return;
        };
        if process.up {
            return;
        }
        process.begin(now);
        self.tell(format_args!("{}-{} starts", pid.0.name(), pid.1));
        self.soon(pid, (0, 300 * MS), Step::Relay { poll: true });
        if pid.0.consumes().is_some() {
            self.soon(pid, (0, 300 * MS), Step::Consume { poll: true });
            let joins = self.random.between(10 * MS, SECOND);
            self.after(joins, crate::world::Event::Rebalance(pid.0));
        }
        if pid.0 == Service::Order {
            self.soon(pid, (0, 300 * MS), Step::Timers);
        }
    }

    /// Lets a step of a living process happen.
    pub fn perform(&mut self, pid: Pid, step: Step) {
        match step {
            Step::Relay { poll } => self.relay_turn(pid, poll),
            Step::Send => self.relay_send(pid),
            Step::Ack { epoch, ticket, ok } => self.relay_ack(pid, epoch, ticket, ok),
            Step::Consume { poll } => self.consumer_turn(pid, poll),
            Step::Apply => self.consumer_apply(pid),
            Step::Assigned(partitions) => self.assigned(pid, &partitions),
            Step::Revoked(partitions) => self.revoked(pid, partitions),
            Step::Commit(xid) => self.commit(pid, xid),
            Step::Timers => self.timers(pid),
            Step::Overdue(batch) => self.overdue(pid, batch),
            Step::Outcome(batch, order, outcome) => self.outcome(pid, batch, order, outcome),
            Step::Write(batch) => self.write_outcomes(pid, batch),
            Step::Place(client, attempt) => self.place(pid, client, attempt),
            Step::Cancel(order) => self.cancel(pid, order),
            Step::Command(command) => self.command(pid, command),
            Step::Answered(id, answer) => self.answered(pid, id, answer),
        }
    }

    /// A transaction of `pid` has ended; `ok`: and the process knows that it is committed.
    pub fn follow(&mut self, pid: Pid, after: After, ok: bool) {
        match after {
            After::Placed(client, attempt, order) if ok => self.placed(client, attempt, order),
            After::Moved(calls) if ok => self.make_calls(pid, calls),
            After::Placed(..) | After::Moved(_) => {}
            After::Outcomes(kind, calls) => {
                self.calls_ended(pid, kind);
                self.make_calls(pid, if ok { calls } else { Calls::new() });
            }
            After::Consumed(batch, calls) => {
                self.consumed(pid, batch, ok);
                if ok {
                    self.make_calls(pid, calls);
                }
            }
            After::Decided(command, step) if ok => self.decided(pid, command, step),
            After::Learnt(command) if ok => self.learnt(&command),
            // The caller hears nothing and asks again.
            After::Decided(..) | After::Learnt(_) => {}
        }
    }
}
