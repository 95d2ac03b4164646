//! What operators have done, on record.

use std::collections::BTreeMap;

use brewline_kernel::IdGenerator as _;
use brewline_kernel::system::SystemIds;
use brewline_postgres as postgres;
use brewline_postgres::{Connection, Instant, Json, Transaction};
use brewline_proto::operator::v1 as pb;
use uuid::Uuid;

/// How an action ended, by name: it is shown as JSON.
pub(crate) type Detail = BTreeMap<&'static str, String>;

const RECORD: &str = "
    insert into operator_action (id, actor, action, subject, detail) values ($1, $2, $3, $4, $5)";

const LIST: &str = "
    select id, at, actor, action, subject, detail::text from operator_action
    order by at desc, id desc
    limit $1";

/// Writes down in `tx` what `actor` did to `subject`; the row's id.
pub(crate) async fn record(
    tx: &Transaction<'_>,
    actor: &str,
    action: &str,
    subject: &str,
    detail: &Detail,
) -> Result<Uuid, postgres::Error> {
    let id = SystemIds.next();
    tx.execute(RECORD, &[&id, &actor, &action, &subject, &Json(detail)])
        .await?;
    Ok(id)
}

/// The newest `limit` actions.
pub(super) async fn list(
    connection: &Connection,
    limit: i64,
) -> Result<Vec<pb::OperatorAction>, postgres::Error> {
    let rows = connection.query(LIST, &[&limit]).await?;
    rows.iter()
        .map(|row| {
            Ok(pb::OperatorAction {
                id: row.try_get::<_, Uuid>(0)?.to_string(),
                at: Some(super::instant(row.try_get::<_, Instant>(1)?)),
                actor: row.try_get(2)?,
                action: row.try_get(3)?,
                subject: row.try_get(4)?,
                detail: row.try_get(5)?,
            })
        })
        .collect()
}
