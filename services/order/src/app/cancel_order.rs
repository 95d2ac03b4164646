//! Cancel an order.
//!
//! Nobody works on an order before it is handed to a barista, so one that is pending or confirmed is
//! cancelled at once, by the order alone, whatever is in flight: its checkout unwinds from whatever has
//! been done. The same commit holds both.

use brewline_kernel::OrderId;
use brewline_order_domain::order::{self, OrderCommand, OrderRejection, OrderStatus, Withdrawal};
use brewline_postgres as postgres;
use brewline_proto::order::v1 as wire;

use crate::Parts;
use crate::app::checkout::{self, Happening, Moved};
use crate::outbound::order_view;
use crate::outbound::store::{self, Cause, Change};

/// The longest reason, in characters.
pub const REASON_CHARS_MAX: usize = 500;
/// How often a cancellation that lost against another transaction is tried.
const TRIES_MAX: u32 = 5;

/// Why an order was not cancelled.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such order.
    #[error("there is no such order")]
    NotFound,
    /// Its status does not allow it.
    #[error("an order that is {0} cannot be cancelled")]
    NotAllowed(OrderStatus),
    /// The database is away. When it went away at the commit the order may be cancelled; asking again
    /// is harmless.
    #[error(transparent)]
    Database(#[from] postgres::Error),
    /// What is stored contradicts itself.
    #[error("{0}")]
    Stored(String),
}

/// Cancels an order, or asks again for what was asked before. Answers the order after it.
///
/// # Errors
/// When there is none, its status does not allow it, or it cannot be stored.
pub async fn cancel(parts: &Parts, order_id: OrderId, reason: &str) -> Result<wire::Order, Error> {
    let mut tries = 0;
    loop {
        tries += 1;
        match attempt(parts, order_id, reason).await {
            Err(Error::Database(error)) if error.is_retryable() && tries < TRIES_MAX => {}
            done => return done,
        }
    }
}

async fn attempt(parts: &Parts, order_id: OrderId, reason: &str) -> Result<wire::Order, Error> {
    let mut connection = parts.pool.get().await?;
    let tx = connection.transaction().await?;
    let moved = decide(parts, &tx, order_id, reason).await?;
    tx.commit().await?;
    if let Some(moved) = moved {
        parts.checkouts.committed(moved);
        parts.waiters.changed([order_id]);
        brewline_failpoint::hit("order.cancelled-before-reply");
    }
    let order = order_view::get(&connection, order_id).await?;
    order.ok_or(Error::NotFound)
}

/// What remains to be done after the commit; none when nothing was changed.
async fn decide(
    parts: &Parts,
    tx: &postgres::Transaction<'_>,
    order_id: OrderId,
    reason: &str,
) -> Result<Option<Moved>, Error> {
    // Sagas before orders, as everybody does who moves both.
    parts.checkouts.lock(tx, &[order_id]).await?;
    let before = store::load_orders(tx, &[order_id]).await?.remove(&order_id);
    let command = OrderCommand::Cancel {
        reason: reason.to_owned(),
        withdrawal: Withdrawal::AtOnce,
    };
    let events = order::decide(before.as_ref(), command, parts.clock.now())?;
    if events.is_empty() {
        return Ok(None);
    }
    let change = Change::new(before, events, Cause::request(order_id, None));
    parts.store.append(tx, vec![change]).await?;
    let happened = vec![Happening::cancelled(order_id)];
    Ok(Some(parts.checkouts.dispatch(tx, happened).await?))
}

// === impl Error ===

impl From<OrderRejection> for Error {
    fn from(rejection: OrderRejection) -> Self {
        match rejection {
            OrderRejection::Unknown => Self::NotFound,
            OrderRejection::NotAllowed { status, .. } => Self::NotAllowed(status),
            OrderRejection::Exists => Self::Stored(rejection.to_string()),
        }
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Database(error) => Self::Database(error),
            store::Error::VersionConflict
            | store::Error::Corrupt { .. }
            | store::Error::NotAnOrder => Self::Stored(error.to_string()),
        }
    }
}

impl From<checkout::Error> for Error {
    fn from(error: checkout::Error) -> Self {
        match error.into_database() {
            Ok(error) => Self::Database(error),
            Err(error) => Self::Stored(error.to_string()),
        }
    }
}
