//! What is answered, as it travels.

use brewline_barista_domain::{Station, TicketStatus};
use brewline_kernel::Timestamp;
use brewline_proto::fulfilment::v1 as wire;

use crate::app::show_tickets::Item;
use crate::outbound::event_codec;
use crate::outbound::store::TicketRow;
use crate::outbound::wall_store::Wall;

pub(super) fn ticket_state(row: &TicketRow) -> wire::TicketState {
    wire::TicketState {
        ticket: Some(event_codec::ticket(&row.ticket)),
        order_id: row.order.to_string(),
        store_id: row.store.to_string(),
        status: status(row.ticket.status).into(),
        opened_at: Some(instant(row.opened_at)),
        started_at: row.started_at.map(instant),
        ended_at: row.ended_at.map(instant),
    }
}

pub(super) fn wall(wall: &Wall, now: Timestamp) -> wire::Wall {
    wire::Wall {
        store_id: wall.store.to_string(),
        position: wall.position,
        items: wall.items.iter().map(|it| item(it, now)).collect(),
        has_more: wall.has_more,
    }
}

fn item(item: &Item, now: Timestamp) -> wire::WallItem {
    let (station, method) = match &item.station {
        Station::Brew { method } => (wire::Station::Brew, method.clone()),
        Station::Plate => (wire::Station::Plate, String::new()),
    };
    wire::WallItem {
        ticket_id: item.ticket.to_string(),
        order_id: item.order.to_string(),
        product: item.product.clone(),
        quantity: item.quantity,
        station: station.into(),
        method,
        status: status(item.status).into(),
        age_seconds: i64::try_from(now.since(item.opened_at).as_secs()).unwrap_or(i64::MAX),
    }
}

const fn status(status: TicketStatus) -> wire::TicketStatus {
    match status {
        TicketStatus::Open => wire::TicketStatus::Open,
        TicketStatus::Started => wire::TicketStatus::Started,
        TicketStatus::Done => wire::TicketStatus::Done,
        TicketStatus::Withdrawn => wire::TicketStatus::Withdrawn,
    }
}

fn instant(at: Timestamp) -> prost_types::Timestamp {
    const MICROS: i64 = 1_000_000;
    let micros = at.as_micros();
    prost_types::Timestamp {
        seconds: micros.div_euclid(MICROS),
        nanos: i32::try_from(micros.rem_euclid(MICROS) * 1_000).unwrap_or(0),
    }
}
