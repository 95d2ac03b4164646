use brewline_order_domain::order::fold;

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1_000 + 123)
}

fn a_placed_event() -> OrderEvent {
    let eur: Currency = "EUR".parse().unwrap();
    let line = Line {
        product_id: "v60-ethiopia".parse().unwrap(),
        name: "V60".to_owned(),
        kind: ProductKind::Drink,
        method: "v60".to_owned(),
        origin: "ethiopia".to_owned(),
        unit_price: Money::new(350, eur),
        quantity: 2,
    };
    let placement = Placement {
        order_id: OrderId::new(uuid::Uuid::from_u128(7)),
        store_id: "store-lisbon".parse().unwrap(),
        customer_id: "customer-demo".parse().unwrap(),
        lines: vec![line],
        total: Money::new(700, eur),
    };
    OrderEvent::Placed {
        placement,
        at: at(1),
    }
}

fn every_later_event() -> Vec<OrderEvent> {
    let (at, text) = (at(2), || "because".to_owned());
    let mut events: Vec<_> = RejectionCode::ALL
        .into_iter()
        .map(|code| {
            let detail = text();
            let rejection = Rejection { code, detail };
            OrderEvent::Rejected { rejection, at }
        })
        .collect();
    for reason in [
        CancellationReason::Customer,
        CancellationReason::PaymentLost,
    ] {
        let detail = text();
        events.push(OrderEvent::Cancelled { reason, detail, at });
    }
    events.extend([
        OrderEvent::Confirmed { at },
        OrderEvent::CancellationRequested { reason: text(), at },
        OrderEvent::CancellationRefused { reason: text(), at },
        OrderEvent::PreparationStarted { at },
        OrderEvent::Ready { at },
        OrderEvent::Collected { at },
    ]);
    events
}

#[test]
fn every_event_survives_the_wire() {
    let placed = a_placed_event();
    let order = fold([&placed]).unwrap();
    for event in std::iter::once(placed).chain(every_later_event()) {
        let bytes = encode(&order, &event);
        let back = decode(&type_name(&event), &bytes, event.at()).unwrap();
        assert_eq!(back, event);
    }
}

#[test]
fn foreign_types_and_bodies_are_refused() {
    for name in [
        "OrderPlaced",
        "brewline.order.v1.OrderEaten",
        "brewline.order.v1OrderPlaced",
    ] {
        assert!(matches!(
            decode(name, &[], at(0)),
            Err(Error::UnknownType(_))
        ));
    }
    let placed = "brewline.order.v1.OrderPlaced";
    assert!(matches!(
        decode(placed, &[0xff], at(0)),
        Err(Error::Malformed(_))
    ));
    assert!(matches!(
        decode(placed, &[], at(0)),
        Err(Error::Field("order_id"))
    ));
}

#[test]
fn instants_before_1970_keep_their_nanoseconds_positive() {
    let instant = instant(Timestamp::from_micros(-1));
    assert_eq!((instant.seconds, instant.nanos), (-1, 999_999_000));
}

#[test]
fn every_released_event_can_still_be_read() {
    for (envelope, body) in brewline_test_support::golden_events("brewline.order.v1") {
        decode(&envelope.event_type, &body, envelope.time).unwrap();
    }
}
