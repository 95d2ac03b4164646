//! The orders' events, batch by batch.

use std::collections::BTreeSet;
use std::sync::Arc;

use brewline_barista_domain::{
    CancellationCause, Command, NewTicket, PreparationEvent, Station, TicketId,
};
use brewline_failpoint::hit;
use brewline_kernel::{Clock, IdGenerator, OrderId, StoreId};
use brewline_messaging::{
    ConsumerSpec, Delivery, Failure, Handler, NewEvent, Outbox, TopicKind, TopicSpec,
};
use brewline_postgres::Transaction;
use brewline_proto::catalogue::v1::ProductKind;
use brewline_proto::order::v1 as wire;
use futures_util::try_join;
use prost::Message;

use crate::app::prepare::{Asked, Happened, Preparations, Prepared, Refused, prepare};
use crate::app::show_tickets::Changes;
use crate::app::work_ticket::count;
use crate::error::LoadError;
use crate::outbound::event_codec::fulfilment_event;
use crate::outbound::{store, wall_store};
use crate::signals;

/// The orders' topic.
pub const ORDERS: &str = "brewline.order.events.v1";

/// Reads the orders' events.
pub const CONSUMER: ConsumerSpec = ConsumerSpec {
    name: "brewline.barista.orders",
    topics: &[TopicSpec {
        name: ORDERS,
        kind: TopicKind::Events,
    }],
};

/// Opens tickets, and withdraws them.
pub struct OrderEvents {
    /// Where events go.
    pub outbox: Outbox,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Names tickets and events.
    pub ids: Arc<dyn IdGenerator>,
}

// === impl OrderEvents ===

impl Handler for OrderEvents {
    type Effect = Vec<Happened>;

    async fn handle(
        &self,
        tx: &Transaction<'_>,
        batch: &[Delivery],
    ) -> Result<Vec<Happened>, Failure> {
        let batch = batch
            .iter()
            .filter_map(|delivery| self.asked(delivery).transpose())
            .collect::<Result<Vec<_>, _>>()?;
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let orders: BTreeSet<OrderId> = batch.iter().map(|asked| asked.order).collect();
        let orders: Vec<OrderId> = orders.into_iter().collect();
        let stored = store::load(tx, &orders).await?;
        let prepared = prepare(&batch, &stored)?;
        // Boxed: it holds eight statements on their way.
        Box::pin(self.store(tx, &prepared, &stored)).await?;
        pass_crash_points(&prepared.events);
        Ok(prepared.events)
    }

    fn committed(&self, events: Vec<Happened>) {
        count(&events);
    }
}

impl OrderEvents {
    /// One statement a table, all of them on their way before the first has answered.
    async fn store(
        &self,
        tx: &Transaction<'_>,
        prepared: &Prepared,
        stored: &Preparations,
    ) -> Result<(), Failure> {
        let now = self.clock.now();
        let event = |happened: &Happened| fulfilment_event(self.ids.next(), now, happened);
        let events: Vec<NewEvent> = prepared.events.iter().map(event).collect();
        let (fresh, moved) = (prepared.new_tickets(stored), prepared.moved_tickets(stored));
        let walls = Changes::of(&prepared.events, now);
        try_join!(
            store::save_preparations(tx, &prepared.preparations, now),
            store::open_tickets(tx, &fresh, now),
            store::move_tickets(tx, &moved, now),
            self.outbox.append(tx, &events),
            wall_store::change(tx, &walls),
        )?;
        signals::BATCH.observe(u32::try_from(events.len()).unwrap_or(u32::MAX).into());
        Ok(())
    }

    /// What a delivery asks of the baristas; nothing for the events that ask nothing.
    fn asked(&self, delivery: &Delivery) -> Result<Option<Asked>, Failure> {
        let envelope = &delivery.envelope;
        let command = match envelope.event_type.as_str() {
            "brewline.order.v1.OrderConfirmed" => self.open(&decode(delivery)?)?,
            "brewline.order.v1.OrderCancellationRequested" => {
                let message: wire::OrderCancellationRequested = decode(delivery)?;
                Command::Withdraw {
                    store: parse("store_id", &message.store_id)?,
                    asked: envelope.version,
                }
            }
            "brewline.order.v1.OrderCancelled" => cancelled(&decode(delivery)?)?,
            _ => return Ok(None),
        };
        Ok(Some(Asked {
            order: parse("subject", &envelope.subject)?,
            command,
            cause: Some(envelope.id),
            correlation: envelope.correlation_id,
            traceparent: envelope.traceparent,
        }))
    }

    fn open(&self, message: &wire::OrderConfirmed) -> Result<Command, Failure> {
        let store: StoreId = parse("store_id", &message.store_id)?;
        let lines = message.lines.iter();
        let tickets = lines
            .map(|line| self.ticket(line))
            .collect::<Result<_, _>>()?;
        Ok(Command::Open { store, tickets })
    }

    fn ticket(&self, line: &wire::OrderLine) -> Result<NewTicket, Failure> {
        let station = match line.kind() {
            ProductKind::Drink => Station::Brew {
                method: line.method.clone(),
            },
            ProductKind::Food => Station::Plate,
            ProductKind::Unspecified => {
                return Err(Failure::poison("a line is neither drink nor food"));
            }
        };
        Ok(NewTicket {
            id: TicketId::new(self.ids.next()),
            product: parse("product_id", &line.product_id)?,
            name: line.name.clone(),
            quantity: line.quantity,
            station,
        })
    }
}

impl std::fmt::Debug for OrderEvents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OrderEvents").finish_non_exhaustive()
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Database(error) => Self::Database(error),
            LoadError::Corrupt(corrupt) => Self::poison(corrupt.to_string()),
        }
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Self::poison(refused.to_string())
    }
}

fn cancelled(message: &wire::OrderCancelled) -> Result<Command, Failure> {
    let cause = match message.reason() {
        wire::CancellationReason::PaymentLost => CancellationCause::PaymentLost,
        wire::CancellationReason::Customer | wire::CancellationReason::Unspecified => {
            CancellationCause::Customer
        }
    };
    let store = parse("store_id", &message.store_id)?;
    Ok(Command::Cancelled { store, cause })
}

fn pass_crash_points(events: &[Happened]) {
    let any = |of: fn(&PreparationEvent) -> bool| events.iter().any(|it| of(&it.event));
    if any(|event| matches!(event, PreparationEvent::TicketsOpened { .. })) {
        hit("barista.opened-before-commit");
    }
    if any(|event| matches!(event, PreparationEvent::TicketsWithdrawn { .. })) {
        hit("barista.withdrawn-before-commit");
    }
    if any(|event| matches!(event, PreparationEvent::WithdrawalRefused { .. })) {
        hit("barista.refused-before-commit");
    }
}

pub(super) fn decode<M: Message + Default>(delivery: &Delivery) -> Result<M, Failure> {
    M::decode(delivery.payload.as_ref()).map_err(|error| {
        let event_type = &delivery.envelope.event_type;
        Failure::poison(format!("decode {event_type}: {error}"))
    })
}

pub(super) fn parse<T: std::str::FromStr>(field: &str, text: &str) -> Result<T, Failure>
where
    T::Err: std::fmt::Display,
{
    text.parse()
        .map_err(|error| Failure::poison(format!("{field}: {error}")))
}
