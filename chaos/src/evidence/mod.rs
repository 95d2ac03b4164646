//! What is on record after the fact, as plain data.
//!
//! Each source is read by itself, while the system may be running. Orders are therefore marked twice,
//! before everything else is read and after it: an order is judged only when both marks say "closed"
//! and are equal, so that nothing of it changed in between. An order that stays open is judged by its
//! age alone.

mod barista;
mod boards;
mod erasure;
mod facts;
mod load;
mod log;
mod logfiles;
mod messaging;
mod notified;
mod orders;
mod outside;
mod payments;
mod processor;
mod sources;
mod stock;

use std::collections::{BTreeMap, BTreeSet};

use brewline_kernel::Timestamp;
use uuid::Uuid;

use crate::history::History;

pub use barista::{Ticket, Tickets};
pub use boards::{BoardKey, Boards, Score, SoldLately};
pub use erasure::{Blanked, Erasure, Erasures};
pub use facts::{Fact, Opened, Person, Sale, Sold};
pub use load::{EvidenceReader, collect};
pub use log::{DeadRecord, LogRecord, Unreadable, topics, topics_there};
pub use messaging::{DeadLetter, InboxRow, Messaging, OutboxRow, Position, Slot};
pub use notified::{Delivery, Notified, Wish};
pub use orders::{IdempotencyKey, Mark, Order, OrderEvent, Orders, SagaEntry};
pub use outside::{HookCall, Mail};
pub use payments::{Operation, Posting};
pub use processor::{LedgerEntry, LedgerKind};
pub use sources::{MARGIN, Sources};
pub use stock::{Level, Movement, Reservation, StockBooks};

/// Everything that was read. A source that could not be read is an `Err` with the reason: the
/// invariants that need it are then `unknown`.
#[derive(Debug)]
pub struct Evidence {
    /// The order database's clock when reading began.
    pub now: Timestamp,
    /// Orders placed before this instant are left out.
    pub since: Timestamp,
    /// The marks of all orders, before anything else was read.
    pub before: Result<BTreeMap<Uuid, Mark>, String>,
    /// The marks of all orders, after everything else was read.
    pub after: Result<BTreeMap<Uuid, Mark>, String>,
    /// The order service's tables.
    pub orders: Result<Orders, String>,
    /// The inventory service's tables.
    pub stock: Result<StockBooks, String>,
    /// The payment service's operations, by order.
    pub operations: Result<BTreeMap<Uuid, Vec<Operation>>, String>,
    /// The payment service's ledger.
    pub postings: Result<Vec<Posting>, String>,
    /// The card processor's own ledger.
    pub processor: Result<Vec<LedgerEntry>, String>,
    /// Each service's message tables.
    pub messaging: BTreeMap<&'static str, Result<Messaging, String>>,
    /// The relay slots of each service once more, after everything else.
    pub slots_after: BTreeMap<&'static str, Result<Vec<Slot>, String>>,
    /// Every record of every event topic, in the order of the log by partition.
    pub log: Result<Vec<LogRecord>, String>,
    /// Records of event topics that are no events.
    pub unreadable: Result<Vec<Unreadable>, String>,
    /// Every record of the dead-letter topic of customers.
    pub dead: Result<Vec<DeadRecord>, String>,
    /// The mail addresses in the log files, where a folder of them was given.
    pub addresses_logged: Option<Result<BTreeSet<String>, String>>,
    /// What clients wrote down, where a journal was given.
    pub history: Option<Result<History, String>>,
    /// The barista's tickets by order; none on a stack without a barista. The same holds for what
    /// follows.
    pub tickets: Option<Result<Tickets, String>>,
    /// What the notification service has on record.
    pub notified: Option<Result<Notified, String>>,
    /// Every mail that arrived.
    pub mailbox: Option<Result<Vec<Mail>, String>>,
    /// Every call that a webhook receiver got.
    pub hooks: Option<Result<Vec<HookCall>, String>>,
    /// The boards.
    pub boards: Option<Result<Boards, String>>,
    /// Customers whose personal data was erased.
    pub erasures: Option<Result<Erasures, String>>,
    /// Events that are to be dead letters.
    pub expected_dead_letters: BTreeSet<Uuid>,
    /// Whether healing was promised: a parked saga and an unexpected dead letter are then failures.
    pub healing_promised: bool,
}

// === impl Evidence ===

impl Evidence {
    /// The orders that can be judged whole: closed, and unchanged while the evidence was read.
    #[must_use]
    pub fn judged(&self) -> BTreeSet<Uuid> {
        let (Ok(before), Ok(after)) = (&self.before, &self.after) else {
            return BTreeSet::new();
        };
        let whole = |(id, mark): &(&Uuid, &Mark)| {
            mark.closed && mark.placed_at >= self.since && after.get(*id) == Some(*mark)
        };
        before.iter().filter(whole).map(|(id, _)| *id).collect()
    }

    /// The orders that were open when reading began, with how they stood.
    #[must_use]
    pub fn open(&self) -> Vec<(Uuid, &Mark)> {
        let (Ok(before), Ok(after)) = (&self.before, &self.after) else {
            return Vec::new();
        };
        // One that closed while the evidence was read is not stuck.
        let open = |(id, mark): &(&Uuid, &Mark)| {
            !mark.closed && mark.placed_at >= self.since && after.get(*id) == Some(*mark)
        };
        before
            .iter()
            .filter(open)
            .map(|(id, mark)| (*id, mark))
            .collect()
    }

    /// Whether an order with this id was placed after the cut and before reading began. The id and the
    /// clock of the database differ a little: within a second of either end nothing is demanded.
    #[must_use]
    pub fn in_scope(&self, order: Uuid) -> bool {
        let margin = 1_000;
        let born = born_ms(order);
        let since = self.since.as_millis().saturating_add(margin);
        (since..self.now.as_millis().saturating_sub(margin)).contains(&born)
    }
}

/// The milliseconds since 1970 in a UUID of version 7.
#[must_use]
pub fn born_ms(id: Uuid) -> i64 {
    i64::try_from(id.as_u128() >> 80).unwrap_or(0)
}

/// Names a body, so that two copies can be compared without keeping either.
#[must_use]
pub fn digest(body: &[u8]) -> u64 {
    // FNV-1a (Fowler, Noll, Vo): not against forgery, which is not what is looked for here.
    body.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
