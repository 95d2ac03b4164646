//! The groups of consumers: who reads which partition, and how they learn of it.

use crate::broker::{PARTITIONS, Service};
use crate::process::{Pid, Step};
use crate::world::{Event, MS, SECOND, World};

// === impl World ===

impl World {
    /// Divides the partitions among those who are there. Who stands still is told when it goes on.
    pub fn rebalance(&mut self, service: Service) {
        let now = self.now;
        let here = |(pid, process): (&Pid, &crate::process::Process)| {
            let there = pid.0 == service && process.up && process.paused_until <= now;
            there.then_some(pid.1)
        };
        let members: Vec<u8> = self.processes.iter().filter_map(here).collect();
        if members.is_empty() {
            let again = self.random.between(SECOND, 2 * SECOND);
            self.after(again, Event::Rebalance(service));
            return;
        }
        for partition in 0..PARTITIONS {
            let Some(replica) = self.random.pick(&members).copied() else {
                continue;
            };
            let before = self.owners.insert((service, partition), replica);
            if before == Some(replica) {
                continue;
            }
            if let Some(before) = before {
                self.soon(
                    (service, before),
                    (0, 30 * MS),
                    Step::Revoked(vec![partition]),
                );
            }
            self.soon(
                (service, replica),
                (0, 200 * MS),
                Step::Assigned(vec![partition]),
            );
        }
    }

    /// The group gave `pid` partitions.
    pub fn assigned(&mut self, pid: Pid, partitions: &[i32]) {
        let Some((from, _)) = pid.0.consumes() else {
            return;
        };
        for partition in partitions {
            // Overtaken by the next division.
            if self.owners.get(&(pid.0, *partition)) != Some(&pid.1) {
                continue;
            }
            let place = self.log.place(from, *partition);
            let Some(consumer) = self.consumer_mut(pid) else {
                return;
            };
            if consumer.is_at_work() {
                self.soon(pid, (5 * MS, 50 * MS), Step::Assigned(vec![*partition]));
                continue;
            }
            consumer.assigned(place);
        }
        self.soon(pid, (0, 5 * MS), Step::Consume { poll: false });
    }

    /// The group took partitions away. What is in hand is finished first, or tried.
    pub fn revoked(&mut self, pid: Pid, partitions: Vec<i32>) {
        let Some((from, _)) = pid.0.consumes() else {
            return;
        };
        let places: Vec<_> = partitions
            .iter()
            .filter(|partition| self.owners.get(&(pid.0, **partition)) != Some(&pid.1))
            .map(|partition| self.log.place(from, *partition))
            .collect();
        let Some(consumer) = self.consumer_mut(pid) else {
            return;
        };
        if consumer.is_at_work() {
            self.soon(pid, (5 * MS, 50 * MS), Step::Revoked(partitions));
            return;
        }
        consumer.released(&places);
    }
}
