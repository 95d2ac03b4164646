//! Stock, reservations, ledger and adjustments in the database: one statement per table per batch.

use std::collections::BTreeSet;

use brewline_inventory_domain::{
    Lines, MovementKind, Reservation, ReservationState, StockAccount, StockLevel,
};
use brewline_kernel::{OrderId, ProductId, StoreId, Timestamp};
use brewline_postgres::{Error as DatabaseError, FromSql, Instant, Pool, Row, ToSql, Transaction};
use serde_json::Value;
use uuid::Uuid;

use crate::app::settle_orders::{Posting, Reservations, Shelf, StockChange};
use crate::error::Corrupt;

/// Locked in the order of ids; two batches never hold the same reservation, as all events of an order
/// come through one partition, but a batch and the zombie it replaced might.
const LOAD_RESERVATIONS: &str = "
    select order_id, store_id, state, version, lines
      from reservation
     where order_id = any($1::uuid[])
     order by order_id
       for update";

/// Every writer locks stock in the order of (store, product), so no two can wait for each other. The
/// lock comes after the sort, and a row that changed meanwhile is read anew.
const LOCK_STOCK: &str = "
    select stock.store_id, stock.product_id, stock.stock_id, on_hand, reserved, sequence, version
      from unnest($1::text[], $2::text[]) as wanted(store_id, product_id)
      join stock on stock.store_id = wanted.store_id and stock.product_id = wanted.product_id
     order by stock.store_id, stock.product_id
       for update of stock";

const STILL_RESERVED: &str = "
    select order_id from reservation
     where order_id >= $1 and order_id < $2 and state = 'reserved'
     order by order_id limit 1000";

const SAVE_RESERVATIONS: &str = "
    insert into reservation (order_id, store_id, state, version, lines, updated_at)
    select order_id, store_id, state, version, lines, $6
      from unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::jsonb[])
           as moved(order_id, store_id, state, version, lines)
        on conflict (order_id) do update
       set store_id = excluded.store_id, state = excluded.state, version = excluded.version,
           lines = excluded.lines, updated_at = excluded.updated_at";

const SAVE_STOCK: &str = "
    update stock
       set on_hand = moved.on_hand, reserved = moved.reserved, sequence = moved.sequence
      from unnest($1::integer[], $2::bigint[], $3::bigint[], $4::bigint[])
           as moved(stock_id, on_hand, reserved, sequence)
     where stock.stock_id = moved.stock_id";

const APPEND_LEDGER: &str = "
    insert into stock_ledger (stock_id, sequence, kind, on_hand_delta, reserved_delta,
                              on_hand_after, reserved_after, order_id, cause, at)
    select *, $10
      from unnest($1::integer[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[],
                  $6::bigint[], $7::bigint[], $8::uuid[], $9::uuid[])";

const CREATE_STOCK: &str =
    "insert into stock (store_id, product_id) values ($1, $2) on conflict do nothing";

const COUNT_ADJUSTMENT: &str = "update stock set version = $2 where stock_id = $1";

const LIST_STOCK: &str = "
    select store_id, product_id, stock_id, on_hand, reserved, sequence, version
      from stock where store_id = $1 order by product_id";

/// A locked row, as one adjustment sees it.
#[derive(Clone, Debug)]
pub struct StockRow {
    /// The store.
    pub store: StoreId,
    /// The product.
    pub product: ProductId,
    /// The row.
    pub stock_id: i32,
    /// What it holds.
    pub account: StockAccount,
    /// The version of its last `StockAdjusted`.
    pub version: i64,
}

/// Locks and loads the reservations of these orders.
///
/// # Errors
/// When the database fails, or holds what this program never wrote.
pub async fn load_reservations(
    tx: &Transaction<'_>,
    orders: &BTreeSet<OrderId>,
) -> Result<Reservations, LoadError> {
    let ids: Vec<Uuid> = orders.iter().map(OrderId::as_uuid).collect();
    let rows = tx.query(LOAD_RESERVATIONS, &[&ids]).await?;
    rows.iter().map(reservation).collect()
}

/// Locks and loads these stock rows, as far as they exist.
///
/// # Errors
/// When the database fails, or holds what this program never wrote.
pub async fn lock_stock(
    tx: &Transaction<'_>,
    wanted: &BTreeSet<(StoreId, ProductId)>,
) -> Result<Vec<StockRow>, LoadError> {
    let stores: Vec<&str> = wanted.iter().map(|(store, _)| store.as_str()).collect();
    let products: Vec<&str> = wanted.iter().map(|(_, product)| product.as_str()).collect();
    let rows = tx.query(LOCK_STOCK, &[&stores, &products]).await?;
    rows.iter().map(StockRow::read).collect()
}

/// Locks one stock row; makes it first where the store never had the product.
///
/// # Errors
/// When the database fails, or holds what this program never wrote.
pub async fn lock_or_create_stock(
    tx: &Transaction<'_>,
    store: &StoreId,
    product: &ProductId,
) -> Result<StockRow, LoadError> {
    let wanted = BTreeSet::from([(store.clone(), product.clone())]);
    if let Some(row) = lock_stock(tx, &wanted).await?.pop() {
        return Ok(row);
    }
    // Another caller may make it at the same moment: then this one waits here and finds it below.
    tx.execute(CREATE_STOCK, &[&store.as_str(), &product.as_str()])
        .await?;
    let row = lock_stock(tx, &wanted).await?.pop();
    row.ok_or(LoadError::Corrupt(Corrupt::Missing("stock row")))
}

/// The stock of a store, by product.
///
/// # Errors
/// When the database fails, or holds what this program never wrote.
pub async fn list_stock(tx: &Transaction<'_>, store: &StoreId) -> Result<Vec<StockRow>, LoadError> {
    let rows = tx.query(LIST_STOCK, &[&store.as_str()]).await?;
    rows.iter().map(StockRow::read).collect()
}

/// The orders with ids in `from..until` that hold stock and have neither taken nor given it back, the
/// first thousand of them.
///
/// # Errors
/// When the database fails.
pub async fn still_reserved(
    pool: &Pool,
    from: Uuid,
    until: Uuid,
) -> Result<Vec<OrderId>, DatabaseError> {
    let connection = pool.get().await?;
    let rows = connection.query(STILL_RESERVED, &[&from, &until]).await?;
    rows.iter()
        .map(|row| Ok(OrderId::new(row.try_get(0)?)))
        .collect()
}

/// Stores reservations in their last state.
///
/// # Errors
/// When the database fails.
pub async fn save_reservations(
    tx: &Transaction<'_>,
    moved: &Reservations,
    now: Timestamp,
) -> Result<(), DatabaseError> {
    if moved.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = moved.keys().map(OrderId::as_uuid).collect();
    let stores: Vec<&str> = moved.values().map(|r| r.store.as_str()).collect();
    let states: Vec<&str> = moved.values().map(|r| state_name(r.state)).collect();
    let versions: Vec<i64> = moved.values().map(|r| r.version).collect();
    let lines: Vec<Value> = moved.values().map(|r| lines_to_json(&r.lines)).collect();
    let params: [&(dyn ToSql + Sync); 6] =
        [&ids, &stores, &states, &versions, &lines, &Instant(now)];
    tx.execute(SAVE_RESERVATIONS, &params).await.map(drop)
}

/// Stores each stock row once.
///
/// # Errors
/// When the database fails, or a row would be oversold (constraint `stock_never_oversold`).
pub async fn save_stock(tx: &Transaction<'_>, moved: &[StockChange]) -> Result<(), DatabaseError> {
    if moved.is_empty() {
        return Ok(());
    }
    let ids: Vec<i32> = moved.iter().map(|row| row.stock_id).collect();
    let on_hand: Vec<i64> = moved
        .iter()
        .map(|row| row.account.level().on_hand)
        .collect();
    let reserved: Vec<i64> = moved
        .iter()
        .map(|row| row.account.level().reserved)
        .collect();
    let sequences: Vec<i64> = moved.iter().map(|row| row.account.sequence()).collect();
    tx.execute(SAVE_STOCK, &[&ids, &on_hand, &reserved, &sequences])
        .await
        .map(drop)
}

/// Remembers the version of the `StockAdjusted` that is written beside.
///
/// # Errors
/// When the database fails.
pub async fn count_adjustment(
    tx: &Transaction<'_>,
    stock_id: i32,
    version: i64,
) -> Result<(), DatabaseError> {
    tx.execute(COUNT_ADJUSTMENT, &[&stock_id, &version])
        .await
        .map(drop)
}

/// Appends to the ledger. The rows' numbers were given under the lock of their stock rows; the primary
/// key would refuse a number given twice.
///
/// # Errors
/// When the database fails.
pub async fn append_ledger(
    tx: &Transaction<'_>,
    postings: &[Posting],
    now: Timestamp,
) -> Result<(), DatabaseError> {
    if postings.is_empty() {
        return Ok(());
    }
    let column = |of: fn(&Posting) -> i64| postings.iter().map(of).collect::<Vec<_>>();
    let stock_ids: Vec<i32> = postings.iter().map(|p| p.stock_id).collect();
    let kinds: Vec<&str> = postings
        .iter()
        .map(|p| kind_name(p.entry.movement.kind))
        .collect();
    let orders: Vec<Option<Uuid>> = postings
        .iter()
        .map(|p| p.order.as_ref().map(OrderId::as_uuid))
        .collect();
    let causes: Vec<Uuid> = postings.iter().map(|p| p.cause).collect();
    let params: [&(dyn ToSql + Sync); 10] = [
        &stock_ids,
        &column(|p| p.entry.sequence),
        &kinds,
        &column(|p| p.entry.movement.on_hand),
        &column(|p| p.entry.movement.reserved),
        &column(|p| p.entry.after.on_hand),
        &column(|p| p.entry.after.reserved),
        &orders,
        &causes,
        &Instant(now),
    ];
    tx.execute(APPEND_LEDGER, &params).await.map(drop)
}

/// The shelf that a batch is settled over.
#[must_use]
pub fn shelf(rows: Vec<StockRow>) -> Shelf {
    let mut shelf = Shelf::default();
    for row in rows {
        shelf.put(row.store, row.product, row.stock_id, row.account);
    }
    shelf
}

/// Why rows could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// A row says something this program never wrote.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
}

// === impl StockRow ===

impl StockRow {
    pub(crate) fn read(row: &Row) -> Result<Self, LoadError> {
        let level = StockLevel {
            on_hand: get(row, "on_hand")?,
            reserved: get(row, "reserved")?,
        };
        Ok(Self {
            store: parsed(row, "store_id")?,
            product: parsed(row, "product_id")?,
            stock_id: get(row, "stock_id")?,
            account: StockAccount::stored(level, get(row, "sequence")?),
            version: get(row, "version")?,
        })
    }
}

fn reservation(row: &Row) -> Result<(OrderId, Reservation), LoadError> {
    let reservation = Reservation {
        store: parsed(row, "store_id")?,
        lines: lines_from_json(&get(row, "lines")?)?,
        state: state_named(&get::<String>(row, "state")?)?,
        version: get(row, "version")?,
    };
    Ok((OrderId::new(get(row, "order_id")?), reservation))
}

/// A column's value.
pub(crate) fn get<'a, T: FromSql<'a>>(row: &'a Row, column: &'static str) -> Result<T, LoadError> {
    let value = row.try_get(column);
    value.map_err(|_| LoadError::Corrupt(Corrupt::Column(column)))
}

/// A column's text as an id or the like.
pub(crate) fn parsed<T: std::str::FromStr>(
    row: &Row,
    column: &'static str,
) -> Result<T, LoadError> {
    let text: &str = get(row, column)?;
    text.parse()
        .map_err(|_| LoadError::Corrupt(Corrupt::Column(column)))
}

fn lines_to_json(lines: &Lines) -> Value {
    let entry = |(product, quantity): (&ProductId, i64)| (product.to_string(), quantity.into());
    Value::Object(lines.iter().map(entry).collect())
}

fn lines_from_json(json: &Value) -> Result<Lines, Corrupt> {
    let corrupt = || Corrupt::Column("lines");
    let object = json.as_object().ok_or_else(corrupt)?;
    if object.is_empty() {
        return Ok(Lines::none());
    }
    let line = |(product, quantity): (&String, &Value)| {
        let product = product.parse::<ProductId>().ok()?;
        Some((product, quantity.as_i64()?))
    };
    let lines: Option<Vec<_>> = object.iter().map(line).collect();
    Lines::new(lines.ok_or_else(corrupt)?).map_err(|_| corrupt())
}

const STATES: [(ReservationState, &str); 5] = [
    (ReservationState::Reserved, "reserved"),
    (ReservationState::Rejected, "rejected"),
    (ReservationState::Committed, "committed"),
    (ReservationState::Released, "released"),
    (ReservationState::Returned, "returned"),
];

fn state_named(name: &str) -> Result<ReservationState, Corrupt> {
    let found = STATES.iter().find(|(_, known)| *known == name);
    found
        .map(|(state, _)| *state)
        .ok_or(Corrupt::Column("state"))
}

const fn state_name(state: ReservationState) -> &'static str {
    match state {
        ReservationState::Reserved => "reserved",
        ReservationState::Rejected => "rejected",
        ReservationState::Committed => "committed",
        ReservationState::Released => "released",
        ReservationState::Returned => "returned",
    }
}

const fn kind_name(kind: MovementKind) -> &'static str {
    match kind {
        MovementKind::Reserve => "reserve",
        MovementKind::Commit => "commit",
        MovementKind::Release => "release",
        MovementKind::Return => "return",
        MovementKind::Adjust => "adjust",
    }
}
