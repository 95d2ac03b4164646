use brewline_kafka as kafka;
use brewline_postgres as postgres;

/// Why a relay or a consumer ended. Outages end neither: they are waited for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database refused what must never be refused.
    #[error("messaging tables: {0}")]
    Postgres(#[from] postgres::Error),
    /// Kafka refused for good: settings, rights, or a fatal state of the client.
    #[error("kafka: {0}")]
    Kafka(#[from] kafka::Error),
    /// The topic was deleted and made anew: its offsets mean something else now.
    #[error(
        "topic {topic} is not the log that {consumer} has read: its id is {found}, the stored one {stored}; \
         an operator has to accept the new log"
    )]
    TopicRecreated {
        /// The consumer that stops.
        consumer: String,
        /// The topic.
        topic: String,
        /// The id in `consumer_position`.
        stored: String,
        /// The id Kafka tells.
        found: String,
    },
    /// The installation has fewer slots than the setting says.
    #[error("relay slot {0} is not in table relay_slot")]
    UnknownSlot(i16),
}
