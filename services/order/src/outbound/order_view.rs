//! The view `orders`: one order, or a page of them, as the wire has them.
//!
//! Money's status is no part of the view: it is read from the saga's row along with it.

use brewline_kernel::OrderId;
use brewline_order_domain::order::{CancellationStatus, Order, OrderStatus, RejectionCode};
use brewline_postgres::{Connection, Error, Instant, Row};
use brewline_proto::order::v1 as wire;
use uuid::Uuid;

pub use self::page::{Filter, Walk, page, walked_to};
use super::event_codec::{amount, decode_lines, instant, line, rejection_code};

macro_rules! select {
    ($from:literal) => {
        concat!(
            "select o.order_id, o.store_id, o.customer_id, o.status, o.version, o.total_minor, o.currency, \
             o.placed_at, o.updated_at, o.lines, o.rejection_code, o.rejection_detail, \
             o.cancellation_status, o.cancellation_reason, \
             (select s.payment_status from saga s where s.saga_id = o.order_id) from ",
            $from
        )
    };
}

mod page;

const GET: &str = select!("orders o where o.order_id = $1");

const BEHIND: &str = "select count(*) from unnest($1::uuid[], $2::bigint[]) asked(order_id, version) \
    where coalesce((select o.version from orders o where o.order_id = asked.order_id), 0) < asked.version";

// Final: it has ended, and so has its checkout, which might yet give it up.
const STANDING: &str = "select o.version, s.payment_status, \
    o.status in ('rejected', 'cancelled', 'collected') and not coalesce(s.open, false) \
    from orders o left join saga s on s.saga_id = o.order_id where o.order_id = $1";

/// One order.
///
/// # Errors
/// When the statement fails.
pub async fn get(connection: &Connection, order_id: OrderId) -> Result<Option<wire::Order>, Error> {
    let row = connection.query_opt(GET, &[&order_id.as_uuid()]).await?;
    Ok(row.as_ref().map(read))
}

/// How an order stands, without what it is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The number of its events.
    pub version: i64,
    /// Where its money stands now.
    pub payment: wire::PaymentStatus,
    /// Whether it is final: nothing will happen to it any more.
    pub is_final: bool,
}

/// How an order stands.
///
/// # Errors
/// When the statement fails.
pub async fn standing(
    connection: &Connection,
    order_id: OrderId,
) -> Result<Option<Standing>, Error> {
    let row = connection
        .query_opt(STANDING, &[&order_id.as_uuid()])
        .await?;
    Ok(row.map(|row| Standing {
        version: row.get(0),
        payment: payment_status(row.get(1)),
        is_final: row.get(2),
    }))
}

/// Whether the view holds at least these versions.
///
/// # Errors
/// When the statement fails.
pub async fn holds(connection: &Connection, asked: &[(OrderId, i64)]) -> Result<bool, Error> {
    if asked.is_empty() {
        return Ok(true);
    }
    let ids: Vec<Uuid> = asked
        .iter()
        .map(|(order_id, _)| order_id.as_uuid())
        .collect();
    let versions: Vec<i64> = asked.iter().map(|(_, version)| *version).collect();
    let behind: i64 = connection
        .query_one(BEHIND, &[&ids, &versions])
        .await?
        .get(0);
    Ok(behind == 0)
}

/// An order right after it was accepted: no money has moved yet.
#[must_use]
pub fn as_placed(order: &Order) -> wire::Order {
    as_of(order, wire::PaymentStatus::None)
}

/// An order as its events tell it, and its money.
#[must_use]
pub fn as_of(order: &Order, payment: wire::PaymentStatus) -> wire::Order {
    let (rejected, cancelled) = (order.rejection.as_ref(), order.cancellation.as_ref());
    wire::Order {
        order_id: order.id.to_string(),
        store_id: order.store_id.to_string(),
        customer_id: order.customer_id.to_string(),
        status: status(order.status).into(),
        lines: order.lines.iter().map(line).collect(),
        total: Some(amount(order.total)),
        payment_status: payment.into(),
        version: order.version,
        placed_at: Some(instant(order.placed_at)),
        updated_at: Some(instant(order.updated_at)),
        rejection: rejected.map(|rejected| wire::Rejection {
            code: rejection_code(rejected.code).into(),
            detail: rejected.detail.clone(),
        }),
        cancellation: cancelled.map(|cancelled| wire::Cancellation {
            status: cancellation_status(cancelled.status).into(),
            reason: cancelled.reason.clone(),
        }),
    }
}

const fn cancellation_status(status: CancellationStatus) -> wire::CancellationStatus {
    match status {
        CancellationStatus::Requested => wire::CancellationStatus::Requested,
        CancellationStatus::Granted => wire::CancellationStatus::Granted,
        CancellationStatus::Refused => wire::CancellationStatus::Refused,
    }
}

/// A status on the wire.
#[must_use]
pub const fn status(status: OrderStatus) -> wire::OrderStatus {
    match status {
        OrderStatus::Pending => wire::OrderStatus::Pending,
        OrderStatus::Confirmed => wire::OrderStatus::Confirmed,
        OrderStatus::Rejected => wire::OrderStatus::Rejected,
        OrderStatus::Preparing => wire::OrderStatus::Preparing,
        OrderStatus::Ready => wire::OrderStatus::Ready,
        OrderStatus::Collected => wire::OrderStatus::Collected,
        OrderStatus::Cancelling => wire::OrderStatus::Cancelling,
        OrderStatus::Cancelled => wire::OrderStatus::Cancelled,
    }
}

/// A status from the wire; none when it is unspecified, `Err` when it is none of ours.
///
/// # Errors
/// With the number that means nothing.
pub fn status_back(number: i32) -> Result<Option<OrderStatus>, i32> {
    if number == i32::from(wire::OrderStatus::Unspecified) {
        return Ok(None);
    }
    let known = OrderStatus::ALL.into_iter();
    let found = known
        .into_iter()
        .find(|known| i32::from(status(*known)) == number);
    found.map(Some).ok_or(number)
}

fn read(row: &Row) -> wire::Order {
    let currency: String = row.get(6);
    let total = brewline_proto::money::v1::Money {
        amount_minor: row.get(5),
        currency,
    };
    let parsed = OrderStatus::parse(row.get(3)).map(status);
    wire::Order {
        order_id: row.get::<_, Uuid>(0).to_string(),
        store_id: row.get(1),
        customer_id: row.get(2),
        status: parsed.unwrap_or(wire::OrderStatus::Unspecified).into(),
        // Written by us in the transaction of the first event; were it not readable, the rest is.
        lines: decode_lines(row.get(9)).unwrap_or_default(),
        total: Some(total),
        payment_status: payment_status(row.get(14)).into(),
        version: row.get(4),
        placed_at: Some(instant(row.get::<_, Instant>(7).0)),
        updated_at: Some(instant(row.get::<_, Instant>(8).0)),
        rejection: rejection(row.get(10), row.get(11)),
        cancellation: cancellation(row.get(12), row.get(13)),
    }
}

fn payment_status(text: Option<&str>) -> wire::PaymentStatus {
    match text {
        Some("authorised") => wire::PaymentStatus::Authorised,
        Some("captured") => wire::PaymentStatus::Captured,
        Some("reversing") => wire::PaymentStatus::Reversing,
        Some("voided") => wire::PaymentStatus::Voided,
        Some("refunded") => wire::PaymentStatus::Refunded,
        Some(_) | None => wire::PaymentStatus::None,
    }
}

fn rejection(code: Option<&str>, detail: Option<String>) -> Option<wire::Rejection> {
    let code = RejectionCode::parse(code?)?;
    Some(wire::Rejection {
        code: rejection_code(code).into(),
        detail: detail.unwrap_or_default(),
    })
}

fn cancellation(status: Option<&str>, reason: Option<String>) -> Option<wire::Cancellation> {
    let status = match status? {
        "requested" => wire::CancellationStatus::Requested,
        "granted" => wire::CancellationStatus::Granted,
        "refused" => wire::CancellationStatus::Refused,
        _ => return None,
    };
    Some(wire::Cancellation {
        status: status.into(),
        reason: reason.unwrap_or_default(),
    })
}
