//! What became of the orders, as the order service has it on record.

use std::collections::BTreeMap;

use brewline_kernel::Timestamp;
use brewline_postgres::{Error, Instant, Pool};
use uuid::Uuid;

/// How one order ended, by the order service's own record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its status.
    pub status: String,
    /// Why it was rejected; empty when it was not.
    pub rejection: String,
    /// When it left `pending`; none while it has not.
    pub settled_at: Option<Timestamp>,
    /// When its checkout ended; none while it has not.
    pub closed_at: Option<Timestamp>,
}

// === impl Ended ===

impl Ended {
    /// Whether it was sold, and still is.
    #[must_use]
    pub fn sold(&self) -> bool {
        matches!(
            self.status.as_str(),
            "confirmed" | "preparing" | "ready" | "collected"
        )
    }
}

/// Every order of these stores placed since then.
///
/// # Errors
/// When the database does not answer.
pub async fn read(
    orders: &Pool,
    stores: &[String],
    since: Timestamp,
) -> Result<BTreeMap<Uuid, Ended>, Error> {
    let sql = "select o.order_id, o.status, coalesce(o.rejection_code, ''),
                      (select min(e.occurred_at) from order_event e
                       where e.order_id = o.order_id and e.version = 2),
                      case when s.state in ('completed', 'undone') then s.updated_at end
               from orders o join saga s on s.saga_id = o.order_id
               where o.store_id = any($1) and o.placed_at >= $2";
    let db = orders.get().await?;
    let rows = db.query(sql, &[&stores, &Instant(since)]).await?;
    let instant = |value: Option<Instant>| value.map(|Instant(at)| at);
    Ok(rows
        .iter()
        .map(|row| {
            let ended = Ended {
                status: row.get(1),
                rejection: row.get(2),
                settled_at: instant(row.get(3)),
                closed_at: instant(row.get(4)),
            };
            (row.get(0), ended)
        })
        .collect())
}

/// How many orders of these stores are not closed yet: those whose checkouts are open; once there are none,
/// those whose cancellation waits for the barista's answer.
///
/// # Errors
/// When the database does not answer.
pub async fn open(orders: &Pool, stores: &[String]) -> Result<i64, Error> {
    // Asked for again and again while the platform works, so the first question goes by the index of the
    // open sagas alone. The second one reads every order of these stores: it waits until it matters.
    let sql = "select case when checkouts.open > 0 then checkouts.open
                      else (select count(*) from orders
                            where store_id = any($1) and status = 'cancelling') end
               from (select count(*) as open
                     from saga s join orders o on o.order_id = s.saga_id
                     where s.open and o.store_id = any($1)) as checkouts";
    Ok(orders.get().await?.query_one(sql, &[&stores]).await?.get(0))
}
