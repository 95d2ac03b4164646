//! The proof: what must hold whatever fails, judged from evidence.
//!
//! - [`history`]: what clients asked for and what they were told, written before and after each call.
//! - [`evidence`]: what is on record afterwards: each service's tables, the topics from their first
//!   offset, the card processor's own ledger.
//! - [`invariants`]: one pure function each, from evidence to a [`verdict::Finding`].
//! - [`verdict`]: Pass, Fail or Unknown, worst first. Unknown is not a pass.
//! - [`faults`]: what is done to the system meanwhile; [`workload`]: its customers.
//! - [`timeline`]: an order's whole story, for the person who has to understand a violation.
//!
//! Nothing here depends on a service, or on the crates that move messages and sagas: a checker that
//! shares code with what it judges shares its bugs. Messages are read by their wire format alone.

pub mod evidence;
pub mod faults;
pub mod history;
pub mod invariants;
pub mod timeline;
pub mod verdict;
pub mod workload;

use std::time::Duration;

/// How old an order may become before it counts as stuck: every deadline before the pivot (30 s) and
/// 60 s for everything that is retried after it.
pub const STUCK_AFTER: Duration = Duration::from_secs(90);
