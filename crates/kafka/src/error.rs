use std::sync::Arc;

use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;

use crate::Connection;

/// What went wrong with Kafka.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The producer's queue is full: wait for deliveries, then send again.
    #[error("the producer's queue is full")]
    QueueFull,
    /// A record was not acknowledged. It may be in the log all the same.
    #[error("deliver a record: {0}")]
    Delivery(#[source] KafkaError),
    /// The client failed in another way.
    #[error("{doing}: {source}")]
    Client {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        source: KafkaError,
    },
    /// An administrative request failed for one topic.
    #[error("{doing} {topic}: {reason}")]
    Topic {
        /// What was being done.
        doing: &'static str,
        /// The topic.
        topic: String,
        /// Why it failed.
        reason: String,
    },
    /// The broker did not answer in time; the reason is the client's last complaint, if any.
    #[error("{doing}: no answer in time{}", .complaint.as_ref().map(|text| format!(" ({text})")).unwrap_or_default())]
    Unanswered {
        /// What was being done.
        doing: &'static str,
        /// What the client complained of last.
        complaint: Option<Arc<str>>,
    },
    /// The client was closed.
    #[error("the Kafka client is closed")]
    Closed,
}

// === impl Error ===

impl Error {
    /// The client is of no further use: end the process and start afresh.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Closed)
            || matches!(self.kafka(), Some(KafkaError::MessageConsumptionFatal(_)))
            || matches!(self.code(), Some(Code::Fatal))
    }

    /// The producer's queue is full.
    #[must_use]
    pub const fn is_queue_full(&self) -> bool {
        matches!(self, Self::QueueFull)
    }

    /// The record was not acknowledged in time.
    #[must_use]
    pub fn is_timed_out(&self) -> bool {
        matches!(self.code(), Some(Code::MessageTimedOut))
    }

    /// The record was taken out of the queue by [`crate::Producer::purge`].
    #[must_use]
    pub fn is_purged(&self) -> bool {
        matches!(self.code(), Some(Code::PurgeQueue | Code::PurgeInflight))
    }

    /// The user may not do this; trying again does not help until somebody grants it.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(
            self.code(),
            Some(
                Code::TopicAuthorizationFailed
                    | Code::GroupAuthorizationFailed
                    | Code::ClusterAuthorizationFailed
                    | Code::SaslAuthenticationFailed
                    | Code::Authentication
            )
        )
    }

    /// The topic or partition does not exist.
    #[must_use]
    pub fn is_unknown_topic(&self) -> bool {
        matches!(
            self.code(),
            Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition)
        )
    }

    /// The same with what the client complained of last, where silence alone says little.
    pub(crate) fn with_complaint(mut self, connection: &Connection) -> Self {
        if let Self::Unanswered { complaint, .. } = &mut self {
            *complaint = connection.last_error();
        }
        self
    }

    pub(crate) const fn while_doing(doing: &'static str) -> impl FnOnce(KafkaError) -> Self {
        move |source| Self::Client { doing, source }
    }

    fn code(&self) -> Option<Code> {
        self.kafka()?.rdkafka_error_code()
    }

    const fn kafka(&self) -> Option<&KafkaError> {
        match self {
            Self::Delivery(source) | Self::Client { source, .. } => Some(source),
            Self::QueueFull | Self::Topic { .. } | Self::Unanswered { .. } | Self::Closed => None,
        }
    }
}
