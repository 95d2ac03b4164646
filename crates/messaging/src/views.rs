//! Views made anew from the log: `brewline.operator.v1.ViewService`.
//!
//! ```text
//! live     ──────────────── serves all the while ─────────┬──────────► dropped
//!                                    stop (≤ 1 s)    stop (≤ 1 s)
//! shadow   log from its beginning ──►│ a snapshot ├─ log ─┴──────────► serves
//!                                    └► compared
//! ```
//!
//! The shadow is a schema with empty copies of the view's tables and of the consumer's own. The handler
//! runs its unchanged SQL in transactions whose search path begins there, with an inbox of its own. To be
//! compared, both stand at the same positions for a moment, in which a snapshot is taken: the live one goes
//! on while the snapshot is read. A rebuild that dies leaves nothing but that schema, which the next one
//! drops.

mod compare;
mod rebuild;
mod service;
mod shadow;
mod source;

use std::fmt;
use std::sync::Arc;

use brewline_postgres::Transaction;
use futures_util::future::BoxFuture;

use crate::{ConsumerSpec, Delivery, Failure, Handler};

pub use service::{Views, service};

/// A view: tables that one consumer makes from the log and nobody else writes.
#[derive(Clone)]
pub struct View {
    /// Its name, such as `catalogue`: letters and underscores.
    pub name: &'static str,
    /// The consumer that keeps it. Of a view that the service writes itself, what it would be: a name
    /// for the shadow's inbox, and the topics.
    pub consumer: ConsumerSpec,
    /// Who keeps the live one.
    pub live: Live,
    /// The tables that hold it.
    pub tables: &'static [Table],
    /// More tables that the projection writes. It gets empty copies of them, which are dropped at the end.
    pub beside: &'static [&'static str],
    /// Run in the empty copies: rows that are there before the first event.
    pub seed: &'static str,
    /// Run in the new tables right before they serve; `public.` names the live ones. For columns that
    /// count, and must go on from where the live ones are.
    pub adopt: &'static str,
    /// Applies events.
    pub projection: Projection,
}

/// Who keeps a live view, and so how it is made to stand still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Live {
    /// The consumer: its positions are locked.
    Consumed,
    /// The service, in the transactions that leave the topics' events in its outbox: the tables are locked,
    /// until everything that was committed is in the log.
    Written,
}

/// A table of a view. It has a primary key, and no foreign key names it.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Columns that may differ: when a row was written, or as the how-manieth.
    pub not_compared: &'static [&'static str],
}

/// How a view's events are applied.
#[derive(Clone)]
pub struct Projection(Arc<dyn Apply>);

trait Apply: Send + Sync {
    fn apply<'a>(
        &'a self,
        tx: &'a Transaction<'_>,
        batch: &'a [Delivery],
    ) -> BoxFuture<'a, Result<(), Failure>>;
}

struct ByHandler<H>(H);

// === impl Projection ===

impl Projection {
    /// By the consumer's own handler. Of its tables it must touch the view's alone: any other it would
    /// write twice.
    pub fn new<H: Handler>(handler: H) -> Self {
        Self(Arc::new(ByHandler(handler)))
    }

    async fn apply(&self, tx: &Transaction<'_>, batch: &[Delivery]) -> Result<(), Failure> {
        self.0.apply(tx, batch).await
    }
}

impl<H: Handler> Apply for ByHandler<H> {
    fn apply<'a>(
        &'a self,
        tx: &'a Transaction<'_>,
        batch: &'a [Delivery],
    ) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move { self.0.handle(tx, batch).await.map(drop) })
    }
}

impl fmt::Debug for Projection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Projection").finish_non_exhaustive()
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
