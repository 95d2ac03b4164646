//! Events between services: written with the fact they tell, published once a place in the log is
//! certain, applied once by each consumer.
//!
//! ```text
//!  a service's transaction            relay (one holder a slot)             a consumer's transaction
//!  ┌───────────────────────┐  read    ┌───────────┐  send    ┌───────┐      ┌──────────────────────────┐
//!  │ the fact  + outbox row ├────────►│ watermark ├─────────►│ Kafka ├─────►│ position + inbox         │
//!  └───────────────────────┘          └─────┬─────┘          └───────┘      │ + effect + own outbox row │
//!                 ▲                mark once acknowledged                    └──────────────────────────┘
//!                 └─────────────────────────┘
//! ```
//!
//! * [`Outbox::append`] inserts events in the transaction that makes them true.
//! * [`relay()`] publishes them, at least once and per subject in the order of versions.
//! * [`consume()`] hands batches of fresh events to a [`Handler`] inside one transaction with the
//!   position and the inbox: a replay is refused by position, a duplicate by inbox, an owner that
//!   lost its partition by epoch. What cannot be handled goes to the dead letters, and its
//!   successors with the same subject park behind it.
//! * [`held`] answers whether a consumer has applied a given version yet, for reads after writes.
//! * [`operator`] shows positions, relays and dead letters to people on call, and redrives and drops the
//!   latter. [`views`] makes a view anew from the log beside the live one.
//!
//! What decides (which row to send, when a gap is dead, what is a duplicate, how a batch is halved) is
//! in state machines without I/O and without a clock: [`relay::core`], [`consumer::core`] and
//! [`inbox`]. The drivers beside them do what they are told, so that a simulator can drive the same
//! decisions over a log and a store of its own.

pub mod cloud_events;
pub mod consumer;
mod delivery;
mod error;
pub mod held;
pub mod inbox;
pub mod maintenance;
mod monitor;
pub mod operator;
mod outbox;
mod progress;
pub mod relay;
mod settings;
mod signals;
pub mod views;

use std::time::Duration;

use brewline_kernel::Backoff;

pub use brewline_kafka::TopicPartition;
pub use consumer::{Connections, consume};
pub use delivery::{ConsumerSpec, Delivery, Failure, Handler, TopicKind, TopicSpec};
pub use error::Error;
pub use monitor::{Lag, Monitor, Place};
pub use outbox::{NewEvent, Outbox};
pub use progress::Progress;
pub use relay::relay;
pub use settings::{ConsumerSettings, RelaySettings};

/// The tables of this crate, which each service copies as `migrations/0001_messaging.sql`.
pub const SCHEMA: &str = include_str!("../schema/messaging.sql");

/// What the operator's API needs beside them; each service that consumes copies it as its next migration.
pub const OPERATOR_SCHEMA: &str = include_str!("../schema/operator.sql");

/// How long relays and consumers wait between tries during an outage: short enough that nobody
/// notices the end of it, long enough that a database coming up is not stormed.
const OUTAGE_BACKOFF: Backoff =
    match Backoff::new(Duration::from_millis(50), Duration::from_secs(2)) {
        Ok(backoff) => backoff,
        Err(_) => panic!("the first wait is not longer than the longest"),
    };
