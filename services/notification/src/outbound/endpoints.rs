//! Webhook endpoints and their calls in the database.

use std::collections::BTreeSet;
use std::time::Duration;

use brewline_kernel::Timestamp;
use brewline_postgres::{Connection, Error as DatabaseError, Instant, Row, Transaction};
use uuid::Uuid;

use super::event_log::{OutsideEvent, event};

const INSERT: &str = "
    insert into endpoint (endpoint_id, url, types, store_id, secret, next_after)
    select $1, $2, $3, $4, $5, $6 where (select count(*) from endpoint) < $7
 returning created_at, version";

const LIST: &str = "
    select e.endpoint_id, e.url, e.types, e.store_id, e.created_at, e.disabled_at, e.version,
           (select count(*) from call c where c.endpoint_id = e.endpoint_id and c.state = 'pending') as pending,
           (select count(*) from call c where c.endpoint_id = e.endpoint_id and c.state = 'failed') as failed
      from endpoint e where $1::uuid is null or e.endpoint_id = $1
     order by e.created_at, e.endpoint_id";

const DELETE: &str = "delete from endpoint where endpoint_id = $1 returning version + 1";

const ENABLE: &str = "
    update endpoint set disabled_at = null, version = version + 1 where endpoint_id = $1
 returning version";

// Of the former secrets only the last one signs on: a receiver checks few signatures.
const ROTATE: &str = "
    update endpoint
       set old_secret = secret, old_secret_until = now() + $3::bigint * interval '1 ms', secret = $2,
           version = version + 1
     where endpoint_id = $1
 returning old_secret_until";

const REDELIVER: &str = "
    update call set state = 'pending', attempts = 0, claims = claims + 1, due_at = now(), reason = ''
     where endpoint_id = $1
       and (($2::uuid is null and state = 'failed') or (event_id = $2 and state <> 'pending'))";

// Each endpoint has a place of its own in the log. Replicas skip the endpoints another one has in hand.
const FAN_OUT: &str = "
    with e as (
        select endpoint_id, types, store_id, next_after from endpoint
         where disabled_at is null and next_after < (select coalesce(max(position), 0) from event_log)
           for update skip locked
    ),
    stretch as (
        select e.endpoint_id, l.*,
               l.type = any(e.types) and (e.store_id is null or e.store_id = l.store_id) as wanted
          from e cross join lateral (
               select position, event_id, order_id, type, store_id, occurred_at, payload
                 from event_log where position > e.next_after order by position limit $1) as l
    ),
    made as (
        insert into call (endpoint_id, event_id, order_id, type, store_id, occurred_at, payload, position)
        select endpoint_id, event_id, order_id, type, store_id, occurred_at, payload, position
          from stretch where wanted
            on conflict on constraint call_pkey do nothing
    )
    update endpoint set next_after = reached.position
      from (select endpoint_id, max(position) as position, count(*) as events
              from stretch group by endpoint_id) as reached
     where endpoint.endpoint_id = reached.endpoint_id
 returning reached.events";

// Fair by construction: each endpoint gives as many as it has room for, however many others have.
const CLAIM: &str = "
    with due as (
        select c.endpoint_id, c.event_id, e.url, e.secret,
               case when e.old_secret_until > now() then e.old_secret end as old_secret
          from endpoint e
          left join unnest($1::uuid[], $2::bigint[]) as busy(endpoint_id, room)
                 on busy.endpoint_id = e.endpoint_id
         cross join lateral (
               select endpoint_id, event_id from call
                where endpoint_id = e.endpoint_id and state = 'pending' and due_at <= now()
                order by due_at limit coalesce(busy.room, $3::bigint)
                  for update skip locked) as c
         where e.disabled_at is null
    )
    update call c set attempts = c.attempts + 1, claims = c.claims + 1, due_at = now() + $4::bigint * interval '1 ms'
      from due
     where c.endpoint_id = due.endpoint_id and c.event_id = due.event_id
 returning c.endpoint_id, c.event_id, c.order_id, c.type, c.store_id, c.occurred_at, c.payload, c.attempts,
           c.claims, due.url, due.secret, due.old_secret";

// What a worker learned late counts only when the event was delivered: another may be trying it by then. And
// never when somebody has asked for redelivery since: attempts began anew then, at this number of claims.
const RECORD: &str = "
    update call c
       set state = r.state, reason = r.reason,
           delivered_at = case r.state when 'delivered' then now() end,
           due_at = now() + r.after_ms * interval '1 ms'
      from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::bigint[], $6::bigint[])
           as r(endpoint_id, event_id, state, reason, after_ms, claims)
     where c.endpoint_id = r.endpoint_id and c.event_id = r.event_id and c.state = 'pending'
       and (c.claims = r.claims or (r.state = 'delivered' and r.claims > c.claims - c.attempts))
 returning c.endpoint_id, c.event_id";

const DISABLE: &str = "
    update endpoint set disabled_at = now(), version = version + 1
     where endpoint_id = any($1::uuid[]) and disabled_at is null";

const FORGET: &str = "
    delete from call where (endpoint_id, event_id) in (
        select endpoint_id, event_id from call
         where state = 'delivered' and delivered_at < now() - $1::bigint * interval '1 s'
         order by delivered_at limit $2)";

/// An endpoint that comes into being.
#[derive(Clone, Debug)]
pub struct NewEndpoint {
    /// Its id.
    pub id: Uuid,
    /// What is called.
    pub url: String,
    /// The types of events.
    pub types: Vec<String>,
    /// Only orders of this store.
    pub store: Option<String>,
    /// What signs its calls.
    pub secret: String,
}

/// An endpoint as it is shown.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Its id.
    pub id: Uuid,
    /// What is called.
    pub url: String,
    /// The types of events.
    pub types: Vec<String>,
    /// Only orders of this store.
    pub store: Option<String>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was disabled.
    pub disabled_at: Option<Timestamp>,
    /// Events to be delivered.
    pub pending: i64,
    /// Events given up.
    pub failed: i64,
    /// One more with each change.
    pub version: i64,
}

/// A call whose turn has come, taken by this worker for the time of the lease.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// Whom.
    pub endpoint: Uuid,
    /// Where.
    pub url: String,
    /// What signs it.
    pub secrets: Vec<String>,
    /// Which attempt it is, from 1; from 1 again after somebody asked for redelivery.
    pub attempts: i32,
    /// Which claim it is, from 1, for ever.
    pub claims: i64,
    /// What is told.
    pub event: OutsideEvent,
}

/// What became of a call.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Whom.
    pub endpoint: Uuid,
    /// The event.
    pub event: Uuid,
    /// `pending`, `delivered` or `failed`.
    pub state: &'static str,
    /// Why, for people.
    pub reason: String,
    /// When it may be taken again.
    pub after: Duration,
    /// Which claim it was.
    pub claims: i64,
    /// Whether the endpoint said that it is gone for good.
    pub gone: bool,
}

/// Inserts an endpoint that is told what comes after `position`; none when there are `most` already.
///
/// # Errors
/// When the database fails.
pub async fn insert(
    tx: &Transaction<'_>,
    new: &NewEndpoint,
    position: i64,
    most: i64,
) -> Result<Option<(Timestamp, i64)>, DatabaseError> {
    let NewEndpoint {
        id,
        url,
        types,
        store,
        secret,
    } = new;
    let row = tx
        .query_opt(INSERT, &[id, url, types, store, secret, &position, &most])
        .await?;
    row.map(|row| Ok((row.try_get::<_, Instant>(0)?.0, row.try_get(1)?)))
        .transpose()
}

/// All endpoints, oldest first.
///
/// # Errors
/// When the database fails.
pub async fn list(connection: &Connection) -> Result<Vec<Shown>, DatabaseError> {
    let all: Option<Uuid> = None;
    let rows = connection.query(LIST, &[&all]).await?;
    rows.iter().map(shown).collect()
}

/// Gives an endpoint another secret; the former one signs as well for so long. Says until when, and shows the
/// endpoint; none when there is no endpoint.
///
/// # Errors
/// When the database fails.
pub async fn rotate(
    tx: &Transaction<'_>,
    id: Uuid,
    secret: &str,
    overlap: Duration,
) -> Result<Option<(Shown, Timestamp)>, DatabaseError> {
    let overlap_ms = i64::try_from(overlap.as_millis()).unwrap_or(i64::MAX);
    let Some(row) = tx.query_opt(ROTATE, &[&id, &secret, &overlap_ms]).await? else {
        return Ok(None);
    };
    let until = row.try_get::<_, Instant>(0)?.0;
    let endpoint = tx.query_one(LIST, &[&Some(id)]).await?;
    Ok(Some((shown(&endpoint)?, until)))
}

/// Removes an endpoint and its calls, and says which version that is; none when there is no endpoint.
///
/// # Errors
/// When the database fails.
pub async fn delete(connection: &Connection, id: Uuid) -> Result<Option<i64>, DatabaseError> {
    let row = connection.query_opt(DELETE, &[&id]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// Enables an endpoint and has what failed, or one event, called again: how many calls, and which version of
/// the endpoint that is. None when there is no endpoint.
///
/// # Errors
/// When the database fails.
pub async fn redeliver(
    tx: &Transaction<'_>,
    id: Uuid,
    event: Option<Uuid>,
) -> Result<Option<(u64, i64)>, DatabaseError> {
    let Some(enabled) = tx.query_opt(ENABLE, &[&id]).await? else {
        return Ok(None);
    };
    let calls = tx.execute(REDELIVER, &[&id, &event]).await?;
    Ok(Some((calls, enabled.try_get(0)?)))
}

/// Makes calls of the log's next events, at most `stretch` for each endpoint; says how many events were
/// looked at.
///
/// # Errors
/// When the database fails.
pub async fn fan_out(connection: &Connection, stretch: i64) -> Result<i64, DatabaseError> {
    let rows = connection.query(FAN_OUT, &[&stretch]).await?;
    let events = |row: &Row| row.try_get::<_, i64>(0).map_err(DatabaseError::from);
    rows.iter().map(events).sum()
}

/// Takes calls whose turn has come. `busy` names the endpoints that have less room than `usual`.
///
/// # Errors
/// When the database fails.
pub async fn claim(
    connection: &Connection,
    busy: &[(Uuid, i64)],
    usual: i64,
    lease: Duration,
) -> Result<Vec<Claimed>, DatabaseError> {
    let ids: Vec<Uuid> = busy.iter().map(|(id, _)| *id).collect();
    let rooms: Vec<i64> = busy.iter().map(|(_, room)| *room).collect();
    let lease_ms = i64::try_from(lease.as_millis()).unwrap_or(i64::MAX);
    let rows = connection
        .query(CLAIM, &[&ids, &rooms, &usual, &lease_ms])
        .await?;
    rows.iter().map(claimed).collect()
}

/// Records what became of calls, and disables endpoints that are gone. What another claim has overtaken says
/// nothing any more.
///
/// # Errors
/// When the database fails.
pub async fn record(tx: &Transaction<'_>, calls: &[Recorded]) -> Result<(), DatabaseError> {
    let endpoints: Vec<Uuid> = calls.iter().map(|c| c.endpoint).collect();
    let events: Vec<Uuid> = calls.iter().map(|c| c.event).collect();
    let states: Vec<&str> = calls.iter().map(|c| c.state).collect();
    let reasons: Vec<&str> = calls.iter().map(|c| c.reason.as_str()).collect();
    let millis = |c: &Recorded| i64::try_from(c.after.as_millis()).unwrap_or(i64::MAX);
    let after: Vec<i64> = calls.iter().map(millis).collect();
    let claims: Vec<i64> = calls.iter().map(|c| c.claims).collect();
    let counted = tx
        .query(
            RECORD,
            &[&endpoints, &events, &states, &reasons, &after, &claims],
        )
        .await?;
    let counted: BTreeSet<(Uuid, Uuid)> = counted
        .iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect::<Result<_, DatabaseError>>()?;
    let gone = calls.iter().filter(|call| call.gone);
    let gone: Vec<Uuid> = gone
        .filter(|call| counted.contains(&(call.endpoint, call.event)))
        .map(|call| call.endpoint)
        .collect();
    if !gone.is_empty() {
        tx.execute(DISABLE, &[&gone]).await?;
    }
    Ok(())
}

/// Forgets calls delivered more than so many seconds ago, at most `most`.
///
/// # Errors
/// When the database fails.
pub async fn forget(connection: &Connection, kept_s: i64, most: i64) -> Result<u64, DatabaseError> {
    connection.execute(FORGET, &[&kept_s, &most]).await
}

fn shown(row: &Row) -> Result<Shown, DatabaseError> {
    let disabled_at: Option<Instant> = row.try_get("disabled_at")?;
    Ok(Shown {
        id: row.try_get("endpoint_id")?,
        url: row.try_get("url")?,
        types: row.try_get("types")?,
        store: row.try_get("store_id")?,
        created_at: row.try_get::<_, Instant>("created_at")?.0,
        disabled_at: disabled_at.map(|instant| instant.0),
        pending: row.try_get("pending")?,
        failed: row.try_get("failed")?,
        version: row.try_get("version")?,
    })
}

fn claimed(row: &Row) -> Result<Claimed, DatabaseError> {
    let old: Option<String> = row.try_get("old_secret")?;
    let mut secrets = vec![row.try_get("secret")?];
    secrets.extend(old);
    Ok(Claimed {
        endpoint: row.try_get("endpoint_id")?,
        url: row.try_get("url")?,
        attempts: row.try_get("attempts")?,
        claims: row.try_get("claims")?,
        event: event(row)?,
        secrets,
    })
}
