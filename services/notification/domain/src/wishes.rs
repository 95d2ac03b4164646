/// What a customer is told about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The order is sold.
    Confirmed,
    /// The order is not sold.
    Rejected,
    /// The order is made.
    Ready,
    /// The order is cancelled.
    Cancelled,
}

/// How a customer is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// By mail.
    Email,
}

/// What a customer wants. Who has said nothing is told everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wishes {
    channels: Vec<Channel>,
    kinds: Vec<Kind>,
}

// === impl Kind ===

impl Kind {
    /// All there are.
    pub const ALL: [Self; 4] = [
        Self::Confirmed,
        Self::Rejected,
        Self::Ready,
        Self::Cancelled,
    ];

    /// What an order's event tells its customer, if anything; by the event's full name.
    #[must_use]
    pub fn of_event(event_type: &str) -> Option<Self> {
        match event_type {
            "brewline.order.v1.OrderConfirmed" => Some(Self::Confirmed),
            "brewline.order.v1.OrderRejected" => Some(Self::Rejected),
            "brewline.order.v1.OrderReady" => Some(Self::Ready),
            "brewline.order.v1.OrderCancelled" => Some(Self::Cancelled),
            _ => None,
        }
    }

    /// Its name, in tables and in Message-IDs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Rejected => "rejected",
            Self::Ready => "ready",
            Self::Cancelled => "cancelled",
        }
    }

    /// The kind of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

// === impl Channel ===

impl Channel {
    /// All there are.
    pub const ALL: [Self; 1] = [Self::Email];

    /// Its name, in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
        }
    }

    /// The channel of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.name() == name)
    }
}

// === impl Wishes ===

impl Wishes {
    /// These, and nothing else.
    #[must_use]
    pub const fn new(channels: Vec<Channel>, kinds: Vec<Kind>) -> Self {
        Self { channels, kinds }
    }

    /// Whether the customer wants to be told this by that.
    #[must_use]
    pub fn include(&self, kind: Kind, channel: Channel) -> bool {
        self.channels.contains(&channel) && self.kinds.contains(&kind)
    }
}

impl Default for Wishes {
    fn default() -> Self {
        Self::new(Channel::ALL.to_vec(), Kind::ALL.to_vec())
    }
}
