//! The checkout saga's shell: loads sagas, lets them react, and writes all that follows in the same
//! transaction. What calls out comes after the commit.
//!
//! ```text
//! place order ──────► begin ─┐
//! cancel order ─────► dispatch ──► saga, saga_log, order events ──► commit ──► committed ──► calls
//! stock events ─────►   ▲  ▲                                                                   │
//! due timers ───────►───┘  └───────────────── outcomes ◄──── PaymentService ◄──────────────────┘
//! ```
//!
//! Everybody who moves sagas locks them before their orders ([`Checkouts::lock`], then
//! `store::load_orders`), each in id order: two who do so never wait for each other in a circle.

mod calls;
mod census;
mod settings;
mod signals;
mod timers;
mod turn;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use brewline_kernel::OrderId;
use brewline_order_domain::checkout::{
    Checkout, CheckoutEvent, ParkReason, Phase, begin as begin_state,
};
use brewline_order_domain::order::OrderRejection;
use brewline_postgres::{self as postgres, Pool, Transaction};
use brewline_saga::driver::Handle;
use brewline_saga::timing::Timing;
use brewline_server::Context;
use brewline_telemetry::trace::Span;

pub use self::calls::CallSender;
pub use self::settings::Settings;
pub use self::timers::DueSagas;
use self::turn::Turn;
use crate::app::waiters::Waiters;
use crate::outbound::payments_client::{Call, CallKind, PaymentsClient};
use crate::outbound::saga_store::{self, Locked, NewSaga};
use crate::outbound::store::{self, Cause, Store};

/// How long the timers may stand still before the process is taken for dead: longer than a statement
/// may take.
const STALL_AFTER: Duration = Duration::from_secs(60);

/// Moves checkout sagas. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Checkouts {
    saga: Checkout,
    timing: Timing,
    store: Store,
    waiters: Arc<Waiters>,
    calls: Handle<CallKind, Call>,
}

/// Something that happened to one checkout.
#[derive(Clone, Debug)]
pub struct Happening {
    /// Its order.
    pub order_id: OrderId,
    /// What happened.
    pub event: CheckoutEvent,
    /// What led to it, where that was an event; it is named as the cause of the order's next event.
    pub cause: Option<Cause>,
}

/// What remains to be done once the transaction has committed: hand it to [`Checkouts::committed`].
/// Dropping it costs time only: every call in it is a row that falls due.
#[derive(Debug, Default)]
#[must_use = "hand it to `Checkouts::committed` after the commit"]
pub struct Moved {
    calls: Vec<(CallKind, Call)>,
    orders: Vec<OrderId>,
    notices: Vec<Notice>,
    steps: Vec<Phase>,
    /// What orders were settled as, and how long that took from their acceptance.
    settled: Vec<(&'static str, Duration)>,
    /// The same for checkouts that are closed.
    closed: Vec<(Phase, Duration)>,
    /// Of the steps in traces that are recorded.
    spans: Vec<Span>,
}

/// Something an operator should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Notice {
    Overdue(OrderId, Phase),
    Parked(OrderId, ParkReason),
}

/// Why sagas could not be moved; the transaction is then of no further use.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// About a saga's row.
    #[error(transparent)]
    Saga(#[from] saga_store::Error),
    /// About an order.
    #[error(transparent)]
    Order(#[from] store::Error),
    /// The saga and its order disagree, which one commit for both should make impossible.
    #[error("order {order_id} refuses what its checkout decided: {rejection}")]
    Disagreement {
        /// The order.
        order_id: OrderId,
        /// Its refusal.
        rejection: OrderRejection,
    },
}

/// Runs what moves checkouts by itself: the calls to payment, and the timers.
pub fn start(
    context: &Context,
    settings: &Settings,
    pool: &Pool,
    checkouts: &Checkouts,
    payments: PaymentsClient,
) {
    let calls = CallSender::new(pool.clone(), checkouts.clone(), payments);
    let shutdown = context.shutdown();
    context.spawn(
        "checkout-calls",
        async move { Ok(calls.run(shutdown).await?) },
    );

    let (pool_to_count, shutdown) = (pool.clone(), context.shutdown());
    context.spawn("checkout-census", async move {
        census::run(&pool_to_count, shutdown).await;
        Ok(())
    });

    let timers = DueSagas::new(pool.clone(), checkouts.clone());
    let (shutdown, settings) = (context.shutdown(), settings.timers);
    let heartbeat = context.health().watch("checkout-timers", STALL_AFTER);
    context.spawn("checkout-timers", async move {
        timers.run(settings, || heartbeat.beat(), shutdown).await;
        Ok(())
    });
}

// === impl Checkouts ===

impl Checkouts {
    /// Moves sagas as `settings` say, writes orders through `store`, and wakes `waiters` of orders.
    #[must_use]
    pub fn new(settings: &Settings, store: Store, waiters: Arc<Waiters>) -> Self {
        Self {
            saga: Checkout {
                policy: settings.policy,
            },
            timing: Timing::new(settings.call_timeout),
            store,
            waiters,
            calls: Handle::new(settings.calls),
        }
    }

    /// Begins the checkouts of orders that are placed in this transaction. Their deadlines are set by
    /// the database's clock.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn begin(&self, tx: &Transaction<'_>, sagas: &[NewSaga]) -> Result<(), Error> {
        let started_at = brewline_kernel::Timestamp::EPOCH;
        let first = begin_state(&self.saga.policy, started_at);
        let deadline = first.deadline_at.unwrap_or(started_at).since(started_at);
        let micros = i64::try_from(deadline.as_micros()).unwrap_or(i64::MAX);
        Ok(saga_store::begin(tx, sagas, micros).await?)
    }

    /// Locks the sagas of `orders` until the transaction ends. Who is going to change orders and move
    /// their sagas calls this before it locks the orders.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lock(&self, tx: &Transaction<'_>, orders: &[OrderId]) -> Result<(), Error> {
        saga_store::lock(tx, orders).await?;
        Ok(())
    }

    /// Lets sagas react to `happenings`, which are taken in their order, and writes sagas, logs and
    /// orders. Orders without a saga are passed over.
    ///
    /// # Errors
    /// When the database fails, or what is stored contradicts itself.
    pub async fn dispatch(
        &self,
        tx: &Transaction<'_>,
        happenings: Vec<Happening>,
    ) -> Result<Moved, Error> {
        let ids: BTreeSet<OrderId> = happenings.iter().map(|h| h.order_id).collect();
        let ids: Vec<OrderId> = ids.into_iter().collect();
        if ids.is_empty() {
            return Ok(Moved::default());
        }
        let locked = saga_store::lock(tx, &ids).await?;
        self.move_locked(tx, locked, happenings).await
    }

    async fn move_locked(
        &self,
        tx: &Transaction<'_>,
        locked: Locked,
        happenings: Vec<Happening>,
    ) -> Result<Moved, Error> {
        let mut turn = Turn::new(&self.saga, &self.timing, locked);
        for happening in happenings {
            turn.take(happening);
        }
        // Boxed, since it is large and every caller's future would hold it.
        Box::pin(turn.write(tx, &self.store)).await
    }

    /// Does what remains after the commit. Never blocks.
    pub fn committed(&self, moved: Moved) {
        self.waiters.changed(moved.orders);
        signals::moved(&moved.steps);
        signals::ended(&moved.settled, &moved.closed);
        for mut step in moved.spans {
            step.succeed();
        }
        for notice in &moved.notices {
            signals::notice(*notice);
        }
        if !moved.calls.is_empty() {
            signals::queue_full(self.calls.record(moved.calls));
        }
    }
}

// === impl Happening ===

impl Happening {
    /// Something that no event led to: an answer, a timer, a request.
    #[must_use]
    pub const fn new(order_id: OrderId, event: CheckoutEvent) -> Self {
        Self {
            order_id,
            event,
            cause: None,
        }
    }

    /// The order was cancelled in this transaction.
    #[must_use]
    pub const fn cancelled(order_id: OrderId) -> Self {
        Self::new(order_id, CheckoutEvent::Cancelled)
    }
}

// === impl Error ===

impl Error {
    /// Whether trying again helps: the database is away, or the transaction lost against another.
    #[must_use]
    pub const fn database(&self) -> Option<&postgres::Error> {
        match self {
            Self::Saga(saga_store::Error::Database(error))
            | Self::Order(store::Error::Database(error)) => Some(error),
            Self::Saga(_) | Self::Order(_) | Self::Disagreement { .. } => None,
        }
    }

    /// The database's fault in it.
    ///
    /// # Errors
    /// With itself, when it is none of the database's.
    pub fn into_database(self) -> Result<postgres::Error, Self> {
        match self {
            Self::Saga(saga_store::Error::Database(error))
            | Self::Order(store::Error::Database(error)) => Ok(error),
            Self::Saga(_) | Self::Order(_) | Self::Disagreement { .. } => Err(self),
        }
    }
}

impl From<postgres::Error> for Error {
    fn from(error: postgres::Error) -> Self {
        Self::Saga(saga_store::Error::Database(error))
    }
}

impl From<Error> for brewline_messaging::Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Saga(error) => error.into(),
            Error::Order(error) => error.into(),
            Error::Disagreement { .. } => Self::poison(error.to_string()),
        }
    }
}
