//! What breaks, and when it is whole again.

use crate::broker::Service;
use crate::process::Pid;
use crate::world::{Event, MS, SECOND, World};

/// Everything beside the processes that can break, and the processes.
const FAULTS: [&str; 8] = [
    "crash",
    "pause",
    "short pause",
    "database outage",
    "broker outage",
    "processor outage",
    "rebalance",
    "crash of both",
];

// === impl World ===

impl World {
    /// Something breaks; and later something else.
    pub fn fault(&mut self) {
        if self.calm {
            return;
        }
        let next = self.random.between(100 * MS, self.setup.fault_every_max);
        self.after(next, Event::Fault);
        let Some(fault) = self.random.pick(&FAULTS).copied() else {
            return;
        };
        let pid = self.some_process();
        let service = pid.0;
        match fault {
            "crash" => {
                self.struck("crash");
                self.crash(pid);
            }
            "crash of both" => {
                self.struck(fault);
                self.crash((service, 0));
                self.crash((service, 1));
            }
            "pause" => self.pause(pid, fault),
            "short pause" => {
                self.struck(fault);
                let until = self.now + self.random.between(50 * MS, 2 * SECOND);
                self.pause_until(pid, until);
            }
            "rebalance" => {
                self.struck(fault);
                self.rebalance(service);
            }
            outage => {
                self.struck(outage);
                let until = self.now + self.random.between(100 * MS, 6 * SECOND);
                self.outage(outage, service, until);
            }
        }
    }

    fn outage(&mut self, outage: &str, service: Service, until: i64) {
        let name = service.name();
        self.tell(format_args!("{outage} ({name}) until {until}"));
        match outage {
            "broker outage" => self.log.down_until = until,
            "processor outage" => self.processor.down_until = until,
            _ => {
                if let Some(store) = self.stores.get_mut(&service) {
                    store.down_until = until;
                }
            }
        }
    }

    fn some_process(&mut self) -> Pid {
        let service = self
            .random
            .pick(&Service::ALL)
            .copied()
            .unwrap_or(Service::Order);
        (service, u8::from(self.random.chance(500)))
    }

    /// A fault has struck: whoever is in the middle of a checkout has met it.
    pub fn struck(&mut self, fault: &'static str) {
        self.tell(format_args!("fault: {fault}"));
        *self.coverage.faults.entry(fault).or_default() += 1;
        let Some(store) = self.stores.get(&Service::Order) else {
            return;
        };
        for saga in store.tables.sagas.values() {
            let phase = saga.state.phase.as_str();
            if !matches!(phase, "completed" | "undone") {
                *self.coverage.met.entry((phase, fault)).or_default() += 1;
            }
        }
    }

    /// A process ends without any clean-up. Its memory is gone, its transactions are rolled back, and
    /// what it has sent may still arrive. It starts again after a while.
    pub fn crash(&mut self, pid: Pid) {
        self.purge(pid);
        let Some(process) = self.processes.get_mut(&pid).filter(|process| process.up) else {
            return;
        };
        process.up = false;
        process.afters.clear();
        if let Some(store) = self.stores.get_mut(&pid.0) {
            store.roll_back_all_of(pid.1);
        }
        self.tell(format_args!("{}-{} dies", pid.0.name(), pid.1));
        let noticed = self.random.between(MS, 6 * SECOND);
        self.owners
            .retain(|(service, _), replica| (*service, *replica) != pid);
        self.after(noticed, Event::Rebalance(pid.0));
        let back = if self.calm {
            100 * MS
        } else {
            self.random.between(50 * MS, 8 * SECOND)
        };
        self.after(back, Event::Start(pid));
    }

    /// A process stands still for so long that others take over, and then goes on as if nothing had
    /// happened.
    pub fn pause(&mut self, pid: Pid, why: &'static str) {
        self.struck(why);
        let until = self.now + self.random.between(SECOND, 12 * SECOND);
        self.pause_until(pid, until);
    }

    fn pause_until(&mut self, pid: Pid, until: i64) {
        let Some(process) = self.processes.get_mut(&pid).filter(|process| process.up) else {
            return;
        };
        process.paused_until = process.paused_until.max(until);
        self.tell(format_args!(
            "{}-{} stands still until {until}",
            pid.0.name(),
            pid.1
        ));
        let noticed = self.random.between(2 * SECOND, 6 * SECOND);
        self.after(noticed, Event::Rebalance(pid.0));
    }

    /// Everything is whole again: outages end, and nothing breaks from now on.
    pub fn heal(&mut self) {
        self.calm = true;
        self.tell(format_args!("everything is healed"));
        self.log.down_until = 0;
        self.processor.down_until = 0;
        for store in self.stores.values_mut() {
            store.down_until = 0;
        }
        for process in self.processes.values_mut() {
            process.paused_until = process.paused_until.min(self.now + SECOND);
        }
        for service in Service::ALL {
            self.after(2 * SECOND, Event::Rebalance(service));
        }
    }
}
