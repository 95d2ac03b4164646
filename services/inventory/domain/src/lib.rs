//! What `inventory` decides: who gets which stock, and what is sold where.
//!
//! Nothing here does I/O, reads a clock or draws a random number; the manifest proves it.
//!
//! # The reservation
//!
//! One per order, moved on by the order's events. Its versions are the versions of the subject on
//! `brewline.inventory.events.v1`:
//!
//! ```text
//!              OrderPlaced, all lines there       OrderConfirmed          OrderCancelled
//!   (nothing) ────────────────────────────► Reserved ────────► Committed ────────► Returned
//!       │ │                                  1  │           2                   3
//!       │ │  OrderPlaced, a line short          │ OrderRejected, OrderCancelled
//!       │ └──────────────────────► Rejected     └────────────► Released
//!       │                           1                         2
//!       │  OrderRejected or OrderCancelled before OrderPlaced
//!       └───────────────────────────────────────────────────► Released (tombstone)
//!                                                             1
//! ```
//!
//! Everything else is either a repeat, which changes nothing, or a contradiction (an order is
//! confirmed that holds no stock), which is refused loudly instead of being swallowed.
//!
//! # Stock
//!
//! A [`StockAccount`] is the stock of one product in one store. It only moves by [`Movement`]s, each
//! of which becomes one [`LedgerEntry`] with the balance after it; so the sum of the ledger is the
//! level, and no prefix of it ever sells what is not there.

mod catalogue;
mod lines;
mod reservation;
mod stock;

pub use catalogue::{
    CatalogueRejection, Details, FieldFault, Item, ProductDetails, ProductKind, StoreDetails,
};
pub use lines::{InvalidLines, Lines};
pub use reservation::{
    Contradiction, OrderEvent, Reservation, ReservationEvent, ReservationState, Shortage, decide,
    evolve, movements,
};
pub use stock::{AdjustRejection, LedgerEntry, Movement, MovementKind, StockAccount, StockLevel};
