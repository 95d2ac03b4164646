//! The topics of events: who writes each, who reads it, what its records are keyed by. The rights on the
//! broker, the topics a stack makes and `asyncapi.yaml` all come from here.

/// One topic of events.
#[derive(Clone, Copy, Debug)]
pub struct EventTopic {
    /// Its name.
    pub name: &'static str,
    /// What it tells, as a sentence.
    pub about: &'static str,
    /// The package of its messages.
    pub package: &'static str,
    /// The one service that writes it.
    pub owner: &'static str,
    /// Whether the last record of each key is the whole state.
    pub compacted: bool,
    /// The services that consume it.
    pub consumers: &'static [&'static str],
    /// What the subject, which is also the record's key, is.
    pub subject: &'static str,
}

/// All topics of events.
pub const EVENT_TOPICS: [EventTopic; 7] = [
    EventTopic {
        name: "brewline.order.events.v1",
        about: "What became of orders.",
        package: "brewline.order.v1",
        owner: "order",
        compacted: false,
        consumers: &["inventory", "barista", "notification", "leaderboard"],
        subject: "the order's id",
    },
    EventTopic {
        name: "brewline.customer.events.v1",
        about: "Customers, each record the whole state.",
        package: "brewline.customer.v1",
        owner: "order",
        compacted: true,
        consumers: &["notification", "leaderboard"],
        subject: "the customer's id",
    },
    EventTopic {
        name: "brewline.payment.events.v1",
        about: "Money held, taken and given back.",
        package: "brewline.payment.v1",
        owner: "payment",
        compacted: false,
        consumers: &[],
        subject: "the order's id",
    },
    EventTopic {
        name: "brewline.inventory.events.v1",
        about: "Stock reserved, committed, given back and adjusted.",
        package: "brewline.inventory.v1",
        owner: "inventory",
        compacted: false,
        consumers: &["order"],
        subject: "the order's id; of StockAdjusted `<store>/<product>`",
    },
    EventTopic {
        name: "brewline.catalogue.events.v1",
        about: "Stores and products, each record the whole state.",
        package: "brewline.catalogue.v1",
        owner: "inventory",
        compacted: true,
        consumers: &["order", "leaderboard"],
        subject: "`store/<id>` or `product/<id>`",
    },
    EventTopic {
        name: "brewline.fulfilment.events.v1",
        about: "Tickets at the baristas' stations.",
        package: "brewline.fulfilment.v1",
        owner: "barista",
        compacted: false,
        consumers: &["order", "barista"],
        subject: "the order's id",
    },
    EventTopic {
        name: "brewline.notification.events.v1",
        about: "What customers were told.",
        package: "brewline.notification.v1",
        owner: "notification",
        compacted: false,
        consumers: &[],
        subject: "the delivery's id",
    },
];

// === impl EventTopic ===

impl EventTopic {
    /// Where its consumers put what they cannot handle.
    #[must_use]
    pub fn dead_letter(&self) -> String {
        format!("{}.dead-letter", self.name)
    }
}
