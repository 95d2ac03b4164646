//! One dead letter, whole.

use std::collections::{BTreeMap, HashMap};

use brewline_postgres as postgres;
use brewline_postgres::{Instant, Json, Pool, Row};
use brewline_proto::operator::v1 as pb;
use uuid::Uuid;

/// Parked records in one answer.
const PARKED_SHOWN: i64 = 100;

const CONSUMER: &str = "select consumer from dead_letter where id = $1";

const LETTER: &str = "
    select d.id, d.consumer, d.topic, d.partition, d.record_offset, d.subject, d.event_type, d.reason,
           d.attempts,
           (select count(*) from parked p
            where p.consumer = d.consumer and p.topic = d.topic and p.subject = d.subject),
           d.failed_at, d.outcome, d.closed_at,
           d.partition, d.record_offset, d.version, d.headers, d.payload
    from dead_letter d
    where d.id = $1";

const PARKED: &str = "
    select p.partition, p.record_offset, p.version, p.headers, p.payload
    from parked p
    join dead_letter d using (consumer, topic, subject)
    where d.id = $1
    order by p.version
    limit $2";

/// The consumer whose dead letter this is.
pub(super) async fn consumer(pool: &Pool, id: Uuid) -> Result<Option<String>, postgres::Error> {
    let row = pool.get().await?.query_opt(CONSUMER, &[&id]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// The dead letter, with the first of what is parked behind it.
pub(super) async fn get(
    pool: &Pool,
    id: Uuid,
) -> Result<Option<pb::GetDeadLetterResponse>, postgres::Error> {
    let connection = pool.get().await?;
    let Some(row) = connection.query_opt(LETTER, &[&id]).await? else {
        return Ok(None);
    };
    let parked = connection.query(PARKED, &[&id, &PARKED_SHOWN]).await?;
    let mut letter = pb::GetDeadLetterResponse {
        dead_letter: Some(super::dead_letter(&row)?),
        outcome: 0,
        closed_at: row.try_get::<_, Option<Instant>>(12)?.map(super::instant),
        record: Some(held(&row, 13)?),
        parked: parked
            .iter()
            .map(|row| held(row, 0))
            .collect::<Result<_, _>>()?,
    };
    letter.set_outcome(outcome(row.try_get(11)?));
    Ok(Some(letter))
}

fn outcome(text: &str) -> pb::DeadLetterOutcome {
    match text {
        "redriven" => pb::DeadLetterOutcome::Redriven,
        "dropped" => pb::DeadLetterOutcome::Dropped,
        _ => pb::DeadLetterOutcome::Open,
    }
}

/// A record of which partition, offset, version, headers and payload begin at column `first`.
fn held(row: &Row, first: usize) -> Result<pb::HeldRecord, postgres::Error> {
    let column = |n: usize| first.saturating_add(n);
    let Json(headers) = row.try_get::<_, Json<BTreeMap<String, String>>>(column(3))?;
    let payload: Option<&[u8]> = row.try_get(column(4))?;
    Ok(pb::HeldRecord {
        partition: row.try_get(column(0))?,
        offset: row.try_get(column(1))?,
        version: row.try_get(column(2))?,
        event_type: headers.get("ce_type").cloned().unwrap_or_default(),
        headers: headers.into_iter().collect::<HashMap<_, _>>(),
        payload: payload.unwrap_or_default().to_vec(),
    })
}
