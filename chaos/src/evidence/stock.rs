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
    /// Reads the books as they are now. `known` is the ledger as far as it was read before: entries are
    /// only ever added to it.
    pub(super) async fn read(
        db: &Connection,
        mut known: Vec<Movement>,
        changed_since: Timestamp,
    ) -> Result<Self, Error> {
        let (levels, fresh) = (levels(db).await?, ledger(db, &known).await?);
        known.extend(fresh);
        known.sort_by_key(|movement| (movement.stock_id, movement.sequence));
        Ok(Self {
            levels,
            ledger: known,
            reservations: reservations(db, changed_since).await?,
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

/// The entries behind the known ones.
async fn ledger(db: &Connection, known: &[Movement]) -> Result<Vec<Movement>, Error> {
    let sql = "select l.stock_id, sequence, kind, on_hand_delta, on_hand_after,
                      reserved_delta, reserved_after, order_id, cause, at
               from stock_ledger l
               left join unnest($1::integer[], $2::bigint[]) as k(stock_id, last)
                   on k.stock_id = l.stock_id
               where k.last is null or l.sequence > k.last";
    let mut last: BTreeMap<i32, i64> = BTreeMap::new();
    for movement in known {
        let last = last.entry(movement.stock_id).or_default();
        *last = movement.sequence.max(*last);
    }
    let (stocks, last): (Vec<i32>, Vec<i64>) = last.into_iter().unzip();
    let rows = db.query(sql, &[&stocks, &last]).await?;
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

async fn reservations(
    db: &Connection,
    changed_since: Timestamp,
) -> Result<BTreeMap<Uuid, Reservation>, Error> {
    let sql = "select order_id, state, version from reservation where updated_at >= $1";
    let rows = db.query(sql, &[&Instant(changed_since)]).await?;
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
