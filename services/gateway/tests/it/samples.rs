//! Messages with every field set, so that a field that is lost on the way is missed.

use brewline_proto::catalogue::v1::{Product, ProductKind, Store};
use brewline_proto::customer::v1::Customer;
use brewline_proto::fulfilment::v1::{Station, Ticket, TicketState, TicketStatus, Wall, WallItem};
use brewline_proto::inventory::v1::StockItem;
use brewline_proto::leaderboard::v1 as leaderboard;
use brewline_proto::money::v1::Money;
use brewline_proto::notification::v1 as notification;
use brewline_proto::order::v1::{
    Cancellation, CancellationStatus, Order, OrderLine, OrderStatus, PaymentStatus, Rejection,
    RejectionCode,
};
use serde_json::{Value, json};

pub(crate) const ORDER_ID: &str = "0199a0c8-7c1e-7b3a-9c55-0242ac120002";

pub(crate) fn euro(amount_minor: i64) -> Money {
    Money {
        amount_minor,
        currency: "EUR".to_owned(),
    }
}

pub(crate) fn order(status: OrderStatus, version: i64) -> Order {
    Order {
        order_id: ORDER_ID.to_owned(),
        store_id: "store-lisbon".to_owned(),
        customer_id: "customer-demo".to_owned(),
        status: status.into(),
        lines: vec![OrderLine {
            product_id: "cortado".to_owned(),
            name: "Cortado".to_owned(),
            kind: ProductKind::Drink.into(),
            method: "espresso".to_owned(),
            origin: "Brazil".to_owned(),
            unit_price: Some(euro(350)),
            quantity: 2,
        }],
        total: Some(euro(700)),
        payment_status: PaymentStatus::None.into(),
        version,
        placed_at: Some(prost_types::Timestamp {
            seconds: 1_790_000_000,
            nanos: 123_456_000,
        }),
        updated_at: Some(prost_types::Timestamp {
            seconds: 1_790_000_001,
            nanos: 0,
        }),
        rejection: None,
        cancellation: None,
    }
}

/// An order with everything in it that an order can have, even at odds with itself.
pub(crate) fn full_order() -> Order {
    Order {
        rejection: Some(Rejection {
            code: RejectionCode::OutOfStock.into(),
            detail: "cortado: 1 left".to_owned(),
        }),
        cancellation: Some(Cancellation {
            status: CancellationStatus::Granted.into(),
            reason: "too late".to_owned(),
        }),
        ..order(OrderStatus::Rejected, 2)
    }
}

pub(crate) fn store() -> Store {
    Store {
        store_id: "store-kyoto".to_owned(),
        name: "Kyoto".to_owned(),
        currency: "JPY".to_owned(),
        time_zone: "Asia/Tokyo".to_owned(),
        version: 3,
    }
}

pub(crate) fn product() -> Product {
    Product {
        product_id: "v60-ethiopia".to_owned(),
        name: "V60 Ethiopia".to_owned(),
        kind: ProductKind::Drink.into(),
        method: "v60".to_owned(),
        origin: "Ethiopia".to_owned(),
        prices: vec![euro(450)],
        version: 5,
    }
}

pub(crate) fn stock_item() -> StockItem {
    StockItem {
        product_id: "cortado".to_owned(),
        on_hand: 1_000,
        reserved: 3,
        available: 997,
    }
}

pub(crate) fn customer() -> Customer {
    Customer {
        customer_id: "customer-demo".to_owned(),
        name: "Ana <b>O'Neil</b>".to_owned(),
        email: "ana@example.com".to_owned(),
        locale: "pt-PT".to_owned(),
        show_name: true,
        version: 1,
        erased: false,
    }
}

pub(crate) const TICKET_ID: &str = "0199a0c8-7c1e-7b3a-9c55-0242ac120009";

pub(crate) fn ticket() -> TicketState {
    let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    TicketState {
        ticket: Some(Ticket {
            ticket_id: TICKET_ID.to_owned(),
            line: 1,
            product_id: "v60-ethiopia".to_owned(),
            product: "V60 Ethiopia".to_owned(),
            quantity: 2,
            station: Station::Brew.into(),
            method: "v60".to_owned(),
        }),
        order_id: ORDER_ID.to_owned(),
        store_id: "store-lisbon".to_owned(),
        status: TicketStatus::Done.into(),
        opened_at: at(1_795_262_400),
        started_at: at(1_795_262_460),
        ended_at: at(1_795_262_520),
    }
}

pub(crate) fn wall_item(ticket_id: &str, station: Station, method: &str) -> WallItem {
    WallItem {
        ticket_id: ticket_id.to_owned(),
        order_id: ORDER_ID.to_owned(),
        product: "V60 Ethiopia".to_owned(),
        quantity: 2,
        station: station.into(),
        method: method.to_owned(),
        status: TicketStatus::Started.into(),
        age_seconds: 61,
    }
}

/// Two methods and a plate, in the order in which they came.
pub(crate) fn wall() -> Wall {
    Wall {
        store_id: "store-lisbon".to_owned(),
        position: 7,
        items: vec![
            wall_item("t1", Station::Brew, "v60"),
            wall_item("t2", Station::Plate, ""),
            wall_item("t3", Station::Brew, "aeropress"),
            wall_item("t4", Station::Brew, "v60"),
        ],
        has_more: true,
    }
}

pub(crate) fn place_order() -> Value {
    json!({
        "storeId": "store-lisbon",
        "customerId": "customer-demo",
        "lines": [{ "productId": "cortado", "quantity": 2 }],
        "payment": { "token": "tok_ok" },
    })
}

pub(crate) fn create_customer() -> Value {
    json!({
        "name": "Ana <b>O'Neil</b>",
        "email": "ana@example.com",
        "locale": "pt-PT",
        "showName": true,
    })
}

pub(crate) fn put_store() -> Value {
    json!({ "name": "Kyoto", "currency": "JPY", "timeZone": "Asia/Tokyo" })
}

pub(crate) fn put_product() -> Value {
    json!({
        "name": "V60 Ethiopia",
        "kind": "drink",
        "method": "v60",
        "origin": "Ethiopia",
        "prices": [{ "amountMinor": 450, "currency": "EUR" }],
    })
}

pub(crate) fn adjust_stock() -> Value {
    json!({ "productId": "cortado", "delta": -3, "reason": "spilt'; DROP TABLE stock; --" })
}

pub(crate) fn notification() -> notification::Delivery {
    let at = prost_types::Timestamp {
        seconds: 1_790_000_000,
        nanos: 0,
    };
    notification::Delivery {
        delivery_id: ORDER_ID.to_owned(),
        order_id: ORDER_ID.to_owned(),
        customer_id: "customer-demo".to_owned(),
        kind: notification::Kind::Ready.into(),
        channel: notification::Channel::Email.into(),
        status: notification::DeliveryStatus::Sent.into(),
        attempts: 2,
        message_id: "<1.ready@brewline>".to_owned(),
        created_at: Some(at),
        sent_at: Some(at),
        reason: "the mail server answered 451".to_owned(),
    }
}

pub(crate) fn webhook() -> notification::Endpoint {
    let at = prost_types::Timestamp {
        seconds: 1_790_000_000,
        nanos: 0,
    };
    notification::Endpoint {
        endpoint_id: ORDER_ID.to_owned(),
        url: "https://example.com/hook".to_owned(),
        types: vec!["order.ready".to_owned()],
        store_id: "store-lisbon".to_owned(),
        created_at: Some(at),
        disabled_at: Some(at),
        pending: 3,
        failed: 1,
        version: 4,
    }
}

pub(crate) fn pulled_event() -> notification::PulledEvent {
    notification::PulledEvent {
        id: ORDER_ID.to_owned(),
        r#type: "order.ready".to_owned(),
        time: Some(prost_types::Timestamp {
            seconds: 1_790_000_000,
            nanos: 0,
        }),
        store_id: "store-lisbon".to_owned(),
        order_id: ORDER_ID.to_owned(),
        data_json: "{\"orderId\":\"x\"}".to_owned(),
    }
}

pub(crate) fn board_row() -> leaderboard::BoardRow {
    leaderboard::BoardRow {
        rank: 1,
        id: "customer-demo".to_owned(),
        name: "Ana".to_owned(),
        score: 12,
    }
}

pub(crate) fn board() -> leaderboard::Board {
    leaderboard::Board {
        board: "coffee-lovers".to_owned(),
        window: leaderboard::Window::Week.into(),
        starts: "2026-11-16".to_owned(),
        store_id: "store-oslo".to_owned(),
        rows: vec![board_row()],
        members: 40,
        position: "b1-0a0b".to_owned(),
    }
}

pub(crate) fn recommendations() -> leaderboard::RecommendResponse {
    let because = leaderboard::Because {
        likes: "v60".to_owned(),
        likes_name: "V60".to_owned(),
        both: 2,
        of: 3,
    };
    let product = leaderboard::ProductSuggestion {
        product_id: "siphon-kenya".to_owned(),
        name: "Siphon Kenya".to_owned(),
        because: Some(because.clone()),
    };
    leaderboard::RecommendResponse {
        methods: vec![leaderboard::MethodSuggestion {
            method: "siphon".to_owned(),
            because: Some(because),
            r#try: Some(product.clone()),
        }],
        products: vec![product],
    }
}
