use brewline_kernel::{ProductId, StoreId};

use crate::{Lines, Movement};

/// What an order's event asks of the stock. The other events of an order ask nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderEvent {
    /// The order wants its lines held.
    Placed {
        /// Where.
        store: StoreId,
        /// What.
        lines: Lines,
    },
    /// The order is sold.
    Confirmed,
    /// The order is not sold.
    Rejected {
        /// Where it was placed; a tombstone tells it.
        store: StoreId,
    },
    /// The order is undone, sold or not.
    Cancelled {
        /// Where it was placed; a tombstone tells it.
        store: StoreId,
    },
}

/// Where a reservation is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReservationState {
    /// A line was short: nothing was ever held.
    Rejected,
    /// All lines are held.
    Reserved,
    /// What was held is sold.
    Committed,
    /// What was held is free again; or nothing was held, since the order ended first.
    Released,
    /// What was sold is back.
    Returned,
}

/// What one order holds, or held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// Where.
    pub store: StoreId,
    /// What; empty when nothing was ever held.
    pub lines: Lines,
    /// How far it is.
    pub state: ReservationState,
    /// The version of its last event.
    pub version: i64,
}

/// What happened to a reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReservationEvent {
    /// All lines are held.
    Reserved {
        /// Where.
        store: StoreId,
        /// What.
        lines: Lines,
    },
    /// A line was short, so none is held.
    Rejected {
        /// Where.
        store: StoreId,
        /// The lines that were short.
        shortages: Vec<Shortage>,
    },
    /// What was held is sold.
    Committed {
        /// Where.
        store: StoreId,
        /// What.
        lines: Lines,
    },
    /// Nothing is held any more, or ever will be.
    Released {
        /// Where.
        store: StoreId,
        /// What was held; empty for a tombstone.
        lines: Lines,
    },
    /// What was sold is back.
    Returned {
        /// Where.
        store: StoreId,
        /// What.
        lines: Lines,
    },
}

/// A product there was too little of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// The product.
    pub product: ProductId,
    /// How many were wanted.
    pub requested: i64,
    /// How many there were.
    pub available: i64,
}

/// An order's event that cannot follow what happened before. Swallowing it would leave an order sold
/// without stock, or stock sold without an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Contradiction {
    /// Sold, but nothing is held for it.
    #[error("the order is confirmed, but its stock is not reserved")]
    ConfirmedWithoutStock,
    /// Not sold, although its stock was.
    #[error("the order is rejected, but its stock is sold")]
    RejectedAfterCommit,
}

/// Decides what an order's event does to its reservation. Nothing, when it is a repeat or comes after
/// the end. `available` tells how many of a product can still be sold in the order's store.
///
/// # Errors
/// When the event contradicts what happened before.
pub fn decide(
    current: Option<&Reservation>,
    event: &OrderEvent,
    available: impl Fn(&ProductId) -> i64,
) -> Result<Option<ReservationEvent>, Contradiction> {
    match (event, current) {
        (OrderEvent::Placed { store, lines }, None) => Ok(Some(place(store, lines, available))),
        (OrderEvent::Placed { .. }, Some(_)) => Ok(None),
        (OrderEvent::Confirmed, Some(reservation)) => confirm(reservation),
        (OrderEvent::Confirmed, None) => Err(Contradiction::ConfirmedWithoutStock),
        (OrderEvent::Rejected { .. }, Some(reservation)) => reject(reservation),
        (OrderEvent::Cancelled { .. }, Some(reservation)) => Ok(cancel(reservation)),
        (OrderEvent::Rejected { store } | OrderEvent::Cancelled { store }, None) => {
            Ok(Some(tombstone(store)))
        }
    }
}

/// The reservation after `event`, which [`decide`] made from it.
#[must_use]
pub fn evolve(current: Option<&Reservation>, event: &ReservationEvent) -> Reservation {
    let (state, store, lines) = match event {
        ReservationEvent::Reserved { store, lines } => {
            (ReservationState::Reserved, store, lines.clone())
        }
        ReservationEvent::Rejected { store, .. } => {
            (ReservationState::Rejected, store, Lines::none())
        }
        ReservationEvent::Committed { store, lines } => {
            (ReservationState::Committed, store, lines.clone())
        }
        ReservationEvent::Released { store, lines } => {
            (ReservationState::Released, store, lines.clone())
        }
        ReservationEvent::Returned { store, lines } => {
            (ReservationState::Returned, store, lines.clone())
        }
    };
    Reservation {
        store: store.clone(),
        lines,
        state,
        version: current.map_or(1, |before| before.version + 1),
    }
}

/// What `event` moves, product by product.
#[must_use]
pub fn movements(event: &ReservationEvent) -> Vec<(&ProductId, Movement)> {
    let (lines, movement): (_, fn(i64) -> Movement) = match event {
        ReservationEvent::Reserved { lines, .. } => (lines, Movement::reserve),
        ReservationEvent::Rejected { .. } => return Vec::new(),
        ReservationEvent::Committed { lines, .. } => (lines, Movement::commit),
        ReservationEvent::Released { lines, .. } => (lines, Movement::release),
        ReservationEvent::Returned { lines, .. } => (lines, Movement::give_back),
    };
    lines
        .iter()
        .map(|(product, quantity)| (product, movement(quantity)))
        .collect()
}

fn place(
    store: &StoreId,
    lines: &Lines,
    available: impl Fn(&ProductId) -> i64,
) -> ReservationEvent {
    let shortages: Vec<_> = lines
        .iter()
        .filter_map(|(product, requested)| shortage(product, requested, available(product)))
        .collect();
    let store = store.clone();
    if shortages.is_empty() {
        let lines = lines.clone();
        ReservationEvent::Reserved { store, lines }
    } else {
        ReservationEvent::Rejected { store, shortages }
    }
}

fn shortage(product: &ProductId, requested: i64, available: i64) -> Option<Shortage> {
    (requested > available).then(|| Shortage {
        product: product.clone(),
        requested,
        available,
    })
}

fn confirm(current: &Reservation) -> Result<Option<ReservationEvent>, Contradiction> {
    match current.state {
        ReservationState::Reserved => Ok(Some(ReservationEvent::Committed {
            store: current.store.clone(),
            lines: current.lines.clone(),
        })),
        ReservationState::Committed | ReservationState::Returned => Ok(None),
        ReservationState::Rejected | ReservationState::Released => {
            Err(Contradiction::ConfirmedWithoutStock)
        }
    }
}

fn reject(current: &Reservation) -> Result<Option<ReservationEvent>, Contradiction> {
    match current.state {
        ReservationState::Reserved => Ok(Some(release(current))),
        ReservationState::Rejected | ReservationState::Released => Ok(None),
        ReservationState::Committed | ReservationState::Returned => {
            Err(Contradiction::RejectedAfterCommit)
        }
    }
}

fn cancel(current: &Reservation) -> Option<ReservationEvent> {
    match current.state {
        ReservationState::Reserved => Some(release(current)),
        ReservationState::Committed => Some(ReservationEvent::Returned {
            store: current.store.clone(),
            lines: current.lines.clone(),
        }),
        ReservationState::Rejected | ReservationState::Released | ReservationState::Returned => {
            None
        }
    }
}

fn release(current: &Reservation) -> ReservationEvent {
    ReservationEvent::Released {
        store: current.store.clone(),
        lines: current.lines.clone(),
    }
}

fn tombstone(store: &StoreId) -> ReservationEvent {
    ReservationEvent::Released {
        store: store.clone(),
        lines: Lines::none(),
    }
}
