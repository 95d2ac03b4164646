//! Order events as bytes and back: domain ⇄ `brewline.order.v1`.
//!
//! The domain's event holds only what is new; the wire's event repeats store, customer and lines where
//! a consumer would else have to ask. Both directions are total over what this service ever wrote.

use brewline_kernel::{Currency, Money, OrderId, Timestamp};
use brewline_order_domain::order::{
    CancellationReason, Line, Order, OrderEvent, Placement, ProductKind, Rejection, RejectionCode,
};
use brewline_proto::{catalogue::v1 as catalogue, money::v1 as money, order::v1 as wire};
use prost::Message as _;

/// The package of every event's full name.
const PACKAGE: &str = "brewline.order.v1";
/// Nanoseconds in a microsecond: the wire counts the former, the kernel the latter.
const NANOS_A_MICRO: i64 = 1_000;
const MICROS_A_SECOND: i64 = 1_000_000;

/// Why bytes are no event of ours.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not an event that this version writes or wrote.
    #[error("`{0}` is no event of an order")]
    UnknownType(String),
    /// Not protobuf.
    #[error("the body is not protobuf: {0}")]
    Malformed(#[from] prost::DecodeError),
    /// A field is missing or holds what nobody writes.
    #[error("field `{0}` is missing or out of range")]
    Field(&'static str),
}

/// The full name of `event` on the wire, such as `brewline.order.v1.OrderPlaced`.
#[must_use]
pub fn type_name(event: &OrderEvent) -> String {
    format!("{PACKAGE}.{}", event.name())
}

/// The body of `event`, which led to `order`.
#[must_use]
pub fn encode(order: &Order, event: &OrderEvent) -> Vec<u8> {
    let (order_id, store_id) = (order.id.to_string(), order.store_id.to_string());
    let customer_id = order.customer_id.to_string();
    match event {
        OrderEvent::Placed { .. } => placed(order).encode_to_vec(),
        OrderEvent::Confirmed { at } => confirmed(order, *at).encode_to_vec(),
        OrderEvent::Rejected { rejection, .. } => rejected(order, rejection).encode_to_vec(),
        OrderEvent::Cancelled { reason, detail, .. } => {
            cancelled(order, *reason, detail).encode_to_vec()
        }
        OrderEvent::CancellationRequested { reason, .. } => wire::OrderCancellationRequested {
            order_id,
            store_id,
            customer_id,
            reason: reason.clone(),
        }
        .encode_to_vec(),
        OrderEvent::CancellationRefused { reason, .. } => wire::OrderCancellationRefused {
            order_id,
            store_id,
            customer_id,
            reason: reason.clone(),
        }
        .encode_to_vec(),
        OrderEvent::PreparationStarted { .. } => wire::OrderPreparationStarted {
            order_id,
            store_id,
            customer_id,
        }
        .encode_to_vec(),
        OrderEvent::Ready { .. } => wire::OrderReady {
            order_id,
            store_id,
            customer_id,
        }
        .encode_to_vec(),
        OrderEvent::Collected { .. } => wire::OrderCollected {
            order_id,
            store_id,
            customer_id,
        }
        .encode_to_vec(),
    }
}

/// The event named `type_name` with this body, which happened `at`.
///
/// # Errors
/// When the bytes are no event that this service writes.
pub fn decode(type_name: &str, body: &[u8], at: Timestamp) -> Result<OrderEvent, Error> {
    let unknown = || Error::UnknownType(type_name.to_owned());
    let name = type_name
        .strip_prefix(PACKAGE)
        .and_then(|rest| rest.strip_prefix('.'))
        .ok_or_else(unknown)?;
    Ok(match name {
        "OrderPlaced" => placed_back(wire::OrderPlaced::decode(body)?, at)?,
        "OrderConfirmed" => OrderEvent::Confirmed { at },
        "OrderRejected" => rejected_back(wire::OrderRejected::decode(body)?, at)?,
        "OrderCancelled" => cancelled_back(wire::OrderCancelled::decode(body)?, at)?,
        "OrderCancellationRequested" => OrderEvent::CancellationRequested {
            reason: wire::OrderCancellationRequested::decode(body)?.reason,
            at,
        },
        "OrderCancellationRefused" => OrderEvent::CancellationRefused {
            reason: wire::OrderCancellationRefused::decode(body)?.reason,
            at,
        },
        "OrderPreparationStarted" => OrderEvent::PreparationStarted { at },
        "OrderReady" => OrderEvent::Ready { at },
        "OrderCollected" => OrderEvent::Collected { at },
        _ => return Err(unknown()),
    })
}

/// Lines as they stand in the row of `orders`.
#[must_use]
pub fn encode_lines(lines: &[Line]) -> Vec<u8> {
    let lines = lines.iter().map(line).collect();
    wire::Order {
        lines,
        ..wire::Order::default()
    }
    .encode_to_vec()
}

/// The lines in a row of `orders`, as the wire has them.
///
/// # Errors
/// When the bytes are not what [`encode_lines`] wrote.
pub fn decode_lines(bytes: &[u8]) -> Result<Vec<wire::OrderLine>, Error> {
    Ok(wire::Order::decode(bytes)?.lines)
}

/// One line on the wire.
#[must_use]
pub fn line(line: &Line) -> wire::OrderLine {
    let kind = match line.kind {
        ProductKind::Drink => catalogue::ProductKind::Drink,
        ProductKind::Food => catalogue::ProductKind::Food,
    };
    wire::OrderLine {
        product_id: line.product_id.to_string(),
        name: line.name.clone(),
        kind: kind.into(),
        method: line.method.clone(),
        origin: line.origin.clone(),
        unit_price: Some(amount(line.unit_price)),
        quantity: line.quantity,
    }
}

/// An amount on the wire.
#[must_use]
pub fn amount(amount: Money) -> money::Money {
    money::Money {
        amount_minor: amount.minor,
        currency: amount.currency.code().to_owned(),
    }
}

/// An amount from the wire.
///
/// # Errors
/// When it is absent or its currency is none.
pub fn amount_back(given: Option<&money::Money>, field: &'static str) -> Result<Money, Error> {
    let given = given.ok_or(Error::Field(field))?;
    let currency: Currency = given.currency.parse().map_err(|_| Error::Field(field))?;
    Ok(Money::new(given.amount_minor, currency))
}

/// An instant on the wire.
#[must_use]
pub fn instant(at: Timestamp) -> prost_types::Timestamp {
    let micros = at.as_micros();
    let nanos = micros.rem_euclid(MICROS_A_SECOND) * NANOS_A_MICRO;
    prost_types::Timestamp {
        seconds: micros.div_euclid(MICROS_A_SECOND),
        // Fewer than 10^9, which fits.
        nanos: i32::try_from(nanos).unwrap_or_default(),
    }
}

/// What a product is, from the wire.
#[must_use]
pub fn kind_back(kind: i32) -> Option<ProductKind> {
    match catalogue::ProductKind::try_from(kind) {
        Ok(catalogue::ProductKind::Drink) => Some(ProductKind::Drink),
        Ok(catalogue::ProductKind::Food) => Some(ProductKind::Food),
        Ok(catalogue::ProductKind::Unspecified) | Err(_) => None,
    }
}

/// A rejection's code on the wire.
#[must_use]
pub const fn rejection_code(code: RejectionCode) -> wire::RejectionCode {
    match code {
        RejectionCode::OutOfStock => wire::RejectionCode::OutOfStock,
        RejectionCode::PaymentDeclined => wire::RejectionCode::PaymentDeclined,
        RejectionCode::RiskRefused => wire::RejectionCode::RiskRefused,
        RejectionCode::PaymentUnavailable => wire::RejectionCode::PaymentUnavailable,
        RejectionCode::TimedOut => wire::RejectionCode::TimedOut,
    }
}

fn placed(order: &Order) -> wire::OrderPlaced {
    wire::OrderPlaced {
        order_id: order.id.to_string(),
        store_id: order.store_id.to_string(),
        customer_id: order.customer_id.to_string(),
        lines: order.lines.iter().map(line).collect(),
        total: Some(amount(order.total)),
        placed_at: Some(instant(order.placed_at)),
    }
}

fn confirmed(order: &Order, at: Timestamp) -> wire::OrderConfirmed {
    wire::OrderConfirmed {
        order_id: order.id.to_string(),
        store_id: order.store_id.to_string(),
        customer_id: order.customer_id.to_string(),
        lines: order.lines.iter().map(line).collect(),
        total: Some(amount(order.total)),
        confirmed_at: Some(instant(at)),
    }
}

fn rejected(order: &Order, rejection: &Rejection) -> wire::OrderRejected {
    wire::OrderRejected {
        order_id: order.id.to_string(),
        store_id: order.store_id.to_string(),
        customer_id: order.customer_id.to_string(),
        code: rejection_code(rejection.code).into(),
        detail: rejection.detail.clone(),
    }
}

fn cancelled(order: &Order, reason: CancellationReason, detail: &str) -> wire::OrderCancelled {
    let reason = match reason {
        CancellationReason::Customer => wire::CancellationReason::Customer,
        CancellationReason::PaymentLost => wire::CancellationReason::PaymentLost,
    };
    wire::OrderCancelled {
        order_id: order.id.to_string(),
        store_id: order.store_id.to_string(),
        customer_id: order.customer_id.to_string(),
        lines: order.lines.iter().map(line).collect(),
        total: Some(amount(order.total)),
        confirmed_at: order.confirmed_at.map(instant),
        reason: reason.into(),
        detail: detail.to_owned(),
    }
}

fn placed_back(body: wire::OrderPlaced, at: Timestamp) -> Result<OrderEvent, Error> {
    let order_id: OrderId = parsed(&body.order_id, "order_id")?;
    let placement = Placement {
        order_id,
        store_id: parsed(&body.store_id, "store_id")?,
        customer_id: parsed(&body.customer_id, "customer_id")?,
        lines: body
            .lines
            .into_iter()
            .map(line_back)
            .collect::<Result<_, _>>()?,
        total: amount_back(body.total.as_ref(), "total")?,
    };
    Ok(OrderEvent::Placed { placement, at })
}

fn rejected_back(body: wire::OrderRejected, at: Timestamp) -> Result<OrderEvent, Error> {
    let written = wire::RejectionCode::try_from(body.code).ok();
    let code = RejectionCode::ALL
        .into_iter()
        .find(|code| Some(rejection_code(*code)) == written);
    let rejection = Rejection {
        code: code.ok_or(Error::Field("code"))?,
        detail: body.detail,
    };
    Ok(OrderEvent::Rejected { rejection, at })
}

fn cancelled_back(body: wire::OrderCancelled, at: Timestamp) -> Result<OrderEvent, Error> {
    let reason = match wire::CancellationReason::try_from(body.reason) {
        Ok(wire::CancellationReason::Customer) => CancellationReason::Customer,
        Ok(wire::CancellationReason::PaymentLost) => CancellationReason::PaymentLost,
        Ok(wire::CancellationReason::Unspecified) | Err(_) => return Err(Error::Field("reason")),
    };
    let detail = body.detail;
    Ok(OrderEvent::Cancelled { reason, detail, at })
}

fn line_back(line: wire::OrderLine) -> Result<Line, Error> {
    Ok(Line {
        product_id: parsed(&line.product_id, "product_id")?,
        unit_price: amount_back(line.unit_price.as_ref(), "unit_price")?,
        kind: kind_back(line.kind).ok_or(Error::Field("kind"))?,
        name: line.name,
        method: line.method,
        origin: line.origin,
        quantity: line.quantity,
    })
}

fn parsed<T: std::str::FromStr>(text: &str, field: &'static str) -> Result<T, Error> {
    text.parse().map_err(|_| Error::Field(field))
}

#[cfg(test)]
mod tests;
