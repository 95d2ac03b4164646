//! Boards as a fold of the log: pure, without floats, the same bytes for the same events.
//!
//! ```text
//!  StoreChanged, ProductChanged, CustomerChanged ──┐
//!  OrderConfirmed: counts                          ├──► Fold ──► Ranking of each board, store, window
//!  OrderCancelled: takes back exactly that         │          ├─► Trending, Revenue, Tastes
//!  any other order event: moves its version        ┘          └─► encode(): the same for any interleaving
//! ```
//!
//! An order counts at `OrderConfirmed`, on its store's local date of that instant. `OrderCancelled` carries
//! the lines and `confirmedAt`, so that what it takes back needs no memory of the order. Everything that is
//! kept is a sum or a maximum: whatever order the partitions are read in, the end is the same, as long as
//! each subject's events come in the order of their versions.
//!
//! * [`Fold`]: the whole state, and [`Fold::apply`].
//! * [`Ranking`]: one board of one window and store: update, rank and page in O(log n).
//! * [`Window`], [`Day`]: local dates, ISO weeks, months, and how long each is kept.
//! * [`Trending`]: counts in 5-minute buckets times fixed integer weights.
//! * [`Tastes`]: who tried what, and what goes together.
//! * [`Versions`]: what was applied, so that duplicates are refused.

mod board;
mod bytes;
mod catalogue;
mod day;
mod event;
mod fold;
mod people;
mod pseudonym;
mod ranking;
mod rows;
mod snapshot;
mod tables;
mod tastes;
mod trending;
mod versions;

pub use board::{Board, UnknownBoard};
pub use bytes::{Malformed, Reader, Writer};
pub use catalogue::{Catalogue, Product, Store};
pub use day::{Day, Window};
pub use event::{Calendar, Event, Incoming, Kind, Sale, SoldLine, Topic};
pub use fold::{Applied, Fold, Held, Skipped};
pub use people::People;
pub use pseudonym::pseudonym;
pub use ranking::{Ranking, Standing};
pub use rows::{Difference, Differs, Row};
pub use tables::Tables;
pub use tastes::{Because, Suggestion, Tastes};
pub use trending::{Bucket, Trending};
pub use versions::Versions;

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher};

/// A hash map whose hasher has no random seed: nothing here may draw a number, and no order of iteration is
/// ever shown.
type Map<K, V> = HashMap<K, V, BuildHasherDefault<DefaultHasher>>;
