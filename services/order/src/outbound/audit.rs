//! What people on call did.

use brewline_postgres::{Error, ToSql, Transaction};
use uuid::Uuid;

const RECORD: &str = "insert into operator_action (id, actor, action, subject, detail) values ($1, $2, $3, $4, '{}')";

/// Writes one row: `actor` did `action` to `subject`.
///
/// # Errors
/// When the statement fails.
pub async fn record(
    tx: &Transaction<'_>,
    id: Uuid,
    actor: &str,
    action: &str,
    subject: &str,
) -> Result<(), Error> {
    let params: [&(dyn ToSql + Sync); 4] = [&id, &actor, &action, &subject];
    tx.execute(RECORD, &params).await?;
    Ok(())
}
