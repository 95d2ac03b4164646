//! Read orders: one of them, perhaps once it has settled, or a page of them.
//!
//! A read that has to wait registers first, then reads, then waits, so that no change slips in between.
//! It reads again every 100 ms all the same: the commit it waits for may happen in another replica.

mod page_token;

use std::time::Duration;

use brewline_kernel::OrderId;
use brewline_postgres as postgres;
use brewline_proto::order::v1 as wire;
use tokio::time::Instant;

use crate::Parts;
use crate::outbound::order_view::{self, Filter, Walk};

/// The longest a read waits.
pub const WAIT_MAX: Duration = Duration::from_secs(30);
/// The most orders on one page.
pub const PAGE_ORDERS_MAX: u16 = 100;
/// How often a waiting read looks again by itself.
const REREAD: Duration = Duration::from_millis(100);

/// What a read waits for, and how long.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patience {
    /// Versions of orders that the view must hold.
    pub versions: Vec<(OrderId, i64)>,
    /// How long, at most [`WAIT_MAX`].
    pub wait: Duration,
}

/// What a caller of [`get`] wants to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// The order as it is.
    Now,
    /// The order once it is no longer pending, or as it is when patience ends.
    Settled,
}

/// A page of orders.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// Newest first. Fewer than asked for where the orders looked for lie far apart: read on at `next`.
    pub orders: Vec<wire::Order>,
    /// Where the next page begins; empty at the end.
    pub next: String,
}

/// Why a read has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database's fault.
    #[error(transparent)]
    Database(#[from] postgres::Error),
    /// There is no such order.
    #[error("there is no such order")]
    NotFound,
    /// The view does not hold what was asked for yet.
    #[error("the view does not hold the version asked for yet")]
    ViewBehind,
    /// The page token is not one that this list gave.
    #[error("the page token does not belong to this list")]
    PageToken,
}

/// One order.
///
/// # Errors
/// When there is none, the view stays behind, or the database fails.
pub async fn get(
    parts: &Parts,
    order_id: OrderId,
    until: Until,
    patience: &Patience,
) -> Result<wire::Order, Error> {
    let deadline = patience.deadline();
    let mut waiter = parts.waiters.register(order_id);
    loop {
        // The connection goes back before the wait: those who wait hold none.
        let seen = look(parts, order_id, patience).await;
        let last = Instant::now() >= deadline;
        match seen {
            Ok(order) if last || until == Until::Now || is_settled(&order) => return Ok(order),
            Ok(_) => {}
            Err(Error::ViewBehind) if !last => {}
            Err(error) => return Err(error),
        }
        tokio::select! {
            () = waiter.changed() => {}
            () = tokio::time::sleep_until(deadline.min(Instant::now() + REREAD)) => {}
        }
    }
}

/// A page of orders, newest first.
///
/// # Errors
/// When the token is not this list's, the view stays behind, or the database fails.
pub async fn list(
    parts: &Parts,
    filter: &Filter,
    page_size: u16,
    token: &str,
    patience: &Patience,
) -> Result<Page, Error> {
    let before = page_token::read(token, filter).ok_or(Error::PageToken)?;
    let deadline = patience.deadline();
    loop {
        let connection = parts.pool.get().await?;
        if order_view::holds(&connection, &patience.versions).await? {
            let walk = Walk {
                before,
                orders_max: Walk::ORDERS_MAX,
            };
            return read_page(&connection, filter, page_size, walk).await;
        }
        drop(connection);
        if Instant::now() >= deadline {
            return Err(Error::ViewBehind);
        }
        tokio::time::sleep_until(deadline.min(Instant::now() + REREAD)).await;
    }
}

async fn read_page(
    connection: &postgres::Connection,
    filter: &Filter,
    page_size: u16,
    walk: Walk,
) -> Result<Page, Error> {
    // One more than the page holds tells whether there is another.
    let limit = i64::from(page_size) + 1;
    let orders = order_view::page(connection, filter, walk, limit).await?;
    let page = Page::cut(orders, page_size, filter);
    if !page.next.is_empty() {
        return Ok(page);
    }
    // It found too few: because there are no more, or because it has looked at as many as it may.
    let end = order_view::walked_to(connection, filter, walk).await?;
    let next = end.map(|end| page_token::write(OrderId::new(end), filter));
    Ok(Page {
        next: next.unwrap_or_default(),
        ..page
    })
}

async fn look(parts: &Parts, order_id: OrderId, patience: &Patience) -> Result<wire::Order, Error> {
    let connection = parts.pool.get().await?;
    if !order_view::holds(&connection, &patience.versions).await? {
        return Err(Error::ViewBehind);
    }
    let order = order_view::get(&connection, order_id).await?;
    order.ok_or(Error::NotFound)
}

fn is_settled(order: &wire::Order) -> bool {
    order.status != i32::from(wire::OrderStatus::Pending)
}

// === impl Patience ===

impl Patience {
    fn deadline(&self) -> Instant {
        Instant::now() + self.wait.min(WAIT_MAX)
    }
}

// === impl Page ===

impl Page {
    fn cut(mut orders: Vec<wire::Order>, page_size: u16, filter: &Filter) -> Self {
        let more = orders.len() > usize::from(page_size);
        orders.truncate(usize::from(page_size));
        let last = orders.last().filter(|_| more);
        let last = last.and_then(|order| order.order_id.parse::<OrderId>().ok());
        let next = last.map_or_else(String::new, |last| page_token::write(last, filter));
        Self { orders, next }
    }
}
