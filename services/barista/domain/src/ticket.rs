use std::fmt;
use std::str::FromStr;

use brewline_kernel::ProductId;
use uuid::Uuid;

/// How many of one product a line of an order can have.
pub const QUANTITY_MAX: i64 = 99;

/// A ticket: a UUID of version 7, so that ids sort by the time of opening.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TicketId(Uuid);

/// Where a ticket is worked on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Station {
    /// Drinks, by their method.
    Brew {
        /// How it is brewed.
        method: String,
    },
    /// Food.
    Plate,
}

/// Where a ticket stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TicketStatus {
    /// Nobody has begun.
    Open,
    /// Somebody is at it.
    Started,
    /// Made.
    Done,
    /// Taken off the wall, never to be made.
    Withdrawn,
}

/// A line of an order that is to become a ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTicket {
    /// Its id.
    pub id: TicketId,
    /// The product.
    pub product: ProductId,
    /// The product's name, for people.
    pub name: String,
    /// How many, 1 to [`QUANTITY_MAX`].
    pub quantity: i64,
    /// Where it is made.
    pub station: Station,
}

/// One line of an order at its station.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Its id.
    pub id: TicketId,
    /// The line of the order, counted from 0.
    pub line: i32,
    /// The product.
    pub product: ProductId,
    /// The product's name, for people.
    pub name: String,
    /// How many.
    pub quantity: i64,
    /// Where it is made.
    pub station: Station,
    /// Where it stands.
    pub status: TicketStatus,
}

/// A text that is no ticket's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a ticket id is a UUID")]
pub struct InvalidTicket;

// === impl TicketId ===

impl TicketId {
    /// From a UUID.
    #[must_use]
    pub const fn new(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// As a UUID.
    #[must_use]
    pub const fn as_uuid(&self) -> Uuid {
        self.0
    }
}

impl FromStr for TicketId {
    type Err = InvalidTicket;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::try_parse(text).map(Self).map_err(|_| InvalidTicket)
    }
}

impl fmt::Display for TicketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

// === impl TicketStatus ===

impl TicketStatus {
    /// Whether it is on the wall: to be made, and not made yet.
    #[must_use]
    pub const fn is_on_the_wall(self) -> bool {
        matches!(self, Self::Open | Self::Started)
    }
}

// === impl Ticket ===

impl Ticket {
    pub(crate) fn open(line: i32, new: &NewTicket) -> Self {
        Self {
            id: new.id,
            line,
            product: new.product.clone(),
            name: new.name.clone(),
            quantity: new.quantity,
            station: new.station.clone(),
            status: TicketStatus::Open,
        }
    }
}
