//! Folds a batch of what happened into changes of the walls, in memory.
//!
//! A ticket that came and went within the batch leaves no trace but the wall's position.

use std::collections::{BTreeMap, BTreeSet};

use brewline_barista_domain::{PreparationEvent, Station, Ticket, TicketId, TicketStatus};
use brewline_kernel::{OrderId, StoreId, Timestamp};

use super::prepare::Happened;

/// What an event means to a wall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// These are to be made.
    Opened(Vec<Item>),
    /// Somebody has begun with this one.
    Begun(TicketId),
    /// These are made, or never will be.
    Gone(Vec<TicketId>),
}

/// A ticket on the wall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The ticket.
    pub ticket: TicketId,
    /// The order.
    pub order: OrderId,
    /// The product's name.
    pub product: String,
    /// How many.
    pub quantity: i64,
    /// Where it is made.
    pub station: Station,
    /// Open or started.
    pub status: TicketStatus,
    /// When it came onto the wall.
    pub opened_at: Timestamp,
}

/// A ticket's place on the walls.
pub type Place = (StoreId, TicketId);

/// Everything a batch changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Tickets that are new.
    pub opened: BTreeMap<Place, Item>,
    /// Tickets that were there and are begun.
    pub begun: BTreeSet<Place>,
    /// Tickets that were there and are gone.
    pub gone: BTreeSet<Place>,
    /// The stores whose wall looks different now.
    pub stores: BTreeSet<StoreId>,
}

// === impl Changes ===

impl Changes {
    /// What these events, told at `at`, change.
    #[must_use]
    pub fn of(events: &[Happened], at: Timestamp) -> Self {
        let mut changes = Self::default();
        for happened in events {
            if let Some(shown) = happened.shown(at) {
                changes.add(&happened.store, shown);
            }
        }
        changes
    }

    /// Takes in what happened at a store's wall.
    pub fn add(&mut self, store: &StoreId, shown: Shown) {
        match shown {
            Shown::Opened(items) => {
                let placed = items
                    .into_iter()
                    .map(|item| ((store.clone(), item.ticket), item));
                self.opened.extend(placed);
            }
            Shown::Begun(ticket) => self.begin((store.clone(), ticket)),
            // Nothing was on the wall that could leave it.
            Shown::Gone(tickets) if tickets.is_empty() => return,
            Shown::Gone(tickets) => {
                for ticket in tickets {
                    self.remove((store.clone(), ticket));
                }
            }
        }
        self.stores.insert(store.clone());
    }

    fn begin(&mut self, place: Place) {
        match self.opened.get_mut(&place) {
            Some(item) => item.status = TicketStatus::Started,
            None => drop(self.begun.insert(place)),
        }
    }

    fn remove(&mut self, place: Place) {
        if self.opened.remove(&place).is_none() {
            self.begun.remove(&place);
            self.gone.insert(place);
        }
    }
}

// === impl Happened ===

impl Happened {
    /// What it means to its store's wall; nothing for the events that mean nothing.
    fn shown(&self, at: Timestamp) -> Option<Shown> {
        match &self.event {
            PreparationEvent::TicketsOpened { tickets, .. } => {
                let items = tickets.iter().map(|ticket| self.item(ticket, at));
                Some(Shown::Opened(items.collect()))
            }
            PreparationEvent::PreparationStarted { ticket }
            | PreparationEvent::TicketStarted { ticket } => Some(Shown::Begun(*ticket)),
            PreparationEvent::TicketDone { ticket, .. } => Some(Shown::Gone(vec![*ticket])),
            PreparationEvent::TicketsWithdrawn { tickets, .. } => {
                Some(Shown::Gone(tickets.clone()))
            }
            PreparationEvent::PreparationCompleted
            | PreparationEvent::WithdrawalRefused { .. }
            | PreparationEvent::NeverOpened { .. } => None,
        }
    }

    fn item(&self, ticket: &Ticket, opened_at: Timestamp) -> Item {
        Item {
            ticket: ticket.id,
            order: self.order,
            product: ticket.name.clone(),
            quantity: ticket.quantity,
            station: ticket.station.clone(),
            status: TicketStatus::Open,
            opened_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn store() -> StoreId {
        "store-lisbon".parse().unwrap()
    }

    fn id(n: u128) -> TicketId {
        TicketId::new(Uuid::from_u128(n))
    }

    fn item(n: u128) -> Item {
        Item {
            ticket: id(n),
            order: OrderId::new(Uuid::from_u128(7)),
            product: "Cortado".to_owned(),
            quantity: 1,
            station: Station::Plate,
            status: TicketStatus::Open,
            opened_at: Timestamp::EPOCH,
        }
    }

    #[test]
    fn what_comes_begins_and_goes_within_a_batch_is_written_once_or_not_at_all() {
        let mut changes = Changes::default();
        changes.add(&store(), Shown::Opened(vec![item(1), item(2)]));
        for shown in [
            Shown::Begun(id(1)),
            Shown::Begun(id(2)),
            Shown::Gone(vec![id(1)]),
        ] {
            changes.add(&store(), shown);
        }
        let statuses: Vec<_> = changes
            .opened
            .values()
            .map(|it| (it.ticket, it.status))
            .collect();
        assert_eq!(statuses, [(id(2), TicketStatus::Started)]);
        assert!(changes.begun.is_empty() && changes.gone.is_empty());
        assert_eq!(changes.stores, BTreeSet::from([store()]));
    }

    #[test]
    fn what_was_there_before_is_changed_once() {
        let mut changes = Changes::default();
        for shown in [
            Shown::Begun(id(1)),
            Shown::Begun(id(2)),
            Shown::Gone(vec![id(1), id(3)]),
        ] {
            changes.add(&store(), shown);
        }
        assert_eq!(changes.begun, BTreeSet::from([(store(), id(2))]));
        assert_eq!(
            changes.gone,
            BTreeSet::from([(store(), id(1)), (store(), id(3))])
        );
    }

    #[test]
    fn a_withdrawal_of_nothing_changes_no_wall() {
        let mut changes = Changes::default();
        changes.add(&store(), Shown::Gone(Vec::new()));
        assert_eq!(changes, Changes::default());
    }
}
