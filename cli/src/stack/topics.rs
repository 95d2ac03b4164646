//! The topics of brewline: who writes each, who reads it, what the broker keeps.

/// Partitions of every topic on one machine. The broker pays per partition and linger window, so
/// few are better here; the count never changes within a topic's major version.
pub const PARTITIONS: u16 = 4;

/// Dead letters are for people: two weeks, like the inbox.
const DEAD_LETTER_RETENTION_MS: &str = "1209600000";

/// An erased customer's older records must be gone within a day.
const COMPACTION_LAG_MS_MAX: &str = "86400000";

/// One topic of events.
#[derive(Clone, Copy, Debug)]
pub struct EventTopic {
    /// Its name.
    pub name: &'static str,
    /// The one service that writes it.
    pub owner: &'static str,
    /// Whether the last record of each key is the whole state.
    pub compacted: bool,
    /// The services that consume it.
    pub consumers: &'static [&'static str],
}

/// All topics of events.
pub const EVENT_TOPICS: [EventTopic; 7] = [
    EventTopic {
        name: "brewline.order.events.v1",
        owner: "order",
        compacted: false,
        consumers: &["inventory", "barista", "notification", "leaderboard"],
    },
    EventTopic {
        name: "brewline.customer.events.v1",
        owner: "order",
        compacted: true,
        consumers: &["notification", "leaderboard"],
    },
    EventTopic {
        name: "brewline.payment.events.v1",
        owner: "payment",
        compacted: false,
        consumers: &[],
    },
    EventTopic {
        name: "brewline.inventory.events.v1",
        owner: "inventory",
        compacted: false,
        consumers: &["order"],
    },
    EventTopic {
        name: "brewline.catalogue.events.v1",
        owner: "inventory",
        compacted: true,
        consumers: &["order", "leaderboard"],
    },
    EventTopic {
        name: "brewline.fulfilment.events.v1",
        owner: "barista",
        compacted: false,
        consumers: &["order"],
    },
    EventTopic {
        name: "brewline.notification.events.v1",
        owner: "notification",
        compacted: false,
        consumers: &[],
    },
];

/// One topic as the broker is told to make it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicToMake {
    /// Its name.
    pub name: String,
    /// Its partitions.
    pub partitions: u16,
    /// What differs from the broker's defaults.
    pub config: Vec<(&'static str, &'static str)>,
}

// === impl EventTopic ===

impl EventTopic {
    /// Where its consumers put what they cannot handle.
    #[must_use]
    pub fn dead_letter(&self) -> String {
        format!("{}.dead-letter", self.name)
    }

    fn config(&self) -> Vec<(&'static str, &'static str)> {
        if self.compacted {
            vec![
                ("cleanup.policy", "compact"),
                ("max.compaction.lag.ms", COMPACTION_LAG_MS_MAX),
            ]
        } else {
            vec![("retention.ms", "-1")]
        }
    }
}

/// Every topic that has to exist before a service starts.
#[must_use]
pub fn topics_to_make() -> Vec<TopicToMake> {
    let one = |name: String, config| TopicToMake {
        name,
        partitions: PARTITIONS,
        config,
    };
    EVENT_TOPICS
        .iter()
        .flat_map(|topic| {
            let dead_letter = vec![("retention.ms", DEAD_LETTER_RETENTION_MS)];
            [
                one(topic.name.to_owned(), topic.config()),
                one(topic.dead_letter(), dead_letter),
            ]
        })
        .collect()
}
