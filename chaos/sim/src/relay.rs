//! Relays: two replicas of each service compete for its slot. Here is what `messaging`'s driver does
//! around the core, turn by turn.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use brewline_failpoint::planted;
use brewline_messaging::relay::core::{Core, Limits, Send, Ticket};

use crate::broker::{Log, Outgoing, Service};
use crate::process::{Pid, Step};
use crate::transactions::Access;
use crate::world::{Event, Flight, MS, SECOND, World};

/// How long a lease lasts.
const LEASE: i64 = 5 * SECOND;

const LIMITS: Limits = Limits {
    batch_rows: 6,
    unacked_rows_max: 12,
    gaps_max: 8,
};

/// A replica's relay.
#[derive(Debug, Default)]
pub struct Relay {
    holding: Option<Holding>,
    flying: BTreeSet<u64>,
    // One connection to each partition's leader: what is sent first arrives first.
    lands_at: BTreeMap<i32, i64>,
}

#[derive(Debug)]
struct Holding {
    core: Core<Outgoing>,
    epoch: i64,
    since: i64,
    to_send: VecDeque<Send<Outgoing>>,
}

// === impl World ===

impl World {
    /// Somebody committed: the holder is told, unless the message gets lost.
    pub fn wake_relays(&mut self, service: Service) {
        for replica in 0..2 {
            let pid = (service, replica);
            let holds = self
                .processes
                .get(&pid)
                .is_some_and(|p| p.relay.holding.is_some());
            if holds && !self.trouble(100) {
                self.soon(pid, (MS, 20 * MS), Step::Relay { poll: false });
            }
        }
    }

    /// Marks what is acknowledged, reads what is there.
    pub fn relay_turn(&mut self, pid: Pid, poll: bool) {
        if poll {
            self.soon(pid, (400 * MS, 700 * MS), Step::Relay { poll: true });
        }
        if self.access(pid.0, &[]) == Access::Down {
            return;
        }
        let Some(holding) = self.holding(pid) else {
            self.relay_claim(pid);
            return;
        };
        let renewal = self.now - holding.since >= LEASE / 3;
        if (renewal || holding.core.next_mark().is_some()) && !self.relay_mark(pid) {
            return;
        }
        self.relay_read(pid);
    }

    fn holding(&self, pid: Pid) -> Option<&Holding> {
        self.processes.get(&pid)?.relay.holding.as_ref()
    }

    fn holding_mut(&mut self, pid: Pid) -> Option<&mut Holding> {
        self.processes.get_mut(&pid)?.relay.holding.as_mut()
    }

    fn relay_claim(&mut self, pid: Pid) {
        let now = self.now;
        let claimed = self.stores.get_mut(&pid.0);
        let claimed = claimed.and_then(|store| store.claim_slot(pid.1, now, LEASE));
        let Some((epoch, watermark)) = claimed else {
            return;
        };
        self.tell(format_args!(
            "{}-{} holds the slot: epoch {epoch}, watermark {watermark}",
            pid.0.name(),
            pid.1
        ));
        if let Some(process) = self.processes.get_mut(&pid) {
            process.relay.holding = Some(Holding {
                core: Core::new(LIMITS, watermark),
                epoch,
                since: now,
                to_send: VecDeque::new(),
            });
        }
        self.relay_read(pid);
    }

    /// Writes the watermark and renews the lease. False when the slot is lost or the process died.
    fn relay_mark(&mut self, pid: Pid) -> bool {
        let Some(holding) = self.holding(pid) else {
            return false;
        };
        let (mark, epoch, moves) = (holding.core.mark(), holding.epoch, holding.core.next_mark());
        if moves.is_some() && self.trouble(4) {
            self.struck("crash between acknowledgement and mark");
            self.crash(pid);
            return false;
        }
        let now = self.now;
        let store = self.stores.get_mut(&pid.0);
        let xid = store.and_then(|store| store.mark(epoch, mark.watermark, now + LEASE));
        let Some(xid) = xid else {
            if planted("relay-ignores-lease") {
                return true;
            }
            self.tell(format_args!("{}-{} is fenced", pid.0.name(), pid.1));
            self.struck("fenced relay");
            self.purge(pid);
            if let Some(process) = self.processes.get_mut(&pid) {
                process.relay.holding = None;
            }
            return false;
        };
        if let Some(holding) = self.holding_mut(pid) {
            holding.since = now;
            holding.core.marked(mark, xid);
        }
        true
    }

    fn relay_read(&mut self, pid: Pid) {
        let Some(read) = self
            .holding(pid)
            .and_then(|holding| holding.core.next_read())
        else {
            return;
        };
        let Some(store) = self.stores.get(&pid.0) else {
            return;
        };
        let (rows, xmin) = store.read(&read);
        let Some(holding) = self.holding_mut(pid) else {
            return;
        };
        let sends = holding.core.rows(&read, rows, xmin);
        let any = !sends.is_empty();
        holding.to_send.extend(sends);
        if any {
            self.soon(pid, (0, 3 * MS), Step::Send);
            if self.trouble(5) {
                self.pause(pid, "pause between read and send");
            }
        }
    }

    /// Hands what was read to the producer, checking the lease right before each.
    pub fn relay_send(&mut self, pid: Pid) {
        while let Some(holding) = self.holding(pid) {
            if holding.to_send.is_empty() {
                return;
            }
            let valid = planted("relay-ignores-lease") || self.now - holding.since < LEASE;
            if !valid {
                if self.access(pid.0, &[]) == Access::Down {
                    self.start_over(pid);
                    return;
                }
                if !self.relay_mark(pid) {
                    return;
                }
            }
            let Some(holding) = self.holding_mut(pid) else {
                return;
            };
            let (epoch, send) = (holding.epoch, holding.to_send.pop_front());
            if let Some(send) = send {
                self.fly(pid, epoch, send);
            }
        }
    }

    fn start_over(&mut self, pid: Pid) {
        self.purge(pid);
        if let Some(holding) = self.holding_mut(pid) {
            holding.core.reset();
        }
        self.soon(pid, (50 * MS, 500 * MS), Step::Relay { poll: false });
    }

    fn fly(&mut self, pid: Pid, epoch: i64, send: Send<Outgoing>) {
        let id = self.name();
        let slow = self.trouble(20);
        let within = if slow { 2 * SECOND } else { 8 * MS };
        let lands = self.now + self.random.between(MS / 2, within);
        let now = self.now;
        let Some(process) = self.processes.get_mut(&pid) else {
            return;
        };
        let partition = Log::partition_of(&send.record.envelope.subject);
        let last = process.relay.lands_at.entry(partition).or_default();
        *last = lands.max(*last);
        let delay = *last - now;
        process.relay.flying.insert(id);
        let from = (pid, process.incarnation);
        let flight = Flight {
            id,
            from,
            epoch,
            ticket: send.ticket,
            event: send.record,
        };
        self.after(delay, Event::Append(Box::new(flight)));
    }

    /// Throws the producer's queue away. What is on the wire may still land.
    pub fn purge(&mut self, pid: Pid) {
        let Some(process) = self.processes.get_mut(&pid) else {
            return;
        };
        if let Some(holding) = &mut process.relay.holding {
            holding.to_send.clear();
        }
        for id in std::mem::take(&mut process.relay.flying) {
            if self.random.chance(500) {
                self.purged.insert(id);
            } else if self.random.chance(500) {
                self.late.insert(id);
            }
        }
    }

    /// A record reaches the broker.
    pub fn append(&mut self, flight: Flight) {
        // What was on the wire when its sender gave up may land long after.
        if self.late.remove(&flight.id) && !self.calm {
            self.struck("late record");
            let delay = self.random.between(10 * MS, 5 * SECOND);
            return self.after(delay, Event::Append(Box::new(flight)));
        }
        let Flight {
            id,
            from: (pid, incarnation),
            epoch,
            ticket,
            event,
        } = flight;
        if self.purged.remove(&id) {
            return;
        }
        if let Some(process) = self.processes.get_mut(&pid) {
            process.relay.flying.remove(&id);
        }
        let (service, at) = (event.service, self.instant());
        let refused = self.log.down_until > self.now;
        let lost = refused || self.trouble(self.setup.loss);
        if !refused {
            let (partition, offset) = self.log.append(&event, epoch, at);
            let envelope = &event.envelope;
            let (subject, version) = (&envelope.subject, envelope.version);
            self.trace.tell(
                self.now,
                format_args!(
                    "log: {} {partition}/{offset}: {subject} version {version}, epoch {epoch}",
                    service.name()
                ),
            );
            self.wake_consumer(service, partition);
        }
        if lost && !refused {
            self.struck("acknowledgement lost");
        }
        let answer = if lost {
            self.random.between(SECOND, 3 * SECOND)
        } else {
            self.random.between(MS / 2, 5 * MS)
        };
        let ok = !lost;
        let step = Step::Ack { epoch, ticket, ok };
        self.after(answer, Event::Step(pid, incarnation, step));
    }

    /// The broker answers.
    pub fn relay_ack(&mut self, pid: Pid, epoch: i64, ticket: Ticket, ok: bool) {
        let Some(holding) = self
            .holding_mut(pid)
            .filter(|holding| holding.epoch == epoch)
        else {
            return;
        };
        if !ok {
            if holding.core.failed(ticket) {
                self.purge(pid);
                self.soon(pid, (10 * MS, 500 * MS), Step::Relay { poll: false });
            }
            return;
        }
        let next = holding.core.acked(ticket);
        let drained = holding.core.is_drained();
        let queued = next.is_some();
        holding.to_send.extend(next);
        if queued {
            self.relay_send(pid);
        }
        if drained {
            self.soon(pid, (MS, 10 * MS), Step::Relay { poll: false });
        }
    }
}
