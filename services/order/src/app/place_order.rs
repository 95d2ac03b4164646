//! Place an order: durable when answered, once per idempotency key.
//!
//! Orders are placed in batches that form by themselves. A request waits in a bounded queue; a worker
//! takes whatever has gathered while its last transaction was being committed and makes one
//! transaction of it (see `batch`). An idle service places a batch of one without any delay, a busy
//! one shares each commit among many.
//!
//! The work belongs to the worker, not to the caller: a client that goes away takes nothing back.

mod admission;
mod batch;
mod keys;
mod transaction;
mod verdict;

use std::sync::Arc;

use brewline_config::Secret;
use brewline_kernel::{CustomerId, IdempotencyKey, OrderId, StoreId, TraceParent};
use brewline_order_domain::order::Order;
use brewline_order_domain::pricing::{FieldFault, RequestedLine};
use brewline_telemetry::trace::names::attribute;
use brewline_telemetry::trace::{Span, names};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::Instant;

use self::admission::Admission;
pub use self::admission::AdmissionLimits;
use crate::Parts;
use crate::config::PlaceLimits;
use crate::outbound::idempotency_store::Fingerprint;
use crate::signals;

/// The route under which idempotency keys of orders are kept.
pub const ROUTE: &str = "place-order";

/// A request to place an order, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceOrder {
    /// Who asks.
    pub principal: String,
    /// The caller's name for this request.
    pub key: IdempotencyKey,
    /// SHA-256 of the parsed body.
    pub fingerprint: Fingerprint,
    /// The store.
    pub store_id: StoreId,
    /// The customer.
    pub customer_id: CustomerId,
    /// What is ordered.
    pub lines: Vec<RequestedLine>,
    /// The card's token.
    pub payment_token: Secret<String>,
    /// The trace this order belongs to.
    pub traceparent: Option<TraceParent>,
}

/// An accepted order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The order as it was accepted.
    pub order: Order,
    /// True when this answer was given before under the same key.
    pub replayed: bool,
}

/// Why an order was not placed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Too many orders wait already.
    #[error("too many orders are waiting to be placed; come again in a second")]
    Busy,
    /// Those that are pending take too long already.
    #[error("more orders are pending than are settled in good time; come again in a second")]
    Overloaded,
    /// The key was used for another body.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// A request with the same key is being worked on elsewhere.
    #[error("a request with the same idempotency key is in flight")]
    KeyInFlight,
    /// The request is wrong.
    #[error("{reason}")]
    Invalid {
        /// One word for all of it, such as `unknown-store`.
        reason: &'static str,
        /// What is wrong, field by field.
        fields: Vec<FieldFault>,
    },
    /// The database is away. Nothing was placed.
    #[error("orders cannot be stored at the moment")]
    Unavailable,
    /// The database went away in the middle of the commit and did not come back in time. The same
    /// request under the same key brings certainty.
    #[error("it is not known whether the order was placed; ask again with the same key")]
    OutcomeUnknown,
    /// The order cannot be stored for a reason that is our fault.
    #[error("the order cannot be stored")]
    Internal,
}

/// Places orders. Cheap to clone; the workers end when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct PlaceOrders {
    queue: mpsc::Sender<Waiting>,
    admission: Arc<Admission>,
    parts: Parts,
}

/// A request in the queue.
#[derive(Debug)]
struct Waiting {
    request: PlaceOrder,
    /// Made on arrival and kept over every attempt, so that a lost commit can be told from a stranger's
    /// use of the key.
    order_id: OrderId,
    arrived: Instant,
    /// Ends with the answer.
    span: Span,
    reply: oneshot::Sender<Answer>,
}

type Answer = Result<Placed, Refusal>;

// === impl PlaceOrders ===

impl PlaceOrders {
    /// Starts the workers.
    #[must_use]
    pub fn start(context: &brewline_server::Context, parts: Parts, limits: PlaceLimits) -> Self {
        let (queue, arrivals) = mpsc::channel(limits.queue_orders_max);
        let arrivals = Arc::new(Mutex::new(arrivals));
        for _ in 0..limits.workers {
            let (parts, arrivals) = (parts.clone(), Arc::clone(&arrivals));
            context.spawn("place-order", async move {
                work(parts, &arrivals, limits.batch_orders_max).await;
                Ok(())
            });
        }
        let admission = Admission::new(limits.admission);
        let (watched, pool, shutdown) = (
            Arc::clone(&admission),
            parts.pool.clone(),
            context.shutdown(),
        );
        context.spawn("place-admission", async move {
            watched.watch(&pool, shutdown).await;
            Ok(())
        });
        Self {
            queue,
            admission,
            parts,
        }
    }

    /// Places an order, or says why not.
    ///
    /// # Errors
    /// With the refusal.
    pub async fn place(&self, mut request: PlaceOrder) -> Answer {
        if !self.admission.admits() {
            signals::refused(Refusal::Overloaded.reason());
            return Err(Refusal::Overloaded);
        }
        let (reply, answer) = oneshot::channel();
        let order_id = OrderId::new(self.parts.ids.next());
        let mut span = Span::of_sampled(&names::PLACE_ORDER, request.traceparent);
        span.named(|| "place order".to_owned());
        span.set(attribute::ORDER_ID, || order_id.to_string());
        request.traceparent = span.context().or(request.traceparent);
        let waiting = Waiting {
            order_id,
            arrived: Instant::now(),
            request,
            span,
            reply,
        };
        if self.queue.try_send(waiting).is_err() {
            signals::refused(Refusal::Busy.reason());
            return Err(Refusal::Busy);
        }
        signals::PLACE_QUEUED.inc();
        // A worker that is gone without an answer may have committed.
        answer.await.unwrap_or(Err(Refusal::OutcomeUnknown))
    }
}

async fn work(parts: Parts, arrivals: &Mutex<mpsc::Receiver<Waiting>>, batch_orders_max: usize) {
    let mut pace = parts.pool.pace();
    loop {
        pace.ready().await;
        let mut batch = Vec::new();
        // Held only while taking: the other workers wait here in turn, none takes a part of a batch.
        let taken = arrivals
            .lock()
            .await
            .recv_many(&mut batch, batch_orders_max)
            .await;
        if taken == 0 {
            return;
        }
        signals::PLACE_QUEUED.dec_by(i64::try_from(taken).unwrap_or(i64::MAX));
        pace.begin();
        let together = together(&mut batch);
        batch::place(&parts, batch).await;
        drop(together);
        pace.end();
    }
}

/// The span of a batch, to which the orders in it are linked.
fn together(batch: &mut [Waiting]) -> Span {
    let sampled = batch.iter().any(|waiting| waiting.span.is_sampled());
    let mut together = Span::batch(&names::PLACE_BATCH, sampled);
    together.named(|| "place batch".to_owned());
    together.set(attribute::BATCH_SIZE, || batch.len());
    for waiting in batch.iter_mut().filter(|_| sampled) {
        waiting.span.link(&together);
    }
    together
}

// === impl Waiting ===

impl Waiting {
    fn answer(mut self, answer: Answer) {
        signals::PLACE_SECONDS.observe(self.arrived.elapsed().as_secs_f64());
        let outcome = match &answer {
            Ok(placed) if !placed.replayed => {
                signals::placed(placed.order.total);
                "placed"
            }
            Ok(_) => "replayed",
            Err(refusal) => {
                signals::refused(refusal.reason());
                refusal.reason()
            }
        };
        self.span.set(attribute::OUTCOME, || outcome);
        drop(self.span);
        // The caller may be gone; the order stands all the same.
        drop(self.reply.send(answer));
    }
}

// === impl Refusal ===

impl Refusal {
    /// One word for it, for machines.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Overloaded => "overloaded",
            Self::KeyReused => "idempotency-key-reused",
            Self::KeyInFlight => "idempotency-in-flight",
            Self::Invalid { reason, .. } => reason,
            Self::Unavailable => "database-unavailable",
            Self::OutcomeUnknown => "outcome-unknown",
            Self::Internal => "internal",
        }
    }
}
