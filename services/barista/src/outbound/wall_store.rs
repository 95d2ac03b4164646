//! Walls in the database: a position and the tickets that are to be made, read in one snapshot.

use brewline_barista_domain::{Station, TicketId, TicketStatus};
use brewline_kernel::{OrderId, StoreId, Timestamp};
use brewline_postgres::{Instant, Pool, Row};
use uuid::Uuid;

use super::store::{get, parsed, station, status_named};
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
           select * from ticket
            where store_id = $1 and status in ('open', 'started')
            order by ticket_id
            limit $2
           ) as t on true
     order by t.ticket_id";

const POSITIONS: &str = "
    select watched.store_id, coalesce(wall.position, 0) as position
      from unnest($1::text[]) as watched(store_id)
      left join wall on wall.store_id = watched.store_id";

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

/// A ticket that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The ticket.
    pub ticket: TicketId,
    /// The order.
    pub order: OrderId,
    /// The product's name.
    pub product: String,
    /// How many.
    pub quantity: i64,
    /// Where it is made.
    pub station: Station,
    /// Open or started.
    pub status: TicketStatus,
    /// When it came onto the wall.
    pub opened_at: Timestamp,
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
