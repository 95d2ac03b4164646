use std::collections::BTreeMap;

use brewline_kernel::Timestamp;
use brewline_postgres::{Connection, Error, Instant};
use uuid::Uuid;

/// One product's stock in one store, as the stock table says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Level {
    /// `store/product`, for people.
    pub name: String,
    /// On the shelf.
    pub on_hand: i64,
    /// Held by open orders.
    pub reserved: i64,
    /// The number of the ledger's last entry.
    pub sequence: i64,
}

/// One entry of the stock ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movement {
    /// Which stock moved.
    pub stock_id: i32,
    /// Counts from 1 for each stock.
    pub sequence: i64,
    /// `reserve`, `commit`, `release`, `return` or `adjust`.
    pub kind: String,
    /// Change and balance on the shelf.
    pub on_hand: (i64, i64),
    /// Change and balance of what is held.
    pub reserved: (i64, i64),
    /// The order, unless it was done by hand.
    pub order: Option<Uuid>,
    /// The event that caused it.
    pub cause: Uuid,
    /// When.
    pub at: Timestamp,
}

/// What an order holds or held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// `reserved`, `rejected`, `committed`, `released` or `returned`.
    pub state: String,
    /// The number of its events.
    pub version: i64,
}

/// The inventory service's tables, read in one snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StockBooks {
    /// By the stock's short name.
    pub levels: BTreeMap<i32, Level>,
    /// By stock and sequence.
    pub ledger: Vec<Movement>,
    /// By order.
    pub reservations: BTreeMap<Uuid, Reservation>,
}

// === impl StockBooks ===

impl StockBooks {
    pub(super) async fn read(db: &Connection) -> Result<Self, Error> {
        Ok(Self {
            levels: levels(db).await?,
            ledger: ledger(db).await?,
            reservations: reservations(db).await?,
        })
    }

    /// The ledger's entries of each order.
    #[must_use]
    pub fn by_order(&self) -> BTreeMap<Uuid, Vec<&Movement>> {
        let mut orders: BTreeMap<Uuid, Vec<&Movement>> = BTreeMap::new();
        for movement in &self.ledger {
            if let Some(order) = movement.order {
                orders.entry(order).or_default().push(movement);
            }
        }
        orders
    }
}

async fn levels(db: &Connection) -> Result<BTreeMap<i32, Level>, Error> {
    let sql =
        "select stock_id, store_id || '/' || product_id, on_hand, reserved, sequence from stock";
    let rows = db.query(sql, &[]).await?;
    Ok(rows
        .iter()
        .map(|row| {
            let level = Level {
                name: row.get(1),
                on_hand: row.get(2),
                reserved: row.get(3),
                sequence: row.get(4),
            };
            (row.get(0), level)
        })
        .collect())
}

async fn ledger(db: &Connection) -> Result<Vec<Movement>, Error> {
    let sql = "select stock_id, sequence, kind, on_hand_delta, on_hand_after,
                      reserved_delta, reserved_after, order_id, cause, at
               from stock_ledger order by stock_id, sequence";
    let rows = db.query(sql, &[]).await?;
    Ok(rows
        .iter()
        .map(|row| {
            let Instant(at) = row.get(9);
            Movement {
                stock_id: row.get(0),
                sequence: row.get(1),
                kind: row.get(2),
                on_hand: (row.get(3), row.get(4)),
                reserved: (row.get(5), row.get(6)),
                order: row.get(7),
                cause: row.get(8),
                at,
            }
        })
        .collect())
}

async fn reservations(db: &Connection) -> Result<BTreeMap<Uuid, Reservation>, Error> {
    let rows = db
        .query("select order_id, state, version from reservation", &[])
        .await?;
    Ok(rows
        .iter()
        .map(|row| {
            (
                row.get(0),
                Reservation {
                    state: row.get(1),
                    version: row.get(2),
                },
            )
        })
        .collect())
}
