//! An order's event as JSON, as it is shown outside. It follows from the event alone: a repeat says the
//! same, byte for byte.

use brewline_kernel::Timestamp;
use brewline_proto::money::v1::Money;
use brewline_proto::order::v1 as wire;
use prost::{DecodeError, Message as _};
use serde_json::{Map, Value, json};

use super::event_log::OutsideEvent;

/// The whole event: the body of a webhook.
///
/// # Errors
/// When the event's body is none of ours.
pub fn item(event: &OutsideEvent) -> Result<Value, DecodeError> {
    Ok(json!({
        "id": event.id.to_string(),
        "type": event.kind,
        "time": instant(event.at),
        "storeId": event.store,
        "orderId": event.order.to_string(),
        "data": data(event)?,
    }))
}

/// What happened.
///
/// # Errors
/// When the event's body is none of ours.
pub fn data(event: &OutsideEvent) -> Result<Value, DecodeError> {
    let body = event.payload.as_ref();
    Ok(match event.kind.as_str() {
        "order.placed" => placed(wire::OrderPlaced::decode(body)?),
        "order.confirmed" => confirmed(wire::OrderConfirmed::decode(body)?),
        "order.rejected" => rejected(&wire::OrderRejected::decode(body)?),
        "order.cancelled" => cancelled(wire::OrderCancelled::decode(body)?),
        // Those that happen to the whole order say nothing but which one.
        _ => {
            let order = wire::OrderReady::decode(body)?;
            ids(&order.order_id, &order.store_id, &order.customer_id).into()
        }
    })
}

fn placed(order: wire::OrderPlaced) -> Value {
    let mut object = ids(&order.order_id, &order.store_id, &order.customer_id);
    object.insert("lines".to_owned(), lines(order.lines));
    object.insert("total".to_owned(), money(order.total.as_ref()));
    object.insert("placedAt".to_owned(), wire_instant(order.placed_at));
    object.into()
}

fn confirmed(order: wire::OrderConfirmed) -> Value {
    let mut object = ids(&order.order_id, &order.store_id, &order.customer_id);
    object.insert("lines".to_owned(), lines(order.lines));
    object.insert("total".to_owned(), money(order.total.as_ref()));
    object.insert("confirmedAt".to_owned(), wire_instant(order.confirmed_at));
    object.into()
}

fn rejected(order: &wire::OrderRejected) -> Value {
    let mut object = ids(&order.order_id, &order.store_id, &order.customer_id);
    let code = match order.code() {
        wire::RejectionCode::Unspecified => "unknown",
        wire::RejectionCode::OutOfStock => "out-of-stock",
        wire::RejectionCode::PaymentDeclined => "payment-declined",
        wire::RejectionCode::RiskRefused => "risk-refused",
        wire::RejectionCode::PaymentUnavailable => "payment-unavailable",
        wire::RejectionCode::TimedOut => "timed-out",
    };
    let rejection = json!({ "code": code, "detail": order.detail });
    object.insert("rejection".to_owned(), rejection);
    object.into()
}

/// Without the customer's own words: they are nobody else's business.
fn cancelled(order: wire::OrderCancelled) -> Value {
    let mut object = ids(&order.order_id, &order.store_id, &order.customer_id);
    let reason = match order.reason() {
        wire::CancellationReason::Unspecified => "unknown",
        wire::CancellationReason::Customer => "customer",
        wire::CancellationReason::PaymentLost => "payment-lost",
    };
    object.insert("reason".to_owned(), reason.into());
    object.insert("lines".to_owned(), lines(order.lines));
    object.insert("total".to_owned(), money(order.total.as_ref()));
    if order.confirmed_at.is_some() {
        object.insert("confirmedAt".to_owned(), wire_instant(order.confirmed_at));
    }
    object.into()
}

fn ids(order: &str, store: &str, customer: &str) -> Map<String, Value> {
    let named = [
        ("orderId", order),
        ("storeId", store),
        ("customerId", customer),
    ];
    let field = |(name, id): (&str, &str)| (name.to_owned(), id.into());
    named.into_iter().map(field).collect()
}

fn lines(lines: Vec<wire::OrderLine>) -> Value {
    let line = |line: wire::OrderLine| {
        json!({
            "productId": line.product_id,
            "name": line.name,
            "quantity": line.quantity,
            "unitPrice": money(line.unit_price.as_ref()),
        })
    };
    lines.into_iter().map(line).collect()
}

fn money(money: Option<&Money>) -> Value {
    money.map_or(
        Value::Null,
        |money| json!({ "amountMinor": money.amount_minor, "currency": money.currency }),
    )
}

fn wire_instant(at: Option<prost_types::Timestamp>) -> Value {
    let Some(at) = at else { return Value::Null };
    let instant = jiff::Timestamp::new(at.seconds, at.nanos).unwrap_or_default();
    instant.to_string().into()
}

fn instant(at: Timestamp) -> String {
    let instant = jiff::Timestamp::from_microsecond(at.as_micros());
    instant.unwrap_or_default().to_string()
}
