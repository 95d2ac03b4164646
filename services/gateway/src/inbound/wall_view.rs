//! Walls and tickets as JSON.

use std::collections::BTreeMap;

use brewline_proto::fulfilment::v1 as wire;
use serde::Serialize;

use super::views::Instant;

/// What the baristas of a store make now: drinks by their method, then plates; the oldest first.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WallView {
    store_id: String,
    pub(super) position: i64,
    has_more: bool,
    brew: Vec<MethodView>,
    plate: Vec<ItemView>,
}

/// The drinks of one method.
#[derive(Debug, Serialize)]
struct MethodView {
    method: String,
    items: Vec<ItemView>,
}

/// One ticket on the wall.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ItemView {
    ticket_id: String,
    order_id: String,
    product: String,
    quantity: i64,
    status: &'static str,
    age_seconds: i64,
}

/// A ticket that was worked on.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TicketView {
    ticket_id: String,
    order_id: String,
    store_id: String,
    line: i32,
    product_id: String,
    product: String,
    quantity: i64,
    station: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    method: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    opened_at: Option<Instant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<Instant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Instant>,
}

// === impl WallView ===

impl From<wire::Wall> for WallView {
    fn from(wall: wire::Wall) -> Self {
        let (mut brew, mut plate) = (BTreeMap::<String, Vec<ItemView>>::new(), Vec::new());
        for item in wall.items {
            match item.station() {
                wire::Station::Plate => plate.push(item.into()),
                wire::Station::Brew | wire::Station::Unspecified => {
                    let method = item.method.clone();
                    brew.entry(method).or_default().push(item.into());
                }
            }
        }
        let methods = brew.into_iter();
        Self {
            store_id: wall.store_id,
            position: wall.position,
            has_more: wall.has_more,
            brew: methods
                .map(|(method, items)| MethodView { method, items })
                .collect(),
            plate,
        }
    }
}

// === impl ItemView ===

impl From<wire::WallItem> for ItemView {
    fn from(item: wire::WallItem) -> Self {
        Self {
            status: status_name(item.status()),
            ticket_id: item.ticket_id,
            order_id: item.order_id,
            product: item.product,
            quantity: item.quantity,
            age_seconds: item.age_seconds,
        }
    }
}

// === impl TicketView ===

impl From<wire::TicketState> for TicketView {
    fn from(state: wire::TicketState) -> Self {
        let status = status_name(state.status());
        let ticket = state.ticket.unwrap_or_default();
        Self {
            station: station_name(ticket.station()),
            ticket_id: ticket.ticket_id,
            order_id: state.order_id,
            store_id: state.store_id,
            line: ticket.line,
            product_id: ticket.product_id,
            product: ticket.product,
            quantity: ticket.quantity,
            method: ticket.method,
            status,
            opened_at: state.opened_at.map(Into::into),
            started_at: state.started_at.map(Into::into),
            ended_at: state.ended_at.map(Into::into),
        }
    }
}

/// The name of a ticket's status; one newer than this edge has no name here.
const fn status_name(status: wire::TicketStatus) -> &'static str {
    match status {
        wire::TicketStatus::Open => "open",
        wire::TicketStatus::Started => "started",
        wire::TicketStatus::Done => "done",
        wire::TicketStatus::Withdrawn => "withdrawn",
        wire::TicketStatus::Unspecified => "unknown",
    }
}

const fn station_name(station: wire::Station) -> &'static str {
    match station {
        wire::Station::Brew => "brew",
        wire::Station::Plate => "plate",
        wire::Station::Unspecified => "unknown",
    }
}
