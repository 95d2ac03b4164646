//! What an operator may do to a checkout that stands aside. Each leaves a row in `operator_action`, in
//! the transaction of its effect.

use brewline_kernel::OrderId;
use brewline_order_domain::checkout::{CheckoutEvent, CheckoutState, ParkReason};
use brewline_order_domain::order::OrderStatus;
use brewline_postgres::{self as postgres, Transaction};

use crate::Parts;
use crate::app::change_order::{self, Tries};
use crate::app::checkout::{Happening, Moved};
use crate::outbound::{audit, saga_store, store};

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such checkout.
    #[error("there is no checkout of this order")]
    NotFound,
    /// It would break the books, or there is nothing to be done.
    #[error("{0}")]
    Refused(String),
    /// The database is away. Asking again is harmless.
    #[error(transparent)]
    Database(#[from] postgres::Error),
    /// What is stored contradicts itself.
    #[error("{0}")]
    Stored(String),
}

/// Who asks for an action, and whether it is to be done.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Who asks, for the record.
    pub actor: &'a str,
    /// Only say whether it would be done.
    pub dry_run: bool,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    GiveUp,
    Retry,
}

/// Gives an order up whose capture is refused for good: `OrderCancelled`, reason `payment-lost`. Its
/// checkout unwinds, and the barista drops what is open.
///
/// # Errors
/// When the checkout is not parked with a refused capture, or the barista is just being asked.
pub async fn give_up(parts: &Parts, order_id: OrderId, asked: Asked<'_>) -> Result<(), Error> {
    act(parts, order_id, asked, Action::GiveUp).await
}

/// Lets a parked checkout go on now: the call it waits for is made again.
///
/// # Errors
/// When the checkout is not parked.
pub async fn retry(parts: &Parts, order_id: OrderId, asked: Asked<'_>) -> Result<(), Error> {
    act(parts, order_id, asked, Action::Retry).await
}

async fn act(
    parts: &Parts,
    order_id: OrderId,
    asked: Asked<'_>,
    action: Action,
) -> Result<(), Error> {
    let mut tries = Tries::default();
    loop {
        match attempt(parts, order_id, asked, action).await {
            Err(Error::Database(error)) if tries.again(&error) => {}
            done => return done,
        }
    }
}

async fn attempt(
    parts: &Parts,
    order_id: OrderId,
    asked: Asked<'_>,
    action: Action,
) -> Result<(), Error> {
    let mut connection = parts.pool.get().await?;
    let tx = connection.transaction().await?;
    let moved = decide(parts, &tx, order_id, action).await?;
    if asked.dry_run {
        return Ok(tx.rollback().await?);
    }
    let id = parts.ids.next();
    audit::record(&tx, id, asked.actor, action.name(), &order_id.to_string()).await?;
    tx.commit().await?;
    parts.checkouts.committed(moved);
    Ok(())
}

async fn decide(
    parts: &Parts,
    tx: &Transaction<'_>,
    order_id: OrderId,
    action: Action,
) -> Result<Moved, Error> {
    let locked = saga_store::lock(tx, &[order_id]).await;
    let locked = locked.map_err(crate::app::checkout::Error::from)?;
    let saga = locked.rows.first().ok_or(Error::NotFound)?;
    let event = action.on(&saga.state)?;
    if action == Action::GiveUp {
        await_no_barista(tx, order_id).await?;
    }
    let happened = vec![Happening::new(order_id, event)];
    Ok(parts.checkouts.dispatch(tx, happened).await?)
}

/// While the barista is asked it may yet cancel the order, which undoes the money all the same.
async fn await_no_barista(tx: &Transaction<'_>, order_id: OrderId) -> Result<(), Error> {
    let order = store::load_orders(tx, &[order_id]).await?.remove(&order_id);
    match order.map(|order| order.status) {
        None => Err(Error::NotFound),
        Some(OrderStatus::Cancelling) => {
            let detail =
                "the barista is being asked whether it can be cancelled: wait for the answer";
            Err(Error::Refused(detail.to_owned()))
        }
        Some(_) => Ok(()),
    }
}

// === impl Action ===

impl Action {
    const fn name(self) -> &'static str {
        match self {
            Self::GiveUp => "saga-compensate",
            Self::Retry => "saga-retry",
        }
    }

    /// What it means to a checkout that stands at `state`.
    fn on(self, state: &CheckoutState) -> Result<CheckoutEvent, Error> {
        let reason = state.parked.map(|parked| parked.reason);
        match (self, reason) {
            (Self::GiveUp, Some(ParkReason::CaptureRefused)) => {
                Ok(CheckoutEvent::OperatorCompensate)
            }
            (Self::Retry, Some(_)) => Ok(CheckoutEvent::OperatorRetry),
            (Self::GiveUp, Some(other)) => Err(Error::Refused(format!(
                "it is parked for `{}`: only an order whose capture is refused for good is given up",
                other.as_str()
            ))),
            (Self::GiveUp | Self::Retry, None) if state.phase.is_closed() => Err(Error::Refused(
                format!("it is not parked: it has ended, {}", state.phase),
            )),
            (Self::GiveUp | Self::Retry, None) => Err(Error::Refused(format!(
                "it is not parked: it is {} and goes on by itself",
                state.phase
            ))),
        }
    }
}

// === impl Error ===

impl From<change_order::Error> for Error {
    fn from(error: change_order::Error) -> Self {
        match error {
            change_order::Error::NotFound => Self::NotFound,
            change_order::Error::NotAllowed(rejection) => Self::Refused(rejection.to_string()),
            change_order::Error::Database(error) => Self::Database(error),
            change_order::Error::Stored(detail) => Self::Stored(detail),
        }
    }
}

impl From<crate::app::checkout::Error> for Error {
    fn from(error: crate::app::checkout::Error) -> Self {
        change_order::Error::from(error).into()
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        change_order::Error::from(error).into()
    }
}
