//! An order as JSON.

use brewline_proto::order::v1::{
    Cancellation, CancellationStatus, Order, OrderLine, OrderStatus, PaymentStatus, Rejection,
    RejectionCode,
};
use serde::Serialize;

use super::etag::ETag;
use super::views::{Instant, MoneyView, kind_name};

/// Shown where a newer service says something that this edge does not know yet.
const UNKNOWN: &str = "unknown";

/// An order.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OrderView {
    order_id: String,
    store_id: String,
    customer_id: String,
    status: &'static str,
    lines: Vec<LineView>,
    total: Option<MoneyView>,
    payment: PaymentView,
    version: i64,
    placed_at: Option<Instant>,
    updated_at: Option<Instant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rejection: Option<RejectionView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cancellation: Option<CancellationView>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LineView {
    product_id: String,
    name: String,
    kind: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    method: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    origin: String,
    unit_price: Option<MoneyView>,
    quantity: i64,
}

#[derive(Debug, Serialize)]
struct PaymentView {
    status: &'static str,
}

#[derive(Debug, Serialize)]
struct RejectionView {
    code: &'static str,
    detail: String,
}

#[derive(Debug, Serialize)]
struct CancellationView {
    status: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
}

// === impl OrderView ===

impl OrderView {
    /// The tag of this state: money moves without a new version of the order.
    pub(super) fn etag(&self) -> ETag {
        ETag::new(self.version, self.payment.status)
    }
}

impl From<Order> for OrderView {
    fn from(order: Order) -> Self {
        Self {
            status: status_name(order.status()),
            payment: PaymentView {
                status: payment_name(order.payment_status()),
            },
            order_id: order.order_id,
            store_id: order.store_id,
            customer_id: order.customer_id,
            lines: order.lines.into_iter().map(Into::into).collect(),
            total: order.total.map(Into::into),
            version: order.version,
            placed_at: order.placed_at.map(Into::into),
            updated_at: order.updated_at.map(Into::into),
            rejection: order.rejection.map(Into::into),
            cancellation: order.cancellation.map(Into::into),
        }
    }
}

// === impl LineView ===

impl From<OrderLine> for LineView {
    fn from(line: OrderLine) -> Self {
        Self {
            product_id: line.product_id,
            name: line.name,
            kind: kind_name(line.kind),
            method: line.method,
            origin: line.origin,
            unit_price: line.unit_price.map(Into::into),
            quantity: line.quantity,
        }
    }
}

// === impl RejectionView ===

impl From<Rejection> for RejectionView {
    fn from(rejection: Rejection) -> Self {
        Self {
            code: match rejection.code() {
                RejectionCode::Unspecified => UNKNOWN,
                RejectionCode::OutOfStock => "out-of-stock",
                RejectionCode::PaymentDeclined => "payment-declined",
                RejectionCode::RiskRefused => "risk-refused",
                RejectionCode::PaymentUnavailable => "payment-unavailable",
                RejectionCode::TimedOut => "timed-out",
            },
            detail: rejection.detail,
        }
    }
}

// === impl CancellationView ===

impl From<Cancellation> for CancellationView {
    fn from(cancellation: Cancellation) -> Self {
        Self {
            status: match cancellation.status() {
                CancellationStatus::Unspecified => UNKNOWN,
                CancellationStatus::Requested => "requested",
                CancellationStatus::Granted => "granted",
                CancellationStatus::Refused => "refused",
            },
            reason: cancellation.reason,
        }
    }
}

/// Where an order can stand, by name.
const STATUSES: [(&str, OrderStatus); 8] = [
    ("pending", OrderStatus::Pending),
    ("confirmed", OrderStatus::Confirmed),
    ("rejected", OrderStatus::Rejected),
    ("preparing", OrderStatus::Preparing),
    ("ready", OrderStatus::Ready),
    ("collected", OrderStatus::Collected),
    ("cancelling", OrderStatus::Cancelling),
    ("cancelled", OrderStatus::Cancelled),
];

/// The status of a name.
pub(super) fn status_of(name: &str) -> Option<OrderStatus> {
    let found = STATUSES.iter().find(|(known, _)| *known == name);
    found.map(|(_, status)| *status)
}

/// The names there are, for people.
pub(super) fn status_names() -> String {
    STATUSES.map(|(name, _)| name).join(", ")
}

fn status_name(status: OrderStatus) -> &'static str {
    let found = STATUSES.iter().find(|(_, known)| *known == status);
    found.map_or(UNKNOWN, |(name, _)| name)
}

fn payment_name(status: PaymentStatus) -> &'static str {
    match status {
        PaymentStatus::Unspecified => UNKNOWN,
        PaymentStatus::None => "none",
        PaymentStatus::Authorised => "authorised",
        PaymentStatus::Captured => "captured",
        PaymentStatus::Reversing => "reversing",
        PaymentStatus::Voided => "voided",
        PaymentStatus::Refunded => "refunded",
    }
}
