use brewline_kernel::Timestamp;

use super::{
    CancellationReason, Order, OrderCommand, OrderEvent, OrderRejection, OrderStatus, Withdrawal,
};

/// Decides what `command` leads to. No events and no rejection: it is a repeat, and nothing happens.
///
/// # Errors
/// When the order's status does not allow it.
pub fn decide(
    order: Option<&Order>,
    command: OrderCommand,
    at: Timestamp,
) -> Result<Vec<OrderEvent>, OrderRejection> {
    let Some(order) = order else {
        return place(command, at);
    };
    let event = match command {
        OrderCommand::Place(_) => return Err(OrderRejection::Exists),
        OrderCommand::Cancel { reason, withdrawal } => {
            return cancel(order, reason, withdrawal, at);
        }
        OrderCommand::Confirm => order.only_from(&[OrderStatus::Pending], "be confirmed", || {
            OrderEvent::Confirmed { at }
        }),
        OrderCommand::Reject(rejection) => {
            order.only_from(&[OrderStatus::Pending], "be rejected", || {
                OrderEvent::Rejected { rejection, at }
            })
        }
        OrderCommand::GrantCancellation => {
            return order.grant(at);
        }
        OrderCommand::RefuseCancellation { reason } => {
            order.only_from(&[OrderStatus::Cancelling], "go on", || {
                OrderEvent::CancellationRefused { reason, at }
            })
        }
        OrderCommand::LosePayment => order.only_from(SOLD, "be given up", || {
            let (reason, detail) = (CancellationReason::PaymentLost, String::new());
            OrderEvent::Cancelled { reason, detail, at }
        }),
        OrderCommand::StartPreparation => {
            return order.advance(
                OrderStatus::Preparing,
                OrderEvent::PreparationStarted { at },
            );
        }
        OrderCommand::MarkReady => {
            return order.advance(OrderStatus::Ready, OrderEvent::Ready { at });
        }
        OrderCommand::Collect => return order.collect(at),
    };
    event.map(|event| vec![event])
}

/// Where an order is sold, and an operator may give it up when its money is lost.
const SOLD: &[OrderStatus] = &[
    OrderStatus::Confirmed,
    OrderStatus::Preparing,
    OrderStatus::Ready,
    OrderStatus::Collected,
];

fn place(command: OrderCommand, at: Timestamp) -> Result<Vec<OrderEvent>, OrderRejection> {
    if let OrderCommand::Place(placement) = command {
        return Ok(vec![OrderEvent::Placed { placement, at }]);
    }
    Err(OrderRejection::Unknown)
}

fn cancel(
    order: &Order,
    detail: String,
    withdrawal: Withdrawal,
    at: Timestamp,
) -> Result<Vec<OrderEvent>, OrderRejection> {
    let reason = CancellationReason::Customer;
    match (order.status, withdrawal) {
        (OrderStatus::Cancelling | OrderStatus::Cancelled, _) => Ok(Vec::new()),
        (OrderStatus::Pending, _) | (OrderStatus::Confirmed, Withdrawal::AtOnce) => {
            Ok(vec![OrderEvent::Cancelled { reason, detail, at }])
        }
        (OrderStatus::Confirmed, Withdrawal::AskBarista) => {
            let reason = detail;
            Ok(vec![OrderEvent::CancellationRequested { reason, at }])
        }
        (status, _) => Err(OrderRejection::NotAllowed {
            status,
            verb: "be cancelled",
        }),
    }
}

// === impl OrderStatus ===

impl OrderStatus {
    /// The status that the barista's work leads from to this one.
    const fn predecessor(self) -> Option<Self> {
        match self {
            Self::Preparing => Some(Self::Confirmed),
            Self::Ready => Some(Self::Preparing),
            Self::Pending
            | Self::Confirmed
            | Self::Collected
            | Self::Rejected
            | Self::Cancelling
            | Self::Cancelled => None,
        }
    }
}

// === impl Order ===

impl Order {
    /// What the barista has begun cannot be given back untouched: whoever says both contradicts itself,
    /// and is not believed.
    fn grant(&self, at: Timestamp) -> Result<Vec<OrderEvent>, OrderRejection> {
        if self.resumes_as == Some(OrderStatus::Confirmed) {
            let (reason, detail) = (CancellationReason::Customer, self.cancellation_reason());
            return Ok(vec![OrderEvent::Cancelled { reason, detail, at }]);
        }
        Err(OrderRejection::NotAllowed {
            status: self.status,
            verb: "be cancelled",
        })
    }

    /// Handed over at the counter, by who sees the status: never while a cancellation is being decided.
    fn collect(&self, at: Timestamp) -> Result<Vec<OrderEvent>, OrderRejection> {
        if self.status == OrderStatus::Collected {
            return Ok(Vec::new());
        }
        let event = || OrderEvent::Collected { at };
        let event = self.only_from(&[OrderStatus::Ready], "be collected", event);
        event.map(|event| vec![event])
    }

    fn cancellation_reason(&self) -> String {
        let reason = self.cancellation.as_ref().map(|asked| asked.reason.clone());
        reason.unwrap_or_default()
    }

    fn only_from(
        &self,
        allowed: &[OrderStatus],
        verb: &'static str,
        event: impl FnOnce() -> OrderEvent,
    ) -> Result<OrderEvent, OrderRejection> {
        if allowed.contains(&self.status) {
            return Ok(event());
        }
        Err(OrderRejection::NotAllowed {
            status: self.status,
            verb,
        })
    }

    /// A step of the barista's work. A repeat is harmless while that step made the current status.
    fn advance(
        &self,
        to: OrderStatus,
        event: OrderEvent,
    ) -> Result<Vec<OrderEvent>, OrderRejection> {
        let stands = self.resumes_as.unwrap_or(self.status);
        if stands == to {
            return Ok(Vec::new());
        }
        if to.predecessor() == Some(stands) {
            return Ok(vec![event]);
        }
        Err(OrderRejection::NotAllowed {
            status: self.status,
            verb: "become what the barista says",
        })
    }
}
