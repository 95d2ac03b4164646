//! Golden bytes: what every released event looks like on the wire. A consumer of this version must go on
//! to read them for as long as the topics live.
//!
//! `BREWLINE_REGENERATE=1 cargo test -p brewline-proto` writes files that are missing; one that is
//! there is never changed by it: an event that was released stays as it was.

use std::fs;
use std::path::{Path, PathBuf};

use brewline_proto::{
    catalogue, customer, fulfilment, inventory, money, notification, order, payment,
};
use prost::Message;
use prost_types::Timestamp;

const ORDER: &str = "01939d2c-7a00-7000-8000-000000000001";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto/golden")
}

fn eur(amount_minor: i64) -> Option<money::v1::Money> {
    Some(money::v1::Money {
        amount_minor,
        currency: "EUR".to_owned(),
    })
}

fn at() -> Option<Timestamp> {
    Some(Timestamp {
        seconds: 1_795_262_400,
        nanos: 123_456_000,
    })
}

fn order_lines() -> Vec<order::v1::OrderLine> {
    vec![order::v1::OrderLine {
        product_id: "v60-ethiopia".to_owned(),
        name: "V60 Ethiopia".to_owned(),
        kind: catalogue::v1::ProductKind::Drink.into(),
        method: "v60".to_owned(),
        origin: "ethiopia".to_owned(),
        unit_price: eur(450),
        quantity: 2,
    }]
}

fn stock_lines() -> Vec<inventory::v1::StockLine> {
    vec![inventory::v1::StockLine {
        product_id: "v60-ethiopia".to_owned(),
        quantity: 2,
    }]
}

/// Order, store and customer, as most order events begin.
fn ids() -> (String, String, String) {
    (
        ORDER.to_owned(),
        "store-lisbon".to_owned(),
        "customer-demo".to_owned(),
    )
}

/// One event: its name, its bytes, and its bytes after they were read and written again.
struct Sample {
    name: &'static str,
    bytes: Vec<u8>,
    read_again: fn(&[u8]) -> Vec<u8>,
}

fn sample<M: Message + Default>(name: &'static str, event: &M) -> Sample {
    let read_again = |bytes: &[u8]| {
        M::decode(bytes)
            .expect("golden bytes can be read")
            .encode_to_vec()
    };
    Sample {
        name,
        bytes: event.encode_to_vec(),
        read_again,
    }
}

fn order_samples() -> Vec<Sample> {
    use order::v1 as o;
    let (order_id, store_id, customer_id) = ids();
    let text = |text: &str| text.to_owned();
    macro_rules! event {
        ($name:ident { $($field:ident : $value:expr),* $(,)? }) => {
            sample(
                concat!("brewline.order.v1.", stringify!($name)),
                &o::$name {
                    order_id: order_id.clone(),
                    store_id: store_id.clone(),
                    customer_id: customer_id.clone(),
                    $($field: $value),*
                },
            )
        };
    }
    vec![
        event!(OrderPlaced {
            lines: order_lines(),
            total: eur(900),
            placed_at: at()
        }),
        event!(OrderConfirmed {
            lines: order_lines(),
            total: eur(900),
            confirmed_at: at()
        }),
        event!(OrderRejected {
            code: o::RejectionCode::OutOfStock.into(),
            detail: text("2 of 1")
        }),
        event!(OrderCancellationRequested {
            reason: text("too late")
        }),
        event!(OrderCancellationRefused {
            reason: text("already brewed")
        }),
        event!(OrderCancelled {
            lines: order_lines(),
            total: eur(900),
            confirmed_at: at(),
            reason: o::CancellationReason::Customer.into(),
            detail: text("too late"),
        }),
        event!(OrderPreparationStarted {}),
        event!(OrderReady {}),
        event!(OrderCollected {}),
    ]
}

fn stock_samples() -> Vec<Sample> {
    use inventory::v1 as i;
    let (order_id, store_id, _) = ids();
    macro_rules! event {
        ($name:ident { $field:ident : $value:expr }) => {
            sample(
                concat!("brewline.inventory.v1.", stringify!($name)),
                &i::$name {
                    order_id: order_id.clone(),
                    store_id: store_id.clone(),
                    $field: $value,
                },
            )
        };
    }
    let short = i::Shortage {
        product_id: "v60-ethiopia".to_owned(),
        requested: 2,
        available: 1,
    };
    vec![
        event!(StockReserved {
            lines: stock_lines()
        }),
        event!(StockRejected {
            shortages: vec![short]
        }),
        event!(StockCommitted {
            lines: stock_lines()
        }),
        event!(StockReleased {
            lines: stock_lines()
        }),
        event!(StockReturned {
            lines: stock_lines()
        }),
        sample(
            "brewline.inventory.v1.StockAdjusted",
            &i::StockAdjusted {
                store_id,
                product_id: "v60-ethiopia".to_owned(),
                delta: -3,
                on_hand: 997,
                reserved: 2,
                reason: "spilled".to_owned(),
            },
        ),
    ]
}

fn payment_samples() -> Vec<Sample> {
    use payment::v1 as p;
    let order_id = ORDER.to_owned();
    macro_rules! event {
        ($name:ident { $field:ident : $value:expr }) => {
            sample(
                concat!("brewline.payment.v1.", stringify!($name)),
                &p::$name {
                    order_id: order_id.clone(),
                    amount: eur(900),
                    $field: $value,
                },
            )
        };
    }
    let last = "auth-1".to_owned();
    vec![
        event!(PaymentAuthorised {
            authorisation_id: last.clone()
        }),
        event!(PaymentDeclined {
            decline_code: "card-declined".to_owned()
        }),
        event!(PaymentCaptured {
            authorisation_id: last.clone()
        }),
        event!(PaymentVoided {
            authorisation_id: last.clone()
        }),
        event!(PaymentRefunded {
            authorisation_id: last
        }),
    ]
}

fn state_samples() -> Vec<Sample> {
    let (_, store_id, customer_id) = ids();
    vec![
        sample(
            "brewline.catalogue.v1.StoreChanged",
            &catalogue::v1::StoreChanged {
                store_id,
                name: "Lisbon".to_owned(),
                currency: "EUR".to_owned(),
                time_zone: "Europe/Lisbon".to_owned(),
                retired: false,
            },
        ),
        sample(
            "brewline.catalogue.v1.ProductChanged",
            &catalogue::v1::ProductChanged {
                product_id: "v60-ethiopia".to_owned(),
                name: "V60 Ethiopia".to_owned(),
                kind: catalogue::v1::ProductKind::Drink.into(),
                method: "v60".to_owned(),
                origin: "ethiopia".to_owned(),
                prices: eur(450).into_iter().collect(),
                retired: true,
            },
        ),
        sample(
            "brewline.customer.v1.CustomerChanged",
            &customer::v1::CustomerChanged {
                customer_id,
                name: "Ada".to_owned(),
                email: "ada@example.com".to_owned(),
                locale: "en".to_owned(),
                show_name: true,
                erased: false,
            },
        ),
    ]
}

fn ticket() -> fulfilment::v1::Ticket {
    fulfilment::v1::Ticket {
        ticket_id: "01939d2c-7a00-7000-8000-000000000009".to_owned(),
        line: 1,
        product_id: "v60-ethiopia".to_owned(),
        product: "V60 Ethiopia".to_owned(),
        quantity: 2,
        station: fulfilment::v1::Station::Brew.into(),
        method: "v60".to_owned(),
    }
}

fn fulfilment_samples() -> Vec<Sample> {
    use fulfilment::v1 as f;
    let ticket_id = ticket().ticket_id;
    macro_rules! event {
        ($name:ident { $($field:ident: $value:expr),* }) => {{
            let (order_id, store_id, _) = ids();
            let event = f::$name { order_id, store_id, $($field: $value),* };
            sample(concat!("brewline.fulfilment.v1.", stringify!($name)), &event)
        }};
    }
    vec![
        event!(TicketsOpened {
            tickets: vec![ticket()]
        }),
        event!(PreparationStarted {
            ticket_id: ticket_id.clone()
        }),
        event!(TicketStarted {
            ticket_id: ticket_id.clone()
        }),
        event!(TicketDone {
            ticket_id: ticket_id.clone(),
            remaining: 1
        }),
        event!(PreparationCompleted {}),
        event!(TicketsWithdrawn {
            reason: f::WithdrawalReason::Customer.into(),
            ticket_ids: vec![ticket_id]
        }),
        event!(WithdrawalRefused {
            reason: "a barista has begun with the order".to_owned()
        }),
    ]
}

fn notification_samples() -> Vec<Sample> {
    use notification::v1 as n;
    macro_rules! event {
        ($name:ident { $($field:ident: $value:expr),* }) => {
            sample(
                concat!("brewline.notification.v1.", stringify!($name)),
                &n::$name {
                    delivery_id: "01939d2c-7a00-7000-8000-00000000000d".to_owned(),
                    order_id: ORDER.to_owned(),
                    kind: n::Kind::Ready.into(),
                    channel: n::Channel::Email.into(),
                    $($field: $value),*
                },
            )
        };
    }
    vec![
        event!(NotificationSent { attempts: 2 }),
        event!(NotificationExpired {
            reason: "the order was collected".to_owned()
        }),
        event!(NotificationFailed {
            attempts: 3,
            reason: "the mail server refused it".to_owned()
        }),
    ]
}

fn samples() -> Vec<Sample> {
    [
        order_samples(),
        stock_samples(),
        payment_samples(),
        state_samples(),
        fulfilment_samples(),
        notification_samples(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[test]
fn events_are_written_and_read_as_they_were_released() {
    for sample in samples() {
        let path = folder().join(format!("{}.bin", sample.name));
        if !path.exists() && std::env::var_os("BREWLINE_REGENERATE").is_some() {
            fs::create_dir_all(folder()).expect("the folder can be made");
            fs::write(&path, &sample.bytes).expect("golden bytes can be written");
        }
        let golden =
            fs::read(&path).unwrap_or_else(|_| panic!("no golden bytes of {}", sample.name));
        assert!(
            golden == sample.bytes,
            "{} is written otherwise than it was released",
            sample.name
        );
        assert!(
            (sample.read_again)(&golden) == golden,
            "{} loses something when read",
            sample.name
        );
    }
}

#[test]
fn every_golden_file_has_its_event() {
    let known: Vec<String> = samples()
        .iter()
        .map(|sample| format!("{}.bin", sample.name))
        .collect();
    for entry in fs::read_dir(folder()).expect("the golden folder is there") {
        let name = entry
            .expect("an entry")
            .file_name()
            .to_string_lossy()
            .into_owned();
        assert!(known.contains(&name), "{name} belongs to no event");
    }
}
