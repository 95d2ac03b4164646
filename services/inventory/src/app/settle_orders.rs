//! Moves the reservations of a batch of orders on, in memory, over what was loaded and locked.
//!
//! Nothing here waits: levels run along from event to event, so that the last order of a batch sees
//! what the first one took, and each stock row is written once however often it moved.

use std::collections::{BTreeMap, BTreeSet};

use brewline_inventory_domain::{
    Contradiction, LedgerEntry, Lines, OrderEvent, Reservation, ReservationEvent, StockAccount,
    StockLevel, decide, evolve,
};
use brewline_kernel::{OrderId, ProductId, StoreId, TraceParent};
use uuid::Uuid;

use super::planted;

/// An order's event, with what ties its effects to it.
#[derive(Clone, Debug)]
pub struct Ordered {
    /// The order.
    pub order: OrderId,
    /// What it asks.
    pub event: OrderEvent,
    /// The event's id: the cause of everything that follows from it.
    pub cause: Uuid,
    /// Shared by everything that one request set in motion.
    pub correlation: Uuid,
    /// The trace it belongs to.
    pub traceparent: Option<TraceParent>,
}

/// The reservations of a batch as they are stored.
pub type Reservations = BTreeMap<OrderId, Reservation>;

/// The locked stock of a batch, by store and product.
#[derive(Clone, Debug, Default)]
pub struct Shelf(BTreeMap<StoreId, BTreeMap<ProductId, Locked>>);

/// One locked stock row.
#[derive(Clone, Copy, Debug)]
struct Locked {
    stock_id: i32,
    stored: StockAccount,
    account: StockAccount,
}

/// Everything a batch changes, ready to be stored table by table.
#[derive(Debug, Default)]
pub struct Settled {
    /// Each reservation that moved, in its last state.
    pub reservations: Reservations,
    /// Each stock row that moved, once.
    pub stock: Vec<StockChange>,
    /// Every movement.
    pub ledger: Vec<Posting>,
    /// What happened, in order.
    pub events: Vec<Happened>,
}

/// The account of one stock row after the batch.
#[derive(Clone, Copy, Debug)]
pub struct StockChange {
    /// The row.
    pub stock_id: i32,
    /// What it holds now.
    pub account: StockAccount,
}

/// A ledger entry with what it belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Posting {
    /// The stock row.
    pub stock_id: i32,
    /// The entry.
    pub entry: LedgerEntry,
    /// The order, unless it is an adjustment.
    pub order: Option<OrderId>,
    /// The event that moved the stock.
    pub cause: Uuid,
}

/// What happened to one reservation, and because of what.
#[derive(Clone, Debug)]
pub struct Happened {
    /// The event.
    pub event: ReservationEvent,
    /// The reservation's version after it.
    pub version: i64,
    /// Where it came from.
    pub because: Ordered,
}

/// Why a batch cannot be settled. The consumer then looks for the record at fault.
#[derive(Debug, thiserror::Error)]
pub enum Unsettled {
    /// The order's events contradict each other.
    #[error("order {order}: {contradiction}")]
    Contradiction {
        /// The order.
        order: OrderId,
        /// What is wrong.
        contradiction: Contradiction,
    },
    /// Stock would be oversold, which no decision may lead to.
    #[error("stock row {stock_id} would hold {on_hand}, of which {reserved} are reserved", on_hand = .level.on_hand, reserved = .level.reserved)]
    Oversold {
        /// The stock row.
        stock_id: i32,
        /// What it would be.
        level: StockLevel,
    },
}

/// The stock that `batch` may move: what placed orders ask for, and what the others hold.
#[must_use]
pub fn wanted(batch: &[Ordered], stored: &Reservations) -> BTreeSet<(StoreId, ProductId)> {
    let mut wanted = BTreeSet::new();
    let mut add = |store: &StoreId, lines: &Lines| {
        wanted.extend(
            lines
                .iter()
                .map(|(product, _)| (store.clone(), product.clone())),
        );
    };
    for reservation in stored.values() {
        add(&reservation.store, &reservation.lines);
    }
    for ordered in batch {
        if let OrderEvent::Placed { store, lines } = &ordered.event {
            add(store, lines);
        }
    }
    wanted
}

/// Decides every event of `batch`, in order.
///
/// # Errors
/// When an event contradicts what happened before, or stock would be oversold.
pub fn settle(
    batch: Vec<Ordered>,
    stored: &Reservations,
    mut shelf: Shelf,
) -> Result<Settled, Unsettled> {
    let mut settled = Settled::default();
    for ordered in batch {
        settled.settle_one(ordered, stored, &mut shelf)?;
    }
    settled.stock = shelf.changes()?;
    Ok(settled)
}

// === impl Settled ===

impl Settled {
    fn settle_one(
        &mut self,
        ordered: Ordered,
        stored: &Reservations,
        shelf: &mut Shelf,
    ) -> Result<(), Unsettled> {
        let order = ordered.order;
        let latest = self.reservations.get(&order).or_else(|| stored.get(&order));
        let current = planted::found(latest, &ordered.event);
        let decided = decide(current, &ordered.event, |product| {
            shelf.available(&ordered.event, product)
        });
        let decided = decided.map_err(|contradiction| Unsettled::Contradiction {
            order,
            contradiction,
        })?;
        let Some(event) = decided else { return Ok(()) };
        let reservation = evolve(current, &event);
        for (product, movement) in planted::moved(&event, &ordered.event) {
            let posted = shelf.post(&reservation.store, product, movement);
            self.ledger.extend(posted.map(|(stock_id, entry)| Posting {
                stock_id,
                entry: planted::recorded(entry),
                order: Some(order),
                cause: ordered.cause,
            }));
        }
        self.events.push(Happened {
            event,
            version: reservation.version,
            because: ordered,
        });
        self.reservations.insert(order, reservation);
        Ok(())
    }
}

// === impl Shelf ===

impl Shelf {
    /// Puts a locked row on the shelf.
    pub fn put(
        &mut self,
        store: StoreId,
        product: ProductId,
        stock_id: i32,
        account: StockAccount,
    ) {
        let locked = Locked {
            stock_id,
            stored: account,
            account,
        };
        self.0.entry(store).or_default().insert(product, locked);
    }

    /// How many of a product the order's store can still sell; none where it never had any.
    fn available(&self, event: &OrderEvent, product: &ProductId) -> i64 {
        let OrderEvent::Placed { store, .. } = event else {
            return 0;
        };
        let locked = self.0.get(store).and_then(|products| products.get(product));
        locked.map_or(0, |locked| planted::available(locked.account.level()))
    }

    fn post(
        &mut self,
        store: &StoreId,
        product: &ProductId,
        movement: brewline_inventory_domain::Movement,
    ) -> Option<(i32, LedgerEntry)> {
        let locked = self.0.get_mut(store)?.get_mut(product)?;
        Some((locked.stock_id, locked.account.post(movement)))
    }

    /// The rows that moved.
    fn changes(self) -> Result<Vec<StockChange>, Unsettled> {
        let rows = self.0.into_values().flat_map(BTreeMap::into_values);
        let moved = rows.filter(|locked| locked.account != locked.stored);
        moved.map(Locked::change).collect()
    }
}

// === impl Locked ===

impl Locked {
    fn change(self) -> Result<StockChange, Unsettled> {
        let Self {
            stock_id, account, ..
        } = self;
        let level = account.level();
        if planted::may_be_stored(level) {
            Ok(StockChange { stock_id, account })
        } else {
            Err(Unsettled::Oversold { stock_id, level })
        }
    }
}
