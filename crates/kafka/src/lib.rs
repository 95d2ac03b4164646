//! Kafka: an idempotent producer, consumer groups that drain before they let go, topics' ids, and a
//! reader for tools. The only crate that names `rdkafka`.
//!
//! * [`Producer`]: `send` queues and returns at once; its [`Delivery`] ends with the broker's answer.
//! * [`Subscription`]: membership in a group, on a thread of its own. It hands over [`Input`]s in the
//!   order in which they happened; partitions stay silent until [`Subscription::start_from`] says
//!   where to begin, because positions live in the consumer's own database.
//! * [`Admin`]: topics, their ids and end offsets; users' passwords and rights.
//! * [`Reader`]: topics from given offsets to their present ends, without a group.
//!
//! Keys choose partitions as Kafka's Java clients do (murmur2): see [`partition_of`].

mod admin;
mod asker;
mod config;
mod connection;
mod error;
#[allow(
    unsafe_code,
    reason = "the safe wrapper lacks topic ids, rights, passwords, cached watermarks and a flush that skips the linger"
)]
mod native;
mod partitioner;
mod producer;
mod reader;
mod record;
mod rights;
mod standstill;
mod subscription;

pub use admin::{Admin, Topic};
pub use config::Config;
pub use connection::Connection;
pub use error::Error;
pub use partitioner::partition_of;
pub use producer::{Delivery, Producer, ProducerSettings};
pub use reader::{Reader, Until};
pub use record::{Received, Record, TopicPartition};
pub use rights::{Acl, Operation, Password, Resource};
pub use subscription::{Input, Limits, Subscription};
