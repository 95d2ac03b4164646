//! Transactions in time: opened now, committed by and by, and the answer may never come.

use crate::broker::Service;
use crate::process::{After, Pid, Step};
use crate::store::Lock;
use crate::tables::Write;
use crate::world::{MS, SECOND, World};

/// Whether a transaction can be opened now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It can.
    Free,
    /// Another one holds a row.
    Busy,
    /// The database is away.
    Down,
}

// === impl World ===

impl World {
    /// Whether a transaction with these locks can be opened in `service`'s database.
    #[must_use]
    pub fn access(&self, service: Service, locks: &[Lock]) -> Access {
        match self.stores.get(&service) {
            Some(store) if store.down_until > self.now => Access::Down,
            Some(store) if store.is_free(locks) => Access::Free,
            Some(_) => Access::Busy,
            None => Access::Down,
        }
    }

    /// Opens a transaction whose locks are free. It commits by and by; then follows `after`.
    pub fn submit(&mut self, pid: Pid, locks: Vec<Lock>, writes: Vec<Write>, after: After) {
        let Some(store) = self.stores.get_mut(&pid.0) else {
            return;
        };
        let xid = store.begin(pid.1, locks, writes);
        if let Some(process) = self.processes.get_mut(&pid) {
            process.afters.insert(xid, after);
        }
        let slow = self.setup.slow_commit;
        let within = if self.trouble(slow) {
            self.struck("slow commit");
            (300 * MS, 6 * SECOND)
        } else {
            (MS / 5, 3 * MS)
        };
        self.soon(pid, within, Step::Commit(xid));
    }

    /// The commit reaches the database, or does not; its answer comes back, or does not.
    pub fn commit(&mut self, pid: Pid, xid: i64) {
        let trouble = self.setup.commit_trouble;
        let fate = if self.trouble(trouble) {
            self.random.between(1, 4)
        } else {
            0
        };
        let down = self.access(pid.0, &[]) == Access::Down;
        let Some(store) = self.stores.get_mut(&pid.0) else {
            return;
        };
        let committed = !down && (fate == 0 || fate >= 3) && store.commit(xid);
        if !committed {
            store.roll_back(xid);
        }
        let name = pid.0.name();
        self.tell(format_args!(
            "{name}-{}: transaction {xid}, fate {fate}, committed {committed}",
            pid.1
        ));
        if committed {
            self.wake_relays(pid.0);
        }
        match fate {
            2 | 4 => {
                self.struck(if fate == 2 {
                    "crash before commit"
                } else {
                    "crash after commit"
                });
                self.crash(pid);
            }
            _ => {
                match fate {
                    1 => self.struck("commit refused"),
                    3 => self.struck("commit's answer lost"),
                    _ => {}
                }
                let process = self.processes.get_mut(&pid);
                let after = process.and_then(|process| process.afters.remove(&xid));
                if let Some(after) = after {
                    self.follow(pid, after, committed && fate == 0);
                }
            }
        }
    }
}
