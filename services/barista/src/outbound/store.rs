//! Preparations and tickets in the database: one statement per table per batch.

use brewline_barista_domain::{Preparation, Stage, Station, Ticket, TicketId, TicketStatus};
use brewline_kernel::{OrderId, StoreId, Timestamp};
use brewline_postgres::{Error as DatabaseError, FromSql, Instant, Pool, Row, ToSql, Transaction};
use uuid::Uuid;

use crate::app::prepare::{Preparations, TicketChange};
use crate::error::{Corrupt, LoadError};

/// Locked in the order of ids, so that no two can wait for each other.
const LOCK: &str = "
    select order_id, store_id, stage, version, answered
      from preparation
     where order_id = any($1::uuid[])
     order by order_id
       for update";

const LOCK_BY_TICKET: &str = "
    select p.order_id
      from ticket t join preparation p using (order_id)
     where t.ticket_id = $1
       for update of p";

const VERSIONS: &str = "
    select order_id, version from preparation where order_id = any($1::uuid[]) and version > 0";

const LOAD_TICKETS: &str = "
    select order_id, store_id, ticket_id, line, product_id, product, quantity, station, method, status,
           opened_at, started_at, ended_at
      from ticket
     where order_id = any($1::uuid[])
     order by order_id, line";

const FIND_TICKET: &str = "
    select order_id, store_id, ticket_id, line, product_id, product, quantity, station, method, status,
           opened_at, started_at, ended_at
      from ticket
     where ticket_id = $1";

const SAVE_PREPARATIONS: &str = "
    insert into preparation (order_id, store_id, stage, version, answered, updated_at)
    select order_id, store_id, stage, version, answered, $6
      from unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::bigint[])
           as moved(order_id, store_id, stage, version, answered)
        on conflict (order_id) do update
       set stage = excluded.stage, version = excluded.version, answered = excluded.answered,
           updated_at = excluded.updated_at";

const OPEN_TICKETS: &str = "
    insert into ticket (ticket_id, order_id, line, store_id, product_id, product, quantity, station,
                        method, status, opened_at, ended_at)
    select *, $11::timestamptz, case when status in ('done', 'withdrawn') then $11::timestamptz end
      from unnest($1::uuid[], $2::uuid[], $3::integer[], $4::text[], $5::text[], $6::text[],
                  $7::bigint[], $8::text[], $9::text[], $10::text[])
           as fresh(ticket_id, order_id, line, store_id, product_id, product, quantity, station, method,
                    status)";

const MOVE_TICKETS: &str = "
    update ticket
       set status = moved.status,
           started_at = case when moved.status = 'started' then $4::timestamptz else started_at end,
           ended_at = case when moved.status in ('done', 'withdrawn') then $4::timestamptz end
      from unnest($1::uuid[], $2::integer[], $3::text[]) as moved(order_id, line, status)
     where ticket.order_id = moved.order_id and ticket.line = moved.line";

/// A ticket as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketRow {
    /// The order.
    pub order: OrderId,
    /// Who makes it.
    pub store: StoreId,
    /// The ticket.
    pub ticket: Ticket,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When somebody began.
    pub started_at: Option<Timestamp>,
    /// When it was done or withdrawn.
    pub ended_at: Option<Timestamp>,
}

/// Locks and loads what became of these orders, as far as they came here.
///
/// # Errors
/// When the database fails, or holds what this program never wrote.
pub async fn load(tx: &Transaction<'_>, orders: &[OrderId]) -> Result<Preparations, LoadError> {
    let ids: Vec<Uuid> = orders.iter().map(OrderId::as_uuid).collect();
    let rows = tx.query(LOCK, &[&ids]).await?;
    let mut found: Preparations = rows.iter().map(preparation).collect::<Result<_, _>>()?;
    // Most batches are of orders that are new here.
    if found.is_empty() {
        return Ok(found);
    }
    let ids: Vec<Uuid> = found.keys().map(OrderId::as_uuid).collect();
    for row in tx.query(LOAD_TICKETS, &[&ids]).await? {
        let row = TicketRow::read(&row)?;
        if let Some(preparation) = found.get_mut(&row.order) {
            preparation.tickets.push(row.ticket);
        }
    }
    Ok(found)
}

/// Locks the order of a ticket.
///
/// # Errors
/// When the database fails.
pub async fn lock_by_ticket(
    tx: &Transaction<'_>,
    ticket: TicketId,
) -> Result<Option<OrderId>, LoadError> {
    let row = tx.query_opt(LOCK_BY_TICKET, &[&ticket.as_uuid()]).await?;
    row.map(|row| Ok(OrderId::new(get(&row, "order_id")?)))
        .transpose()
}

/// One ticket, which must be there.
///
/// # Errors
/// When it is not, the database fails, or holds what this program never wrote.
pub async fn find_ticket(tx: &Transaction<'_>, ticket: TicketId) -> Result<TicketRow, LoadError> {
    let row = tx.query_opt(FIND_TICKET, &[&ticket.as_uuid()]).await?;
    TicketRow::read(&row.ok_or(Corrupt::Missing("ticket"))?)
}

/// The versions of these orders' last events, as far as they came here.
///
/// # Errors
/// When the database fails.
pub async fn versions(pool: &Pool, orders: &[OrderId]) -> Result<Vec<(OrderId, i64)>, LoadError> {
    let ids: Vec<Uuid> = orders.iter().map(OrderId::as_uuid).collect();
    let rows = pool.get().await?.query(VERSIONS, &[&ids]).await?;
    let version = |row: &Row| Ok((OrderId::new(get(row, "order_id")?), get(row, "version")?));
    rows.iter().map(version).collect()
}

/// All tickets of an order, in the order of its lines.
///
/// # Errors
/// When the database fails, or holds what this program never wrote.
pub async fn list_tickets(pool: &Pool, order: OrderId) -> Result<Vec<TicketRow>, LoadError> {
    let ids = vec![order.as_uuid()];
    let rows = pool.get().await?.query(LOAD_TICKETS, &[&ids]).await?;
    rows.iter().map(TicketRow::read).collect()
}

/// Stores preparations in their last state.
///
/// # Errors
/// When the database fails.
pub async fn save_preparations(
    tx: &Transaction<'_>,
    moved: &Preparations,
    now: Timestamp,
) -> Result<(), DatabaseError> {
    if moved.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = moved.keys().map(OrderId::as_uuid).collect();
    let stores: Vec<&str> = moved.values().map(|p| p.store.as_str()).collect();
    let stages: Vec<&str> = moved.values().map(|p| stage_name(p.stage)).collect();
    let versions: Vec<i64> = moved.values().map(|p| p.version).collect();
    let answered: Vec<i64> = moved.values().map(|p| p.answered).collect();
    let params: [&(dyn ToSql + Sync); 6] =
        [&ids, &stores, &stages, &versions, &answered, &Instant(now)];
    tx.execute(SAVE_PREPARATIONS, &params).await.map(drop)
}

/// Stores tickets that have no row yet.
///
/// # Errors
/// When the database fails.
pub async fn open_tickets(
    tx: &Transaction<'_>,
    fresh: &[TicketChange<'_>],
    now: Timestamp,
) -> Result<(), DatabaseError> {
    if fresh.is_empty() {
        return Ok(());
    }
    let text = |of: fn(&Ticket) -> &str| fresh.iter().map(|c| of(c.ticket)).collect::<Vec<&str>>();
    let ids: Vec<Uuid> = fresh.iter().map(|c| c.ticket.id.as_uuid()).collect();
    let orders: Vec<Uuid> = fresh.iter().map(|c| c.order.as_uuid()).collect();
    let lines: Vec<i32> = fresh.iter().map(|c| c.ticket.line).collect();
    let stores: Vec<&str> = fresh.iter().map(|c| c.store.as_str()).collect();
    let quantities: Vec<i64> = fresh.iter().map(|c| c.ticket.quantity).collect();
    let params: [&(dyn ToSql + Sync); 11] = [
        &ids,
        &orders,
        &lines,
        &stores,
        &text(|ticket| ticket.product.as_str()),
        &text(|ticket| &ticket.name),
        &quantities,
        &text(|ticket| station_name(&ticket.station)),
        &text(|ticket| method(&ticket.station)),
        &text(|ticket| status_name(ticket.status)),
        &Instant(now),
    ];
    tx.execute(OPEN_TICKETS, &params).await.map(drop)
}

/// Stores where tickets stand now.
///
/// # Errors
/// When the database fails.
pub async fn move_tickets(
    tx: &Transaction<'_>,
    moved: &[TicketChange<'_>],
    now: Timestamp,
) -> Result<(), DatabaseError> {
    if moved.is_empty() {
        return Ok(());
    }
    let orders: Vec<Uuid> = moved.iter().map(|c| c.order.as_uuid()).collect();
    let lines: Vec<i32> = moved.iter().map(|c| c.ticket.line).collect();
    let statuses: Vec<&str> = moved.iter().map(|c| status_name(c.ticket.status)).collect();
    let params: [&(dyn ToSql + Sync); 4] = [&orders, &lines, &statuses, &Instant(now)];
    tx.execute(MOVE_TICKETS, &params).await.map(drop)
}

// === impl TicketRow ===

impl TicketRow {
    fn read(row: &Row) -> Result<Self, LoadError> {
        let instant = |at: Option<Instant>| at.map(|at| at.0);
        Ok(Self {
            order: OrderId::new(get(row, "order_id")?),
            store: parsed(row, "store_id")?,
            ticket: Ticket {
                id: TicketId::new(get(row, "ticket_id")?),
                line: get(row, "line")?,
                product: parsed(row, "product_id")?,
                name: get(row, "product")?,
                quantity: get(row, "quantity")?,
                station: station(row)?,
                status: status_named(get(row, "status")?)?,
            },
            opened_at: get::<Instant>(row, "opened_at")?.0,
            started_at: instant(get(row, "started_at")?),
            ended_at: instant(get(row, "ended_at")?),
        })
    }
}

fn preparation(row: &Row) -> Result<(OrderId, Preparation), LoadError> {
    let preparation = Preparation {
        store: parsed(row, "store_id")?,
        stage: stage_named(get(row, "stage")?)?,
        version: get(row, "version")?,
        answered: get(row, "answered")?,
        tickets: Vec::new(),
    };
    Ok((OrderId::new(get(row, "order_id")?), preparation))
}

pub(super) fn station(row: &Row) -> Result<Station, LoadError> {
    match get::<&str>(row, "station")? {
        "brew" => Ok(Station::Brew {
            method: get(row, "method")?,
        }),
        "plate" => Ok(Station::Plate),
        _ => Err(Corrupt::Column("station").into()),
    }
}

/// A column's value.
pub(super) fn get<'a, T: FromSql<'a>>(row: &'a Row, column: &'static str) -> Result<T, LoadError> {
    let value = row.try_get(column);
    value.map_err(|_| LoadError::Corrupt(Corrupt::Column(column)))
}

/// A column's text as an id.
pub(super) fn parsed<T: std::str::FromStr>(
    row: &Row,
    column: &'static str,
) -> Result<T, LoadError> {
    let text: &str = get(row, column)?;
    text.parse()
        .map_err(|_| LoadError::Corrupt(Corrupt::Column(column)))
}

pub(super) fn status_named(name: &str) -> Result<TicketStatus, LoadError> {
    match name {
        "open" => Ok(TicketStatus::Open),
        "started" => Ok(TicketStatus::Started),
        "done" => Ok(TicketStatus::Done),
        "withdrawn" => Ok(TicketStatus::Withdrawn),
        _ => Err(Corrupt::Column("status").into()),
    }
}

pub(super) const fn status_name(status: TicketStatus) -> &'static str {
    match status {
        TicketStatus::Open => "open",
        TicketStatus::Started => "started",
        TicketStatus::Done => "done",
        TicketStatus::Withdrawn => "withdrawn",
    }
}

fn stage_named(name: &str) -> Result<Stage, LoadError> {
    match name {
        "open" => Ok(Stage::Open),
        "started" => Ok(Stage::Started),
        "completed" => Ok(Stage::Completed),
        "withdrawn" => Ok(Stage::Withdrawn),
        _ => Err(Corrupt::Column("stage").into()),
    }
}

const fn stage_name(stage: Stage) -> &'static str {
    match stage {
        Stage::Open => "open",
        Stage::Started => "started",
        Stage::Completed => "completed",
        Stage::Withdrawn => "withdrawn",
    }
}

pub(super) const fn station_name(station: &Station) -> &'static str {
    match station {
        Station::Brew { .. } => "brew",
        Station::Plate => "plate",
    }
}

pub(super) fn method(station: &Station) -> &str {
    match station {
        Station::Brew { method } => method,
        Station::Plate => "",
    }
}
