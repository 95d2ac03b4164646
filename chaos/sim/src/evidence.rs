//! The databases, the log and the processor's ledger as the same evidence that is read from live
//! servers, so that the same checkers judge it.

use std::collections::{BTreeMap, BTreeSet};

use brewline_chaos::evidence::{
    Evidence, IdempotencyKey, InboxRow, Level, LogRecord, Mark, Messaging, Order, OrderEvent,
    Orders, OutboxRow, Position, Reservation, Slot, StockBooks, digest,
};
use brewline_chaos::history::History;
use brewline_inventory_domain::ReservationState;
use brewline_kernel::Timestamp;
use brewline_order_domain::checkout::Phase;
use brewline_order_domain::order::OrderStatus;
use uuid::Uuid;

use crate::broker::Service;
use crate::money;
use crate::shelf::stock_id;
use crate::store::Store;
use crate::tables::Tables;
use crate::world::World;

// === impl World ===

impl World {
    /// Everything that is on record.
    #[must_use]
    pub fn evidence(&self) -> Evidence {
        let empty = Tables::default();
        let tables = |service| {
            self.stores
                .get(&service)
                .map_or(&empty, |store| &store.tables)
        };
        let order = tables(Service::Order);
        let payment = tables(Service::Payment);
        let each = self.stores.iter();
        let messaging =
            each.map(|(service, store)| (service.name(), Ok(self.messaging(*service, store))));
        let slots = self.stores.iter();
        let slots = slots.map(|(service, store)| (service.name(), Ok(vec![slot(store)])));
        Evidence {
            unreadable: Ok(Vec::new()),
            dead: Ok(Vec::new()),
            addresses_logged: None,
            now: self.instant(),
            since: Timestamp::EPOCH,
            before: Ok(marks(order)),
            after: Ok(marks(order)),
            orders: Ok(orders(order)),
            stock: Ok(stock(tables(Service::Inventory))),
            operations: Ok(money::operations(payment).into_iter().collect()),
            postings: Ok(payment.postings.clone()),
            processor: Ok(self.processor.ledger.clone()),
            messaging: messaging.collect(),
            slots_after: slots.collect(),
            log: Ok(self.log_records()),
            history: Some(Ok(History::of(&self.journal))),
            tickets: None,
            notified: None,
            mailbox: None,
            hooks: None,
            boards: None,
            erasures: None,
            expected_dead_letters: BTreeSet::new(),
            healing_promised: true,
        }
    }

    fn log_records(&self) -> Vec<LogRecord> {
        let records = self.log.records().map(|(service, record)| {
            let (delivery, envelope) = (&record.delivery, &record.delivery.envelope);
            let kind = envelope.event_type.rsplit('.').next().unwrap_or_default();
            LogRecord {
                topic: service.topic(),
                partition: delivery.partition,
                offset: delivery.offset,
                at: record.at,
                id: envelope.id,
                kind: kind.to_owned(),
                subject: envelope.subject.clone(),
                version: envelope.version,
                body: digest(&delivery.payload),
                slot: 0,
                epoch: record.epoch,
                happened: envelope.time,
                fact: None,
            }
        });
        records.collect()
    }

    fn messaging(&self, service: Service, store: &Store) -> Messaging {
        let tables = &store.tables;
        let outbox = tables.outbox.values().map(|row| OutboxRow {
            id: row.envelope.id,
            topic: service.topic().to_owned(),
            subject: row.envelope.subject.clone(),
            version: row.envelope.version,
            body: Some(digest(row.body.as_bytes())),
            slot: 0,
            position: row.position,
            age_seconds: i64::try_from(self.instant().since(row.envelope.time).as_secs())
                .unwrap_or(0),
        });
        let (from, consumer) = service.consumes().unwrap_or((service, ""));
        let position = |(partition, row): (&i32, &crate::tables::PositionRow)| Position {
            consumer: consumer.to_owned(),
            topic: from.topic().to_owned(),
            partition: *partition,
            epoch: row.epoch,
            next_offset: row.next,
        };
        let inbox = tables
            .inbox
            .iter()
            .map(|((topic, subject), (version, id))| {
                let key = (consumer.to_owned(), topic.clone(), subject.clone());
                let (version, event_id) = (*version, *id);
                (key, InboxRow { version, event_id })
            });
        let parked = tables
            .waiting
            .iter()
            .map(|(_, subject)| (consumer.to_owned(), subject.clone()));
        let held = tables.held.iter();
        let parked_records = held.flat_map(|((topic, subject), waiting)| {
            let key = (consumer.to_owned(), topic.clone(), subject.clone());
            let versions = waiting.iter().map(|delivery| delivery.envelope.version);
            versions.map(move |version| (key.0.clone(), key.1.clone(), key.2.clone(), version))
        });
        Messaging {
            outbox: outbox.collect(),
            slots: vec![slot(store)],
            positions: tables.positions.iter().map(position).collect(),
            inbox: inbox.collect(),
            dead_letters: Vec::new(),
            parked: parked.collect::<BTreeSet<_>>(),
            parked_records: parked_records.collect(),
            personal: BTreeSet::new(),
        }
    }

    /// Whether everything is closed, published and consumed.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        let stores = self
            .stores
            .values()
            .all(|store| store.is_quiet() && store.is_published());
        let Some(order) = self.stores.get(&Service::Order) else {
            return false;
        };
        let closed = |phase: Phase| matches!(phase, Phase::Completed | Phase::Undone);
        let sagas = order
            .tables
            .sagas
            .values()
            .all(|saga| closed(saga.state.phase));
        let mut orders = order.tables.orders.values();
        let answered = orders.all(|order| order.status != OrderStatus::Cancelling);
        stores && sagas && answered && self.is_consumed()
    }

    fn is_consumed(&self) -> bool {
        self.stores.iter().all(|(service, store)| {
            let Some((from, _)) = service.consumes() else {
                return true;
            };
            (0..crate::broker::PARTITIONS).all(|partition| {
                let row = store.tables.positions.get(&partition);
                row.map_or(0, |row| row.next) >= self.log.end(from, partition)
            })
        })
    }
}

const fn slot(store: &Store) -> Slot {
    Slot {
        slot: 0,
        epoch: store.slot.epoch,
        watermark: store.slot.watermark,
    }
}

fn marks(tables: &Tables) -> BTreeMap<Uuid, Mark> {
    let mark = |order: &brewline_order_domain::order::Order| {
        let saga = tables.sagas.get(&order.id);
        let phase = saga.map_or("", |saga| saga.state.phase.as_str());
        let parked = saga.and_then(|saga| saga.state.parked);
        let ended = matches!(phase, "completed" | "undone");
        Mark {
            version: order.version,
            saga_version: saga.map_or(0, |saga| saga.version),
            phase: phase.to_owned(),
            parked_reason: parked
                .map_or("", |parked| parked.reason.as_str())
                .to_owned(),
            closed: ended && order.status != OrderStatus::Cancelling,
            placed_at: order.placed_at,
            updated_at: order.updated_at,
        }
    };
    tables
        .orders
        .values()
        .map(|order| (order.id.as_uuid(), mark(order)))
        .collect()
}

fn orders(tables: &Tables) -> Orders {
    let row = |order: &brewline_order_domain::order::Order| Order {
        store_id: order.store_id.to_string(),
        status: order.status.as_str().to_owned(),
        total_minor: order.total.minor,
        currency: order.total.currency.code().to_owned(),
        placed_at: order.placed_at,
        confirmed: order.confirmed_at.is_some(),
    };
    let events = |rows: &Vec<crate::tables::OrderEventRow>| {
        let event = |(version, row): (i64, &crate::tables::OrderEventRow)| OrderEvent {
            version,
            id: row.id,
            kind: row.kind.to_owned(),
            at: row.at,
        };
        (1..).zip(rows).map(event).collect()
    };
    let keys = tables.keys.iter().map(|(key, order)| IdempotencyKey {
        key: key.clone(),
        order: Some(order.as_uuid()),
    });
    let all = tables.order_events.iter();
    Orders {
        rows: tables
            .orders
            .values()
            .map(|order| (order.id.as_uuid(), row(order)))
            .collect(),
        events: all.map(|(id, rows)| (id.as_uuid(), events(rows))).collect(),
        saga_log: tables
            .sagas
            .iter()
            .map(|(id, saga)| (id.as_uuid(), saga.log.clone()))
            .collect(),
        keys: keys.collect(),
    }
}

fn stock(tables: &Tables) -> StockBooks {
    let level = |(product, account): (
        &brewline_kernel::ProductId,
        &brewline_inventory_domain::StockAccount,
    )| {
        let level = Level {
            name: product.to_string(),
            on_hand: account.level().on_hand,
            reserved: account.level().reserved,
            sequence: account.sequence(),
        };
        (stock_id(product), level)
    };
    let reservation = |(order, it): (
        &brewline_kernel::OrderId,
        &brewline_inventory_domain::Reservation,
    )| {
        let state = match it.state {
            ReservationState::Rejected => "rejected",
            ReservationState::Reserved => "reserved",
            ReservationState::Committed => "committed",
            ReservationState::Released => "released",
            ReservationState::Returned => "returned",
        };
        let (state, version) = (state.to_owned(), it.version);
        (order.as_uuid(), Reservation { state, version })
    };
    let mut ledger = tables.movements.clone();
    ledger.sort_by_key(|movement| (movement.stock_id, movement.sequence));
    StockBooks {
        levels: tables.stock.iter().map(level).collect(),
        ledger,
        reservations: tables.reservations.iter().map(reservation).collect(),
    }
}
