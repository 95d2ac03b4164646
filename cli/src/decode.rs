//! Event bodies as JSON, for people.

use brewline_proto::{
    catalogue, customer, fulfilment, inventory, money, notification, order, payment,
};
use prost::Message;
use serde_json::{Value, json};

/// The body of an event of this type. What cannot be read is said so, with its size: whoever reads a
/// log wants to see the rest of it all the same.
#[must_use]
pub fn body(kind: &str, bytes: &[u8]) -> Value {
    let unreadable = || json!({ "unreadableBytes": bytes.len() });
    if bytes.is_empty() {
        return Value::Null;
    }
    let short = kind.strip_prefix("brewline.").unwrap_or(kind);
    of(short, bytes).unwrap_or_else(unreadable)
}

fn of(kind: &str, bytes: &[u8]) -> Option<Value> {
    match kind.split('.').next()? {
        "order" => order_event(kind, bytes),
        "inventory" => stock_event(kind, bytes),
        "payment" => payment_event(kind, bytes),
        "customer" => read(bytes, |e: customer::v1::CustomerChanged| {
            // Names and addresses stay where they belong: a terminal's scrollback is not that place.
            json!({ "showName": e.show_name, "locale": e.locale, "erased": e.erased })
        }),
        "catalogue" => catalogue_event(kind, bytes),
        "fulfilment" => ticket_event(kind, bytes),
        "notification" => delivery_event(kind, bytes),
        _ => None,
    }
}

fn read<M: Message + Default>(bytes: &[u8], show: impl Fn(M) -> Value) -> Option<Value> {
    M::decode(bytes).ok().map(show)
}

fn order_event(kind: &str, bytes: &[u8]) -> Option<Value> {
    use order::v1 as o;
    match kind.rsplit('.').next()? {
        "OrderPlaced" => read(bytes, |e: o::OrderPlaced| {
            json!({ "storeId": e.store_id, "customerId": e.customer_id, "lines": lines(&e.lines),
                    "total": amount(e.total.as_ref()) })
        }),
        "OrderConfirmed" => read(
            bytes,
            |e: o::OrderConfirmed| json!({ "storeId": e.store_id, "total": amount(e.total.as_ref()) }),
        ),
        "OrderRejected" => read(bytes, |e: o::OrderRejected| {
            let code = e
                .code()
                .as_str_name()
                .trim_start_matches("REJECTION_CODE_")
                .to_lowercase();
            json!({ "code": code.replace('_', "-"), "detail": e.detail })
        }),
        "OrderCancelled" => read(bytes, |e: o::OrderCancelled| {
            let reason = e
                .reason()
                .as_str_name()
                .trim_start_matches("CANCELLATION_REASON_");
            json!({ "reason": reason.to_lowercase().replace('_', "-"), "wasConfirmed": e.confirmed_at.is_some() })
        }),
        "OrderCancellationRequested" => read(
            bytes,
            |e: o::OrderCancellationRequested| json!({ "reason": e.reason }),
        ),
        "OrderCancellationRefused" => read(
            bytes,
            |e: o::OrderCancellationRefused| json!({ "reason": e.reason }),
        ),
        _ => Some(json!({})),
    }
}

fn stock_event(kind: &str, bytes: &[u8]) -> Option<Value> {
    use inventory::v1 as i;
    match kind.rsplit('.').next()? {
        "StockReserved" => read(bytes, |e: i::StockReserved| held(&e.store_id, &e.lines)),
        "StockCommitted" => read(bytes, |e: i::StockCommitted| held(&e.store_id, &e.lines)),
        "StockReleased" => read(bytes, |e: i::StockReleased| held(&e.store_id, &e.lines)),
        "StockReturned" => read(bytes, |e: i::StockReturned| held(&e.store_id, &e.lines)),
        "StockRejected" => read(bytes, |e: i::StockRejected| {
            let short = |s: &i::Shortage| json!({ "productId": s.product_id, "requested": s.requested, "available": s.available });
            json!({ "storeId": e.store_id, "shortages": e.shortages.iter().map(short).collect::<Vec<_>>() })
        }),
        "StockAdjusted" => read(
            bytes,
            |e: i::StockAdjusted| json!({ "delta": e.delta, "onHand": e.on_hand, "reserved": e.reserved, "reason": e.reason }),
        ),
        _ => None,
    }
}

fn payment_event(kind: &str, bytes: &[u8]) -> Option<Value> {
    use payment::v1 as p;
    let shown = |amount: Option<money::v1::Money>, more: &str| json!({ "amount": self::amount(amount.as_ref()), "about": more });
    match kind.rsplit('.').next()? {
        "PaymentAuthorised" => read(bytes, |e: p::PaymentAuthorised| {
            shown(e.amount, &e.authorisation_id)
        }),
        "PaymentDeclined" => read(bytes, |e: p::PaymentDeclined| {
            shown(e.amount, &e.decline_code)
        }),
        "PaymentCaptured" => read(bytes, |e: p::PaymentCaptured| {
            shown(e.amount, &e.authorisation_id)
        }),
        "PaymentVoided" => read(bytes, |e: p::PaymentVoided| {
            shown(e.amount, &e.authorisation_id)
        }),
        "PaymentRefunded" => read(bytes, |e: p::PaymentRefunded| {
            shown(e.amount, &e.authorisation_id)
        }),
        _ => None,
    }
}

fn catalogue_event(kind: &str, bytes: &[u8]) -> Option<Value> {
    use catalogue::v1 as c;
    match kind.rsplit('.').next()? {
        "StoreChanged" => read(
            bytes,
            |e: c::StoreChanged| json!({ "name": e.name, "currency": e.currency, "timeZone": e.time_zone, "retired": e.retired }),
        ),
        "ProductChanged" => read(bytes, |e: c::ProductChanged| {
            let prices: Vec<Value> = e.prices.iter().map(|price| amount(Some(price))).collect();
            json!({ "name": e.name, "method": e.method, "origin": e.origin, "prices": prices,
                    "retired": e.retired })
        }),
        _ => None,
    }
}

fn ticket_event(kind: &str, bytes: &[u8]) -> Option<Value> {
    use fulfilment::v1 as f;
    let of = |store: &str, ticket: &str| json!({ "storeId": store, "ticketId": ticket });
    match kind.rsplit('.').next()? {
        "TicketsOpened" => read(bytes, |e: f::TicketsOpened| {
            let tickets: Vec<Value> = e.tickets.iter().map(ticket).collect();
            json!({ "storeId": e.store_id, "tickets": tickets })
        }),
        "PreparationStarted" => read(bytes, |e: f::PreparationStarted| {
            of(&e.store_id, &e.ticket_id)
        }),
        "TicketStarted" => read(bytes, |e: f::TicketStarted| of(&e.store_id, &e.ticket_id)),
        "TicketDone" => read(
            bytes,
            |e: f::TicketDone| json!({ "storeId": e.store_id, "ticketId": e.ticket_id, "remaining": e.remaining }),
        ),
        "PreparationCompleted" => read(
            bytes,
            |e: f::PreparationCompleted| json!({ "storeId": e.store_id }),
        ),
        "TicketsWithdrawn" => read(bytes, |e: f::TicketsWithdrawn| {
            let reason = word(e.reason().as_str_name(), "WITHDRAWAL_REASON_");
            json!({ "storeId": e.store_id, "reason": reason, "ticketIds": e.ticket_ids })
        }),
        "WithdrawalRefused" => read(
            bytes,
            |e: f::WithdrawalRefused| json!({ "storeId": e.store_id, "reason": e.reason }),
        ),
        _ => None,
    }
}

fn ticket(ticket: &fulfilment::v1::Ticket) -> Value {
    json!({
        "ticketId": ticket.ticket_id,
        "productId": ticket.product_id,
        "quantity": ticket.quantity,
        "station": word(ticket.station().as_str_name(), "STATION_"),
        "method": ticket.method,
    })
}

fn delivery_event(kind: &str, bytes: &[u8]) -> Option<Value> {
    use notification::v1 as n;
    let kind_of = |kind: n::Kind| word(kind.as_str_name(), "KIND_");
    let channel = |channel: n::Channel| word(channel.as_str_name(), "CHANNEL_");
    match kind.rsplit('.').next()? {
        "NotificationSent" => read(
            bytes,
            |e: n::NotificationSent| json!({ "orderId": e.order_id, "kind": kind_of(e.kind()), "channel": channel(e.channel()), "attempts": e.attempts }),
        ),
        "NotificationExpired" => read(
            bytes,
            |e: n::NotificationExpired| json!({ "orderId": e.order_id, "kind": kind_of(e.kind()), "channel": channel(e.channel()), "reason": e.reason }),
        ),
        "NotificationFailed" => read(
            bytes,
            |e: n::NotificationFailed| json!({ "orderId": e.order_id, "kind": kind_of(e.kind()), "channel": channel(e.channel()), "attempts": e.attempts, "reason": e.reason }),
        ),
        _ => None,
    }
}

/// An enum's value as people write it.
fn word(name: &str, prefix: &str) -> String {
    let short = name.strip_prefix(prefix).unwrap_or(name);
    short.to_lowercase().replace('_', "-")
}

fn amount(money: Option<&money::v1::Money>) -> Value {
    money.map_or(
        Value::Null,
        |m| json!({ "amountMinor": m.amount_minor, "currency": m.currency }),
    )
}

fn lines(lines: &[order::v1::OrderLine]) -> Vec<Value> {
    let line =
        |l: &order::v1::OrderLine| json!({ "productId": l.product_id, "quantity": l.quantity });
    lines.iter().map(line).collect()
}

fn held(store: &str, lines: &[inventory::v1::StockLine]) -> Value {
    let line =
        |l: &inventory::v1::StockLine| json!({ "productId": l.product_id, "quantity": l.quantity });
    json!({ "storeId": store, "lines": lines.iter().map(line).collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tickets_and_deliveries_are_read() {
        let opened = fulfilment::v1::TicketsOpened {
            order_id: "o".to_owned(),
            store_id: "store-oslo".to_owned(),
            tickets: vec![fulfilment::v1::Ticket {
                station: fulfilment::v1::Station::Plate.into(),
                quantity: 2,
                ..fulfilment::v1::Ticket::default()
            }],
        };
        let shown = body(
            "brewline.fulfilment.v1.TicketsOpened",
            &opened.encode_to_vec(),
        );
        assert_eq!(shown["tickets"][0]["station"], "plate");
        let sent = notification::v1::NotificationSent {
            kind: notification::v1::Kind::Ready.into(),
            attempts: 1,
            ..notification::v1::NotificationSent::default()
        };
        let shown = body(
            "brewline.notification.v1.NotificationSent",
            &sent.encode_to_vec(),
        );
        assert_eq!(
            (&shown["kind"], &shown["attempts"]),
            (&json!("ready"), &json!(1))
        );
    }

    #[test]
    fn what_cannot_be_read_is_said_so() {
        assert_eq!(
            body("brewline.order.v1.OrderPlaced", &[0xff])["unreadableBytes"],
            1
        );
        assert_eq!(body("brewline.beer.v1.Tapped", b"x")["unreadableBytes"], 1);
        assert_eq!(body("brewline.order.v1.OrderPlaced", b""), Value::Null);
    }
}
