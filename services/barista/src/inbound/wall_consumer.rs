//! This service's own events, as they make its walls.
//!
//! The walls are a view: written in the transactions that leave these events in the outbox, and to be made
//! anew from the log.

use brewline_barista_domain::{Station, TicketStatus};
use brewline_kernel::StoreId;
use brewline_messaging::views::{Live, Projection, Table, View};
use brewline_messaging::{ConsumerSpec, Delivery, Failure, Handler, TopicKind, TopicSpec};
use brewline_postgres::Transaction;
use brewline_proto::fulfilment::v1 as wire;

use super::order_consumer::{decode, parse};
use crate::app::show_tickets::{Changes, Item, Shown};
use crate::outbound::event_codec::TOPIC;
use crate::outbound::wall_store;

/// Reads this service's own events, when the walls are made anew.
const REPLAY: ConsumerSpec = ConsumerSpec {
    name: "brewline.barista.wall",
    topics: &[TopicSpec {
        name: TOPIC,
        kind: TopicKind::Events,
    }],
};

/// A wall made anew goes on from where the live one is: whoever watches it sees it change once more. Also one
/// that only the live view has: from zero, it would for a while tell nothing to whoever watches it.
const ADOPT: &str = "
    insert into wall (store_id, position) select store_id, position + 1 from public.wall
        on conflict (store_id) do update set position = excluded.position;";

/// Makes walls from the log.
#[derive(Clone, Copy, Debug)]
struct ReplayWalls;

/// The views of this service.
#[must_use]
pub fn views() -> Vec<View> {
    vec![View {
        name: "wall",
        consumer: REPLAY,
        live: Live::Written,
        tables: &[
            Table {
                name: "wall_item",
                not_compared: &[],
            },
            // Positions count batches, and those were others.
            Table {
                name: "wall",
                not_compared: &["position"],
            },
        ],
        beside: &[],
        seed: "",
        adopt: ADOPT,
        projection: Projection::new(ReplayWalls),
    }]
}

// === impl ReplayWalls ===

impl Handler for ReplayWalls {
    type Effect = ();

    async fn handle(&self, tx: &Transaction<'_>, batch: &[Delivery]) -> Result<(), Failure> {
        let mut changes = Changes::default();
        for delivery in batch {
            if let Some((store, shown)) = shown(delivery)? {
                changes.add(&store, shown);
            }
        }
        wall_store::change(tx, &changes).await?;
        Ok(())
    }

    fn committed(&self, (): ()) {}
}

/// What an event means to a wall, and to whose; nothing for the events that mean nothing.
fn shown(delivery: &Delivery) -> Result<Option<(StoreId, Shown)>, Failure> {
    let (store, shown) = match delivery.envelope.event_type.as_str() {
        "brewline.fulfilment.v1.TicketsOpened" => {
            let message: wire::TicketsOpened = decode(delivery)?;
            let items = message.tickets.iter().map(|ticket| item(delivery, ticket));
            let items = items.collect::<Result<_, _>>()?;
            (message.store_id, Shown::Opened(items))
        }
        "brewline.fulfilment.v1.PreparationStarted" => {
            let message: wire::PreparationStarted = decode(delivery)?;
            let ticket = parse("ticket_id", &message.ticket_id)?;
            (message.store_id, Shown::Begun(ticket))
        }
        "brewline.fulfilment.v1.TicketStarted" => {
            let message: wire::TicketStarted = decode(delivery)?;
            let ticket = parse("ticket_id", &message.ticket_id)?;
            (message.store_id, Shown::Begun(ticket))
        }
        "brewline.fulfilment.v1.TicketDone" => {
            let message: wire::TicketDone = decode(delivery)?;
            let ticket = parse("ticket_id", &message.ticket_id)?;
            (message.store_id, Shown::Gone(vec![ticket]))
        }
        "brewline.fulfilment.v1.TicketsWithdrawn" => {
            let message: wire::TicketsWithdrawn = decode(delivery)?;
            let tickets = message.ticket_ids.iter().map(|id| parse("ticket_ids", id));
            let tickets = tickets.collect::<Result<_, _>>()?;
            (message.store_id, Shown::Gone(tickets))
        }
        _ => return Ok(None),
    };
    Ok(Some((parse("store_id", &store)?, shown)))
}

fn item(delivery: &Delivery, ticket: &wire::Ticket) -> Result<Item, Failure> {
    let station = match ticket.station() {
        wire::Station::Brew => Station::Brew {
            method: ticket.method.clone(),
        },
        wire::Station::Plate => Station::Plate,
        wire::Station::Unspecified => return Err(Failure::poison("a ticket without a station")),
    };
    Ok(Item {
        ticket: parse("ticket_id", &ticket.ticket_id)?,
        order: parse("subject", &delivery.envelope.subject)?,
        product: ticket.product.clone(),
        quantity: ticket.quantity,
        station,
        status: TicketStatus::Open,
        opened_at: delivery.envelope.time,
    })
}
