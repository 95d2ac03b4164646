use std::future::Future;
use std::sync::Arc;

use brewline_kernel::Envelope;
use brewline_postgres as postgres;
use brewline_postgres::Transaction;
use bytes::Bytes;

/// An event as a consumer receives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The topic it was read from.
    pub topic: Arc<str>,
    /// The topic's partition.
    pub partition: i32,
    /// Its place in the partition.
    pub offset: i64,
    /// What is said about it.
    pub envelope: Envelope,
    /// Its body.
    pub payload: Bytes,
}

/// What a service does with the events it consumes.
pub trait Handler: Send + Sync + 'static {
    /// What remains to be done after the commit, such as sagas to move on.
    type Effect: Send + Default;

    /// Applies a batch inside `tx`. All of it is fresh: duplicates, events with a missing
    /// predecessor and those of parked subjects are taken out already. Events of one subject come in
    /// the order of their versions. The caller commits; after a failure it rolls back and asks again,
    /// maybe with a smaller batch.
    fn handle(
        &self,
        tx: &Transaction<'_>,
        batch: &[Delivery],
    ) -> impl Future<Output = Result<Self::Effect, Failure>> + Send;

    /// Called after the commit; must not block. It is a shortcut only: a process may die right
    /// before it, so whatever must happen is in the database too.
    fn committed(&self, effect: Self::Effect);
}

/// Why a batch was not applied.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The database refused or could not be reached. An outage is waited for and never counted as
    /// an attempt; anything else is the batch's own fault.
    #[error(transparent)]
    Database(#[from] postgres::Error),
    /// A record can never be applied as it is.
    #[error("{reason}")]
    Poison {
        /// Why, for people.
        reason: String,
    },
}

/// A consumer: a name, which is its Kafka group too, and what it reads.
#[derive(Clone, Copy, Debug)]
pub struct ConsumerSpec {
    /// Such as `brewline.order.stock`.
    pub name: &'static str,
    /// What it reads.
    pub topics: &'static [TopicSpec],
}

/// A topic as a consumer reads it.
#[derive(Clone, Copy, Debug)]
pub struct TopicSpec {
    /// Such as `brewline.order.events.v1`.
    pub name: &'static str,
    /// What its records are.
    pub kind: TopicKind,
}

/// What a topic's records are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicKind {
    /// Each record is one fact; a missing version is a fault.
    Events,
    /// Each record is a subject's whole state; compaction leaves gaps, and only the newest counts.
    Compacted,
}

// === impl Failure ===

impl Failure {
    /// A record that can never be applied as it is.
    #[must_use]
    pub fn poison(reason: impl Into<String>) -> Self {
        Self::Poison {
            reason: reason.into(),
        }
    }

    /// What kind of failure it is, in one word that holds nothing of the record.
    #[must_use]
    pub const fn class(&self) -> &'static str {
        match self {
            Self::Database(_) => "database",
            Self::Poison { .. } => "poison",
        }
    }

    /// Whether waiting helps: then the batch is tried again as it is, and nothing is counted.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Database(error) => error.is_unavailable() || error.is_retryable(),
            Self::Poison { .. } => false,
        }
    }
}

// === impl ConsumerSpec ===

impl ConsumerSpec {
    /// The kind of one of its topics.
    #[must_use]
    pub fn kind(&self, topic: &str) -> Option<TopicKind> {
        let spec = self.topics.iter().find(|spec| spec.name == topic);
        spec.map(|spec| spec.kind)
    }
}
