//! Walls in the database: a position and the tickets that are to be made, written in the transaction of
//! what changes them and read in one snapshot.

use std::collections::{BTreeMap, BTreeSet};

use brewline_barista_domain::TicketId;
use brewline_kernel::{OrderId, StoreId};
use brewline_postgres::{Error as DatabaseError, Instant, Pool, Row, ToSql, Transaction};
use futures_util::try_join;
use uuid::Uuid;

use super::store::{get, method, parsed, station, station_name, status_name, status_named};
use crate::app::show_tickets::{Changes, Item, Place};
use crate::error::{Corrupt, LoadError};

/// How many tickets a wall shows: more than a shop can make in an hour.
pub const ITEMS_MAX: usize = 500;

/// One statement, so one snapshot: position and tickets belong together. One ticket more than is shown
/// tells whether there are more.
const READ: &str = "
    select at.position, t.ticket_id, t.order_id, t.product, t.quantity, t.station, t.method, t.status,
           t.opened_at
      from (select coalesce((select position from wall where store_id = $1), 0) as position) as at
      left join lateral (
           select * from wall_item where store_id = $1 order by ticket_id limit $2
           ) as t on true
     order by t.ticket_id";

const POSITIONS: &str = "
    select watched.store_id, coalesce(wall.position, 0) as position
      from unnest($1::text[]) as watched(store_id)
      left join wall on wall.store_id = watched.store_id";

/// Whatever comes twice, in the log that a wall is made anew from, is shown once.
const SHOW: &str = "
    insert into wall_item (store_id, ticket_id, order_id, product, quantity, station, method, status,
                           opened_at)
    select * from unnest($1::text[], $2::uuid[], $3::uuid[], $4::text[], $5::bigint[], $6::text[],
                         $7::text[], $8::text[], $9::timestamptz[])
        on conflict (store_id, ticket_id) do nothing";

const BEGIN: &str = "
    update wall_item set status = 'started'
      from unnest($1::text[], $2::uuid[]) as begun(store_id, ticket_id)
     where wall_item.store_id = begun.store_id and wall_item.ticket_id = begun.ticket_id";

const REMOVE: &str = "
    delete from wall_item
     using unnest($1::text[], $2::uuid[]) as gone(store_id, ticket_id)
     where wall_item.store_id = gone.store_id and wall_item.ticket_id = gone.ticket_id";

/// The last lock a transaction takes, and in the order of stores: whoever holds it is about to commit.
const RAISE: &str = "
    insert into wall (store_id, position)
    select store_id, 1 from unnest($1::text[]) as changed(store_id) order by store_id
        on conflict (store_id) do update set position = wall.position + 1";

/// What is to be made in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wall {
    /// The store.
    pub store: StoreId,
    /// How often it has changed.
    pub position: i64,
    /// The oldest first.
    pub items: Vec<Item>,
    /// Whether there are more than these.
    pub has_more: bool,
}

/// A store's wall. A store that nobody ever ordered at has an empty one.
///
/// # Errors
/// When the database fails, or holds what this program never wrote.
pub async fn read(pool: &Pool, store: &StoreId) -> Result<Wall, LoadError> {
    let limit = i64::try_from(ITEMS_MAX)
        .unwrap_or(i64::MAX)
        .saturating_add(1);
    let rows = pool
        .get()
        .await?
        .query(READ, &[&store.as_str(), &limit])
        .await?;
    let first = rows.first().ok_or(Corrupt::Missing("position"))?;
    let position = get(first, "position")?;
    let mut items = rows
        .iter()
        .filter_map(|row| item(row).transpose())
        .collect::<Result<Vec<Item>, _>>()?;
    let has_more = items.len() > ITEMS_MAX;
    items.truncate(ITEMS_MAX);
    Ok(Wall {
        store: store.clone(),
        position,
        items,
        has_more,
    })
}

/// The positions of these stores' walls.
///
/// # Errors
/// When the database fails, or holds what this program never wrote.
pub async fn positions(pool: &Pool, stores: &[&str]) -> Result<Vec<(StoreId, i64)>, LoadError> {
    let rows = pool.get().await?.query(POSITIONS, &[&stores]).await?;
    let position = |row: &Row| Ok((parsed(row, "store_id")?, get(row, "position")?));
    rows.iter().map(position).collect()
}

/// Changes walls. To be called last in a transaction: it ends with the rows that every change of the same
/// walls waits for.
///
/// # Errors
/// When the database fails.
pub async fn change(tx: &Transaction<'_>, changes: &Changes) -> Result<(), DatabaseError> {
    // On their way together, and run in this order.
    try_join!(
        show(tx, &changes.opened),
        begin(tx, &changes.begun),
        remove(tx, &changes.gone),
        raise(tx, &changes.stores),
    )
    .map(drop)
}

async fn show(tx: &Transaction<'_>, opened: &BTreeMap<Place, Item>) -> Result<(), DatabaseError> {
    if opened.is_empty() {
        return Ok(());
    }
    let (stores, tickets) = columns(opened.keys());
    let orders: Vec<Uuid> = opened.values().map(|item| item.order.as_uuid()).collect();
    let quantities: Vec<i64> = opened.values().map(|item| item.quantity).collect();
    let instants: Vec<Instant> = opened
        .values()
        .map(|item| Instant(item.opened_at))
        .collect();
    let text = |of: fn(&Item) -> &str| opened.values().map(of).collect::<Vec<&str>>();
    let params: [&(dyn ToSql + Sync); 9] = [
        &stores,
        &tickets,
        &orders,
        &text(|item| &item.product),
        &quantities,
        &text(|item| station_name(&item.station)),
        &text(|item| method(&item.station)),
        &text(|item| status_name(item.status)),
        &instants,
    ];
    tx.execute(SHOW, &params).await.map(drop)
}

async fn begin(tx: &Transaction<'_>, begun: &BTreeSet<Place>) -> Result<(), DatabaseError> {
    if begun.is_empty() {
        return Ok(());
    }
    let (stores, tickets) = columns(begun.iter());
    tx.execute(BEGIN, &[&stores, &tickets]).await.map(drop)
}

async fn remove(tx: &Transaction<'_>, gone: &BTreeSet<Place>) -> Result<(), DatabaseError> {
    if gone.is_empty() {
        return Ok(());
    }
    let (stores, tickets) = columns(gone.iter());
    tx.execute(REMOVE, &[&stores, &tickets]).await.map(drop)
}

/// Counts one more change of each of these stores' walls.
async fn raise(tx: &Transaction<'_>, stores: &BTreeSet<StoreId>) -> Result<(), DatabaseError> {
    if stores.is_empty() {
        return Ok(());
    }
    let stores: Vec<&str> = stores.iter().map(StoreId::as_str).collect();
    tx.execute(RAISE, &[&stores]).await.map(drop)
}

fn columns<'a>(places: impl Iterator<Item = &'a Place>) -> (Vec<&'a str>, Vec<Uuid>) {
    places
        .map(|(store, ticket)| (store.as_str(), ticket.as_uuid()))
        .unzip()
}

/// Nothing, in the one row of an empty wall.
fn item(row: &Row) -> Result<Option<Item>, LoadError> {
    let Some(ticket) = get::<Option<Uuid>>(row, "ticket_id")? else {
        return Ok(None);
    };
    Ok(Some(Item {
        ticket: TicketId::new(ticket),
        order: OrderId::new(get(row, "order_id")?),
        product: get(row, "product")?,
        quantity: get(row, "quantity")?,
        station: station(row)?,
        status: status_named(get(row, "status")?)?,
        opened_at: get::<Instant>(row, "opened_at")?.0,
    }))
}
