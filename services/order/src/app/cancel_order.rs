//! Cancel an order.
//!
//! One that is pending is cancelled by the order alone, in one commit, whatever is in flight: its
//! checkout unwinds from whatever has been done. One that is confirmed may have been begun by a barista,
//! who is asked; what comes of that is heard in [`super::hear_barista`].

use brewline_kernel::OrderId;
use brewline_order_domain::order::{self, OrderCommand, OrderEvent, Withdrawal};
use brewline_postgres as postgres;
use brewline_proto::order::v1 as wire;

use crate::Parts;
use crate::app::change_order::{Error, Tries};
use crate::app::checkout::{Happening, Moved};
use crate::outbound::order_view;
use crate::outbound::store::{self, Cause, Change};

/// The longest reason, in characters.
pub const REASON_CHARS_MAX: usize = 500;

/// Cancels an order, asks the barista to let it be cancelled, or asks again for what was asked before.
/// Answers the order after it: `cancelled` or `cancelling`.
///
/// # Errors
/// When there is none, its status does not allow it, or it cannot be stored.
pub async fn cancel(parts: &Parts, order_id: OrderId, reason: &str) -> Result<wire::Order, Error> {
    let mut tries = Tries::default();
    loop {
        match attempt(parts, order_id, reason).await {
            Err(Error::Database(error)) if tries.again(&error) => {}
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
        withdrawal: withdrawal(),
    };
    let events = order::decide(before.as_ref(), command, parts.clock.now())?;
    let is_over = |event: &OrderEvent| matches!(event, OrderEvent::Cancelled { .. });
    let happened = match events.as_slice() {
        [] => return Ok(None),
        events if events.iter().any(is_over) => vec![Happening::cancelled(order_id)],
        _ => Vec::new(),
    };
    let change = Change::new(before, events, Cause::request(order_id, None));
    parts.store.append(tx, vec![change]).await?;
    Ok(Some(parts.checkouts.dispatch(tx, happened).await?))
}

/// A planted bug cancels what a barista may have in hand.
fn withdrawal() -> Withdrawal {
    if brewline_failpoint::planted("cancel-without-asking") {
        Withdrawal::AtOnce
    } else {
        Withdrawal::AskBarista
    }
}
