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

/// How many orders of these stores are not closed yet.
///
/// # Errors
/// When the database does not answer.
pub async fn open(orders: &Pool, stores: &[String]) -> Result<i64, Error> {
    // Asked for again and again while the platform works: it goes by the index of the open sagas and by
    // that of these stores' orders, so that asking costs the same however many orders there are.
    let sql = "select (select count(*) from saga s join orders o on o.order_id = s.saga_id
                       where s.open and o.store_id = any($1))
                    + (select count(*) from orders o where o.store_id = any($1)
                       and o.status = 'cancelling'
                       and not exists (select from saga s where s.saga_id = o.order_id and s.open))";
    Ok(orders.get().await?.query_one(sql, &[&stores]).await?.get(0))
}
