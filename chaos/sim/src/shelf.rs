//! Inventory: reservations and stock, moved by the orders' events in the consumer's transaction.

use std::collections::BTreeMap;

use brewline_chaos::evidence::Movement;
use brewline_inventory_domain::{
    Lines, MovementKind, OrderEvent, Reservation, ReservationEvent, ReservationState, StockAccount,
    decide, evolve, movements,
};
use brewline_kernel::{OrderId, ProductId, StoreId};
use brewline_messaging::Delivery;

use crate::broker::Service;
use crate::clients::{PRODUCTS, store_id};
use crate::consumer::Effect;
use crate::planted;
use crate::tables::{Tables, Write};
use crate::world::{Event, SECOND, World};

/// A batch while it is being settled.
#[derive(Debug, Default)]
struct Draft {
    reservations: BTreeMap<OrderId, Reservation>,
    stock: BTreeMap<ProductId, StockAccount>,
    effect: Effect,
}

// === impl World ===

impl World {
    /// Settles fresh events of orders.
    ///
    /// # Errors
    /// When one contradicts what happened before, or stock would be oversold.
    pub fn settle(&mut self, fresh: &[Delivery]) -> Result<Effect, String> {
        let mut draft = Draft::default();
        for delivery in fresh {
            self.settle_one(&mut draft, delivery)?;
        }
        let mut effect = draft.effect;
        for (product, account) in draft.stock {
            let guarded = !planted::is_on("oversell") && !planted::is_on("release-twice");
            if guarded && !account.level().is_sound() {
                return Err(format!("{product} would be oversold"));
            }
            effect.writes.push(Write::Stock(product, account));
        }
        let reservations = draft.reservations.into_iter();
        effect
            .writes
            .extend(reservations.map(|(order, it)| Write::Reservation(order, it)));
        Ok(effect)
    }

    fn settle_one(&mut self, draft: &mut Draft, delivery: &Delivery) -> Result<(), String> {
        let Ok(order) = delivery.envelope.subject.parse::<OrderId>() else {
            return Err("the subject is no order".to_owned());
        };
        let Some(event) = asked(delivery) else {
            return Ok(());
        };
        let Some(store) = self.stores.get(&Service::Inventory) else {
            return Ok(());
        };
        let tables = &store.tables;
        let current = draft
            .reservations
            .get(&order)
            .or_else(|| tables.reservations.get(&order));
        let current = current
            .filter(|reservation| !is_overlooked(reservation, &event))
            .cloned();
        let available = |product: &ProductId| {
            let level = account(&draft.stock, tables, product).level();
            if planted::is_on("oversell") {
                level.on_hand
            } else {
                level.available()
            }
        };
        let decided = decide(current.as_ref(), &event, available);
        let Some(happened) = decided.map_err(|error| error.to_string())? else {
            return Ok(());
        };
        let reservation = evolve(current.as_ref(), &happened);
        self.post(draft, &happened, (order, &event), delivery);
        let id = (order, reservation.version);
        let envelope = self.envelope(
            Service::Inventory,
            name(&happened),
            id,
            Some(&delivery.envelope),
        );
        draft
            .effect
            .writes
            .push(Write::Emit(envelope, String::new()));
        draft.reservations.insert(order, reservation);
        Ok(())
    }

    fn post(
        &self,
        draft: &mut Draft,
        happened: &ReservationEvent,
        (order, because): (OrderId, &OrderEvent),
        delivery: &Delivery,
    ) {
        let Some(store) = self.stores.get(&Service::Inventory) else {
            return;
        };
        let mut moved = movements(happened);
        if matches!(happened, ReservationEvent::Released { .. }) {
            if planted::is_on("release-twice") {
                moved.extend_from_within(..);
            }
            if matches!(because, OrderEvent::Rejected { .. }) && planted::is_on("forget-release") {
                moved.clear();
            }
        }
        for (product, movement) in moved {
            let mut account = account(&draft.stock, &store.tables, product);
            let entry = account.post(movement);
            draft.stock.insert(product.clone(), account);
            draft.effect.writes.push(Write::Movement(Movement {
                stock_id: stock_id(product),
                sequence: entry.sequence,
                kind: kind(entry.movement.kind).to_owned(),
                on_hand: (planted::recorded(entry.movement), entry.after.on_hand),
                reserved: (entry.movement.reserved, entry.after.reserved),
                order: Some(order.as_uuid()),
                cause: delivery.envelope.id,
                at: self.instant(),
            }));
        }
    }

    /// The stock rows that an order's event may touch.
    #[must_use]
    pub fn stock_of(&self, delivery: &Delivery) -> Vec<ProductId> {
        let Some(store) = self.stores.get(&Service::Inventory) else {
            return Vec::new();
        };
        if !delivery.envelope.event_type.starts_with("brewline.order.") {
            return Vec::new();
        }
        if let Some(OrderEvent::Placed { lines, .. }) = asked(delivery) {
            return lines.iter().map(|(product, _)| product.clone()).collect();
        }
        // A reservation made earlier in the same batch is not stored yet: then all are taken.
        let order = delivery.envelope.subject.parse::<OrderId>().ok();
        match order.and_then(|order| store.tables.reservations.get(&order)) {
            Some(held) => held
                .lines
                .iter()
                .map(|(product, _)| product.clone())
                .collect(),
            None => store.tables.stock.keys().cloned().collect(),
        }
    }

    /// Somebody adds to a shelf, by hand.
    pub fn restock(&mut self) {
        let (product, count, cause) = (
            self.random.between(0, 1),
            self.random.between(1, 3),
            self.id(),
        );
        let at = self.instant();
        let Some(store) = self.stores.get_mut(&Service::Inventory) else {
            return;
        };
        let Some(product) = usize::try_from(product)
            .ok()
            .and_then(|index| PRODUCTS.get(index))
        else {
            return;
        };
        let Ok(product) = product.parse::<ProductId>() else {
            return;
        };
        if !store.is_free(&[crate::store::Lock::Stock(product.clone())]) {
            self.after(SECOND, Event::Restock);
            return;
        }
        adjust(&mut store.tables, &product, count, (cause, at));
    }
}

/// Adds to a stock row and its ledger.
pub fn adjust(
    tables: &mut Tables,
    product: &ProductId,
    delta: i64,
    (cause, at): (uuid::Uuid, brewline_kernel::Timestamp),
) {
    let mut account = account(&BTreeMap::new(), tables, product);
    let Ok(movement) = account.level().adjust(delta) else {
        return;
    };
    let entry = account.post(movement);
    tables.stock.insert(product.clone(), account);
    tables.movements.push(Movement {
        stock_id: stock_id(product),
        sequence: entry.sequence,
        kind: "adjust".to_owned(),
        on_hand: (movement.on_hand, entry.after.on_hand),
        reserved: (0, entry.after.reserved),
        order: None,
        cause,
        at,
    });
}

/// The short name of a stock row.
#[must_use]
pub fn stock_id(product: &ProductId) -> i32 {
    let index = PRODUCTS.iter().position(|name| *name == product.as_str());
    index
        .and_then(|index| i32::try_from(index).ok())
        .unwrap_or(-1)
}

fn account(
    drafted: &BTreeMap<ProductId, StockAccount>,
    tables: &Tables,
    product: &ProductId,
) -> StockAccount {
    let account = drafted.get(product).or_else(|| tables.stock.get(product));
    account.copied().unwrap_or_default()
}

/// The tombstone of an order that ended first is not seen: a planted bug.
fn is_overlooked(reservation: &Reservation, event: &OrderEvent) -> bool {
    let is_tombstone = reservation.state == ReservationState::Released && reservation.version == 1;
    matches!(event, OrderEvent::Placed { .. }) && is_tombstone && planted::is_on("ignore-tombstone")
}

fn asked(delivery: &Delivery) -> Option<OrderEvent> {
    let store: StoreId = store_id()?;
    match delivery.envelope.event_type.rsplit('.').next()? {
        "OrderPlaced" => {
            let lines = lines(&delivery.payload)?;
            Some(OrderEvent::Placed { store, lines })
        }
        "OrderConfirmed" => Some(OrderEvent::Confirmed),
        "OrderRejected" => Some(OrderEvent::Rejected { store }),
        "OrderCancelled" => Some(OrderEvent::Cancelled { store }),
        _ => None,
    }
}

/// Reads `product quantity,product quantity`.
fn lines(body: &[u8]) -> Option<Lines> {
    let text = std::str::from_utf8(body).ok()?;
    let line = |part: &str| {
        let (product, quantity) = part.split_once(' ')?;
        Some((
            product.parse::<ProductId>().ok()?,
            quantity.parse::<i64>().ok()?,
        ))
    };
    let lines = text.split(',').map(line).collect::<Option<Vec<_>>>()?;
    Lines::new(lines).ok()
}

const fn name(event: &ReservationEvent) -> &'static str {
    match event {
        ReservationEvent::Reserved { .. } => "StockReserved",
        ReservationEvent::Rejected { .. } => "StockRejected",
        ReservationEvent::Committed { .. } => "StockCommitted",
        ReservationEvent::Released { .. } => "StockReleased",
        ReservationEvent::Returned { .. } => "StockReturned",
    }
}

const fn kind(kind: MovementKind) -> &'static str {
    match kind {
        MovementKind::Reserve => "reserve",
        MovementKind::Commit => "commit",
        MovementKind::Release => "release",
        MovementKind::Return => "return",
        MovementKind::Adjust => "adjust",
    }
}
