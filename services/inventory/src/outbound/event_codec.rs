//! What happened, as events on the wire.

use brewline_inventory_domain::{
    Lines, ProductDetails, ProductKind, ReservationEvent, Shortage, StockLevel, StoreDetails,
};
use brewline_kernel::{Envelope, Money, OrderId, ProductId, StoreId, Timestamp, TraceParent};
use brewline_messaging::NewEvent;
use brewline_proto::catalogue::v1 as catalogue;
use brewline_proto::inventory::v1 as inventory;
use brewline_proto::money::v1 as money;
use prost::Message;
use uuid::Uuid;

use super::catalogue_store::{Product, Store};
use crate::app::settle_orders::Happened;

/// Where reservations and adjustments are told.
pub const INVENTORY_TOPIC: &str = "brewline.inventory.events.v1";
/// Where stores and products are told, whole, compacted.
pub const CATALOGUE_TOPIC: &str = "brewline.catalogue.events.v1";

const SOURCE: &str = "brewline/inventory";

/// What ties a new event to the world: its id, its time, and what led to it.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// The event's own id.
    pub id: Uuid,
    /// When it happened.
    pub at: Timestamp,
    /// Shared by everything that one request set in motion.
    pub correlation: Uuid,
    /// The event that led to it; none when a request did.
    pub cause: Option<Uuid>,
    /// The trace it belongs to.
    pub traceparent: Option<TraceParent>,
}

/// An adjustment that was made.
#[derive(Clone, Copy, Debug)]
pub struct Adjusted<'a> {
    /// The store.
    pub store: &'a StoreId,
    /// The product.
    pub product: &'a ProductId,
    /// How many were added, or taken.
    pub delta: i64,
    /// The level after it.
    pub after: StockLevel,
    /// Why.
    pub reason: &'a str,
    /// The version of the subject `<store>/<product>`.
    pub version: i64,
}

/// `StockReserved` and its kin. Subject: the order's id.
#[must_use]
pub fn reservation_event(id: Uuid, at: Timestamp, happened: &Happened) -> NewEvent {
    let because = &happened.because;
    let origin = Origin {
        id,
        at,
        correlation: because.correlation,
        cause: Some(because.cause),
        traceparent: because.traceparent,
    };
    let order = because.order;
    let (event_type, payload) = encode(order, &happened.event);
    NewEvent {
        topic: INVENTORY_TOPIC,
        aggregate_type: "reservation",
        envelope: origin.envelope(event_type, order.to_string(), happened.version),
        payload: Some(payload.into()),
    }
}

/// `StockAdjusted`. Subject: `<store>/<product>`.
#[must_use]
pub fn stock_adjusted(origin: Origin, adjusted: Adjusted<'_>) -> NewEvent {
    let Adjusted { store, product, .. } = adjusted;
    let message = inventory::StockAdjusted {
        store_id: store.to_string(),
        product_id: product.to_string(),
        delta: adjusted.delta,
        on_hand: adjusted.after.on_hand,
        reserved: adjusted.after.reserved,
        reason: adjusted.reason.to_owned(),
    };
    let subject = format!("{store}/{product}");
    NewEvent {
        topic: INVENTORY_TOPIC,
        aggregate_type: "stock",
        envelope: origin.envelope(
            "brewline.inventory.v1.StockAdjusted",
            subject,
            adjusted.version,
        ),
        payload: Some(message.encode_to_vec().into()),
    }
}

/// `StoreChanged`, the whole state. Subject: `store/<id>`.
#[must_use]
pub fn store_changed(origin: Origin, id: &StoreId, store: &Store) -> NewEvent {
    let details: &StoreDetails = &store.details;
    let message = catalogue::StoreChanged {
        store_id: id.to_string(),
        name: details.name().to_owned(),
        currency: details.currency().code().to_owned(),
        time_zone: details.time_zone().to_owned(),
        retired: store.retired,
    };
    NewEvent {
        topic: CATALOGUE_TOPIC,
        aggregate_type: "store",
        envelope: origin.envelope(
            "brewline.catalogue.v1.StoreChanged",
            format!("store/{id}"),
            store.version,
        ),
        payload: Some(message.encode_to_vec().into()),
    }
}

/// `ProductChanged`, the whole state. Subject: `product/<id>`.
#[must_use]
pub fn product_changed(origin: Origin, id: &ProductId, product: &Product) -> NewEvent {
    let details: &ProductDetails = &product.details;
    let message = catalogue::ProductChanged {
        product_id: id.to_string(),
        name: details.name().to_owned(),
        kind: kind(details.kind()).into(),
        method: details.method().to_owned(),
        origin: details.origin().to_owned(),
        prices: prices(details.prices()),
        retired: product.retired,
    };
    NewEvent {
        topic: CATALOGUE_TOPIC,
        aggregate_type: "product",
        envelope: origin.envelope(
            "brewline.catalogue.v1.ProductChanged",
            format!("product/{id}"),
            product.version,
        ),
        payload: Some(message.encode_to_vec().into()),
    }
}

/// A kind on the wire.
#[must_use]
pub const fn kind(kind: ProductKind) -> catalogue::ProductKind {
    match kind {
        ProductKind::Drink => catalogue::ProductKind::Drink,
        ProductKind::Food => catalogue::ProductKind::Food,
    }
}

/// Prices on the wire.
#[must_use]
pub fn prices(prices: &[Money]) -> Vec<money::Money> {
    let price = |price: &Money| money::Money {
        amount_minor: price.minor,
        currency: price.currency.code().to_owned(),
    };
    prices.iter().map(price).collect()
}

// === impl Origin ===

impl Origin {
    /// Of an event that a request led to: it is the first of what follows from it.
    #[must_use]
    pub const fn of_request(id: Uuid, at: Timestamp, traceparent: Option<TraceParent>) -> Self {
        Self {
            id,
            at,
            correlation: id,
            cause: None,
            traceparent,
        }
    }

    fn envelope(self, event_type: &str, subject: String, version: i64) -> Envelope {
        Envelope {
            id: self.id,
            event_type: event_type.to_owned(),
            source: SOURCE.to_owned(),
            subject,
            version,
            time: self.at,
            correlation_id: self.correlation,
            causation_id: self.cause,
            traceparent: self.traceparent,
        }
    }
}

fn encode(order: OrderId, event: &ReservationEvent) -> (&'static str, Vec<u8>) {
    let order_id = order.to_string();
    match event {
        ReservationEvent::Reserved { store, lines } => {
            let (store_id, lines) = (store.to_string(), stock_lines(lines));
            let message = inventory::StockReserved {
                order_id,
                store_id,
                lines,
            };
            (
                "brewline.inventory.v1.StockReserved",
                message.encode_to_vec(),
            )
        }
        ReservationEvent::Rejected { store, shortages } => {
            let (store_id, shortages) = (store.to_string(), shortages.iter().map(short).collect());
            let message = inventory::StockRejected {
                order_id,
                store_id,
                shortages,
            };
            (
                "brewline.inventory.v1.StockRejected",
                message.encode_to_vec(),
            )
        }
        ReservationEvent::Committed { store, lines } => {
            let (store_id, lines) = (store.to_string(), stock_lines(lines));
            let message = inventory::StockCommitted {
                order_id,
                store_id,
                lines,
            };
            (
                "brewline.inventory.v1.StockCommitted",
                message.encode_to_vec(),
            )
        }
        ReservationEvent::Released { store, lines } => {
            let (store_id, lines) = (store.to_string(), stock_lines(lines));
            let message = inventory::StockReleased {
                order_id,
                store_id,
                lines,
            };
            (
                "brewline.inventory.v1.StockReleased",
                message.encode_to_vec(),
            )
        }
        ReservationEvent::Returned { store, lines } => {
            let (store_id, lines) = (store.to_string(), stock_lines(lines));
            let message = inventory::StockReturned {
                order_id,
                store_id,
                lines,
            };
            (
                "brewline.inventory.v1.StockReturned",
                message.encode_to_vec(),
            )
        }
    }
}

fn stock_lines(lines: &Lines) -> Vec<inventory::StockLine> {
    let line = |(product, quantity): (&ProductId, i64)| inventory::StockLine {
        product_id: product.to_string(),
        quantity,
    };
    lines.iter().map(line).collect()
}

fn short(shortage: &Shortage) -> inventory::Shortage {
    inventory::Shortage {
        product_id: shortage.product.to_string(),
        requested: shortage.requested,
        available: shortage.available,
    }
}
