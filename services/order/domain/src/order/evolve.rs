use brewline_kernel::Timestamp;

use super::{Cancellation, CancellationStatus, Order, OrderEvent, OrderStatus, Placement};

/// The order after `event`. An event that cannot come first leaves nothing; one that cannot come
/// second leaves the order as it was: what is stored was decided, so neither happens.
#[must_use]
pub fn evolve(order: Option<Order>, event: &OrderEvent) -> Option<Order> {
    match (order, event) {
        (None, OrderEvent::Placed { placement, at }) => Some(Order::placed(placement, *at)),
        (None, _) => None,
        (Some(order), event) => Some(order.with(event)),
    }
}

/// The order that `events` tell of, oldest first.
#[must_use]
pub fn fold<'a>(events: impl IntoIterator<Item = &'a OrderEvent>) -> Option<Order> {
    events.into_iter().fold(None, evolve)
}

// === impl Order ===

impl Order {
    fn placed(placement: &Placement, at: Timestamp) -> Self {
        Self {
            id: placement.order_id,
            store_id: placement.store_id.clone(),
            customer_id: placement.customer_id.clone(),
            lines: placement.lines.clone(),
            total: placement.total,
            status: OrderStatus::Pending,
            resumes_as: None,
            version: 1,
            placed_at: at,
            confirmed_at: None,
            updated_at: at,
            rejection: None,
            cancellation: None,
        }
    }

    fn with(mut self, event: &OrderEvent) -> Self {
        self.version += 1;
        self.updated_at = event.at();
        match event {
            OrderEvent::Placed { .. } => {}
            OrderEvent::Confirmed { at } => {
                self.status = OrderStatus::Confirmed;
                self.confirmed_at = Some(*at);
            }
            OrderEvent::Rejected { rejection, .. } => {
                self.status = OrderStatus::Rejected;
                self.rejection = Some(rejection.clone());
            }
            OrderEvent::CancellationRequested { reason, .. } => {
                self.resumes_as = Some(self.status);
                self.status = OrderStatus::Cancelling;
                self.note_cancellation(CancellationStatus::Requested, reason);
            }
            OrderEvent::CancellationRefused { reason, .. } => {
                self.status = self.resumes_as.take().unwrap_or(self.status);
                self.note_cancellation(CancellationStatus::Refused, reason);
            }
            OrderEvent::Cancelled { detail, .. } => {
                self.resumes_as = None;
                self.status = OrderStatus::Cancelled;
                self.note_cancellation(CancellationStatus::Granted, detail);
            }
            OrderEvent::PreparationStarted { .. } => self.progress(OrderStatus::Preparing),
            OrderEvent::Ready { .. } => self.progress(OrderStatus::Ready),
            OrderEvent::Collected { .. } => self.progress(OrderStatus::Collected),
        }
        self
    }

    fn note_cancellation(&mut self, status: CancellationStatus, reason: &str) {
        let reason = reason.to_owned();
        self.cancellation = Some(Cancellation { status, reason });
    }

    /// The barista's work shows at once, except while `cancelling`: then it waits for the answer.
    fn progress(&mut self, to: OrderStatus) {
        match self.resumes_as.as_mut() {
            Some(resumes_as) => *resumes_as = to,
            None => self.status = to,
        }
    }
}

// === impl OrderEvent ===

impl OrderEvent {
    /// When it happened.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        match self {
            Self::Placed { at, .. }
            | Self::Confirmed { at }
            | Self::Rejected { at, .. }
            | Self::CancellationRequested { at, .. }
            | Self::CancellationRefused { at, .. }
            | Self::Cancelled { at, .. }
            | Self::PreparationStarted { at }
            | Self::Ready { at }
            | Self::Collected { at } => *at,
        }
    }

    /// The last part of its name on the wire, such as `OrderPlaced`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Placed { .. } => "OrderPlaced",
            Self::Confirmed { .. } => "OrderConfirmed",
            Self::Rejected { .. } => "OrderRejected",
            Self::CancellationRequested { .. } => "OrderCancellationRequested",
            Self::CancellationRefused { .. } => "OrderCancellationRefused",
            Self::Cancelled { .. } => "OrderCancelled",
            Self::PreparationStarted { .. } => "OrderPreparationStarted",
            Self::Ready { .. } => "OrderReady",
            Self::Collected { .. } => "OrderCollected",
        }
    }
}
