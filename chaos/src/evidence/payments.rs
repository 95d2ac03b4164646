use std::collections::BTreeMap;

use brewline_kernel::Timestamp;
use brewline_postgres::{Connection, Error, Instant};
use uuid::Uuid;

/// One operation as the payment service has it on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// `authorise`, `capture` or `reverse`.
    pub kind: &'static str,
    /// How far it is.
    pub state: String,
    /// How many requests were made for it.
    pub attempts: i32,
    /// What was seen last.
    pub detail: String,
}

/// One row of the payment ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posting {
    /// The order.
    pub order: Uuid,
    /// The event it belongs to.
    pub event: String,
    /// What was taken less what was given back, in minor units.
    pub net_minor: i64,
    /// The currency.
    pub currency: String,
    /// When.
    pub at: Timestamp,
}

/// The columns of each operation.
const KINDS: [&str; 3] = ["authorise", "capture", "reverse"];

pub(super) async fn operations(
    db: &Connection,
    since: Timestamp,
) -> Result<BTreeMap<Uuid, Vec<Operation>>, Error> {
    let sql = "select order_id,
                      authorise_state, authorise_attempts, authorise_detail,
                      capture_state, capture_attempts, capture_detail,
                      reverse_state, reverse_attempts, reverse_detail
               from payment where recorded_at >= $1";
    let mut operations: BTreeMap<Uuid, Vec<Operation>> = BTreeMap::new();
    for row in db.query(sql, &[&Instant(since)]).await? {
        let own = operations.entry(row.get(0)).or_default();
        for (kind, column) in KINDS.into_iter().zip([1, 4, 7]) {
            if let Some(state) = row.get::<_, Option<String>>(column) {
                let (attempts, detail) = (row.get(column + 1), row.get(column + 2));
                own.push(Operation {
                    kind,
                    state,
                    attempts,
                    detail,
                });
            }
        }
    }
    Ok(operations)
}

pub(super) async fn postings(db: &Connection, since: Timestamp) -> Result<Vec<Posting>, Error> {
    let sql = "select order_id, event, -(revenue_minor + refunds_minor), currency, posted_at
               from ledger_posting where posted_at >= $1 order by posted_at, order_id, version";
    let rows = db.query(sql, &[&Instant(since)]).await?;
    Ok(rows
        .iter()
        .map(|row| {
            let Instant(at) = row.get(4);
            Posting {
                order: row.get(0),
                event: row.get(1),
                net_minor: row.get(2),
                currency: row.get(3),
                at,
            }
        })
        .collect())
}
