//! The audit: what operators have done here.

use std::collections::BTreeSet;

use brewline_kernel::Timestamp;
use brewline_postgres as postgres;
use brewline_postgres::{Instant, Json, Pool};
use brewline_proto::operator::v1 as wire;
use uuid::Uuid;

const APPEND: &str = "
    insert into operator_action (id, actor, action, subject, detail) values ($1, $2, $3, $4, $5)";

const LIST: &str = "
    select id, at, actor, action, subject, detail::text from operator_action order by at desc, id desc limit $1";

const LAST: &str = "select max(at) from operator_action where action = $1 and subject = $2";

const DROPPED: &str = "select subject from operator_action where action = 'drop'";

/// Something an operator has done.
#[derive(Clone, Debug)]
pub struct Action<'a> {
    /// Names it.
    pub id: Uuid,
    /// Who.
    pub actor: &'a str,
    /// What.
    pub action: &'a str,
    /// To what.
    pub subject: &'a str,
    /// How it ended.
    pub detail: serde_json::Value,
}

/// Writes it down.
///
/// # Errors
/// When the database does not answer.
pub async fn append(pool: &Pool, action: Action<'_>) -> Result<(), postgres::Error> {
    let Action {
        id,
        actor,
        action,
        subject,
        detail,
    } = action;
    let connection = pool.get().await?;
    connection
        .execute(APPEND, &[&id, &actor, &action, &subject, &Json(detail)])
        .await?;
    Ok(())
}

/// The newest first.
///
/// # Errors
/// When the database does not answer.
pub async fn list(pool: &Pool, limit: i64) -> Result<Vec<wire::OperatorAction>, postgres::Error> {
    let rows = pool.get().await?.query(LIST, &[&limit]).await?;
    let action = |row: &postgres::Row| {
        Ok(wire::OperatorAction {
            id: row.try_get::<_, Uuid>(0)?.to_string(),
            at: Some(instant(row.try_get::<_, Instant>(1)?.into())),
            actor: row.try_get(2)?,
            action: row.try_get(3)?,
            subject: row.try_get(4)?,
            detail: row.try_get(5)?,
        })
    };
    rows.iter().map(action).collect()
}

/// The dead letters that were dropped.
///
/// # Errors
/// When the database does not answer.
pub async fn dropped(pool: &Pool) -> Result<BTreeSet<String>, postgres::Error> {
    let rows = pool.get().await?.query(DROPPED, &[]).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// When something was last done to a subject.
///
/// # Errors
/// When the database does not answer.
pub async fn last(
    pool: &Pool,
    action: &str,
    subject: &str,
) -> Result<Option<Timestamp>, postgres::Error> {
    let row = pool
        .get()
        .await?
        .query_one(LAST, &[&action, &subject])
        .await?;
    let at: Option<Instant> = row.try_get(0)?;
    Ok(at.map(Timestamp::from))
}

/// An instant as it travels.
#[must_use]
pub fn instant(at: Timestamp) -> prost_types::Timestamp {
    let micros = at.as_micros();
    prost_types::Timestamp {
        seconds: micros.div_euclid(1_000_000),
        nanos: i32::try_from(micros.rem_euclid(1_000_000) * 1_000).unwrap_or(0),
    }
}
