//! Membership in a consumer group.
//!
//! One thread per subscription polls the client, because the client calls back from within the poll
//! and must be polled on time; everything else talks to that thread through [`shared::Shared`] and
//! wakes it. The thread in turn waits on nothing but its own wake-ups, so that neither commands nor
//! records wait for a timer.

mod client;
mod membership;
mod poll;
mod shared;
mod wait;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::{Config, Connection, Error, Received, TopicPartition};
use client::Client;
use membership::Membership;
use poll::Poller;
use shared::Shared;

/// What happened, in the order in which it happened.
#[derive(Debug)]
pub enum Input {
    /// These partitions are now ours. They stay silent until [`Subscription::start_from`].
    Assigned(Vec<TopicPartition>),
    /// Records, in order within each partition.
    Records(Vec<Received>),
    /// These partitions go to another member. Finish what is in hand, then answer `drained`: the
    /// other member gets them no earlier, unless that takes longer than [`Limits::drain`].
    Revoking {
        /// The partitions.
        partitions: Vec<TopicPartition>,
        /// To be answered when nothing of them is in hand any more.
        drained: oneshot::Sender<()>,
    },
    /// These partitions are gone already, and another member may hold them: drop what is in hand.
    Lost(Vec<TopicPartition>),
    /// Something failed. Unless it is fatal, the client goes on by itself.
    Failed(Error),
}

/// The limits of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most records handed over and not yet taken; then partitions pause.
    pub queue_records_max: usize,
    /// The most records in one [`Input::Records`].
    pub batch_records_max: usize,
    /// The most bytes in one [`Input::Records`], but at least one record.
    pub batch_bytes_max: usize,
    /// How much the client fetches ahead, in KiB, all partitions together.
    pub prefetch_kib_max: usize,
    /// How long the broker may hold records back until 256 KiB of them have gathered. Zero: not at
    /// all. Few large answers cost a fraction of many small ones, on both sides.
    pub gather: Duration,
    /// How long a partition being revoked is held back for [`Input::Revoking`] to be answered.
    pub drain: Duration,
    /// How long a partition is silent before its end is asked for. One that is found below its end twice
    /// in a row was lost by the client, which is then replaced.
    pub patience: Duration,
}

/// A member of a consumer group. Dropping it leaves the group in the background.
pub struct Subscription {
    shared: Arc<Shared>,
    connection: Connection,
    ended: Option<oneshot::Receiver<()>>,
}

/// What is worth an answer at once although there is time to gather more: a full batch of orders.
const GATHER_BYTES: usize = 256 * 1024;

/// Twice this is how long a lost partition stands still.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Leaving takes a request or two; a broker that does not answer is left without a word.
const CLOSE_WAIT: Duration = Duration::from_secs(5);

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            queue_records_max: 4_096,
            batch_records_max: 512,
            batch_bytes_max: 1024 * 1024,
            prefetch_kib_max: 8 * 1024,
            gather: Duration::ZERO,
            // Shorter than any session timeout that makes sense, so that a slow drain does not cost
            // the membership as well.
            drain: Duration::from_secs(5),
            // A broker that is back after an outage is fetched from within a second or two; a request
            // a partition in this time costs nothing.
            patience: PATIENCE,
        }
    }
}

impl Limits {
    /// How many batches fit into the queue.
    const fn batches(&self) -> usize {
        let batches = self.queue_records_max.checked_div(self.batch_records_max);
        match batches {
            Some(batches) if batches > 1 => batches,
            _ => 1,
        }
    }
}

// === impl Subscription ===

impl Subscription {
    /// Joins `group` for `topics` and starts polling. Inputs come out of the receiver, which must be
    /// read: when it is full, partitions pause.
    ///
    /// # Errors
    /// When the settings do not fit together or no thread can be started.
    pub fn start(
        config: &Config,
        group: &str,
        topics: &[&str],
        limits: Limits,
    ) -> Result<(Self, mpsc::Receiver<Input>), Error> {
        let (inputs, receiver) = mpsc::channel(limits.batches());
        let connection = Connection::default();
        let shared = Arc::new(Shared::default());
        let member = Arc::new(Membership::new(
            connection.clone(),
            Arc::clone(&shared),
            inputs,
            limits.drain,
        ));
        let client = Client::join(config, group, topics, limits, member)?;
        let (ended, end) = oneshot::channel();
        let work = Poller::new(client, limits);
        thread::Builder::new()
            .name("kafka-poll".to_owned())
            .spawn(move || {
                work.run();
                if ended.send(()).is_err() {
                    tracing::debug!("nobody waited for the consumer to leave its group");
                }
            })
            .map_err(|_| Error::Closed)?;
        let subscription = Self {
            shared,
            connection,
            ended: Some(end),
        };
        Ok((subscription, receiver))
    }

    /// Lets an assigned partition speak, from this offset on. Called again, it begins again there:
    /// records handed over before may still be in the receiver. An offset beyond the end waits for
    /// it. Ignored for partitions that are not ours (any more).
    pub fn start_from(&self, partition: &TopicPartition, offset: i64) {
        self.shared.change(|wishes| {
            wishes.starts.insert(partition.clone(), offset);
        });
    }

    /// Silences a partition, bounded by what the receiver still holds, until [`Self::resume`].
    pub fn pause(&self, partition: &TopicPartition) {
        self.shared.change(|wishes| {
            wishes.paused.insert(partition.clone());
        });
    }

    /// Lets a paused partition go on where it stopped.
    pub fn resume(&self, partition: &TopicPartition) {
        self.shared.change(|wishes| {
            wishes.paused.remove(partition);
        });
    }

    /// Tells the broker the next offsets, once a second: for tools that show lag. The positions that
    /// count are the consumer's own.
    pub fn commit(&self, offsets: &[(TopicPartition, i64)]) {
        // Nobody is woken: the thread looks once a second.
        self.shared
            .note(|wishes| wishes.commits.extend(offsets.iter().cloned()));
    }

    /// The ends of our partitions as the last fetches reported them: no request is made, and a
    /// partition not fetched yet is missing.
    #[must_use]
    pub fn end_offsets(&self) -> BTreeMap<TopicPartition, i64> {
        self.shared.note(|wishes| wishes.ends.clone())
    }

    /// How long ago the thread polled last: more than a few seconds means that it is stuck.
    #[must_use]
    pub fn polled_ago(&self) -> Duration {
        self.shared.polled_ago()
    }

    /// How it stands with its brokers.
    #[must_use]
    pub const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Leaves the group, so that others take over at once. Finish what is in hand first: no further
    /// input comes, revocations included.
    pub async fn close(mut self) {
        self.shared.stop();
        if let Some(ended) = self.ended.take()
            && tokio::time::timeout(CLOSE_WAIT, ended).await.is_err()
        {
            tracing::warn!("the broker did not answer the consumer's leaving in time");
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}
