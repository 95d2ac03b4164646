//! The topics of brewline, and what the broker keeps of them.

pub use brewline_proto::topics::{EVENT_TOPICS, EventTopic};

/// Partitions of every topic on one machine. The broker pays per partition and linger window, so
/// few are better here; the count never changes within a topic's major version.
pub const PARTITIONS: u16 = 4;

/// Dead letters are for people: two weeks, like the inbox.
const DEAD_LETTER_RETENTION_MS: &str = "1209600000";

/// An erased customer's older records must be gone within a day.
const COMPACTION_LAG_MS_MAX: &str = "86400000";

/// One topic as the broker is told to make it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicToMake {
    /// Its name.
    pub name: String,
    /// What differs from the broker's defaults.
    pub config: Vec<(&'static str, &'static str)>,
}

/// Every topic that has to exist before a service starts.
#[must_use]
pub fn topics_to_make() -> Vec<TopicToMake> {
    let one = |name: String, config| TopicToMake { name, config };
    EVENT_TOPICS
        .iter()
        .flat_map(|topic| {
            let dead_letter = vec![("retention.ms", DEAD_LETTER_RETENTION_MS)];
            [
                one(topic.name.to_owned(), config(topic)),
                one(topic.dead_letter(), dead_letter),
            ]
        })
        .collect()
}

fn config(topic: &EventTopic) -> Vec<(&'static str, &'static str)> {
    if topic.compacted {
        vec![
            ("cleanup.policy", "compact"),
            ("max.compaction.lag.ms", COMPACTION_LAG_MS_MAX),
        ]
    } else {
        vec![("retention.ms", "-1")]
    }
}
