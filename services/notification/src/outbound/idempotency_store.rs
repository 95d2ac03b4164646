//! Idempotency keys in the database, written in the transaction of the effect they name.

use std::time::Duration;

use brewline_postgres::{Connection, Error as DatabaseError, Transaction};

const LIMIT_LOCK_WAIT: &str = "select set_config('lock_timeout', $1, true)";

const CLAIM: &str = "
    insert into idempotency_key (route, principal, key, fingerprint, answer)
    values ($1, $2, $3, $4, '') on conflict do nothing";

const ANSWERED: &str = "
    update idempotency_key set answer = $4 where route = $1 and principal = $2 and key = $3";

const FIND: &str = "
    select fingerprint, answer from idempotency_key where route = $1 and principal = $2 and key = $3";

const FORGET: &str = "
    delete from idempotency_key where (route, principal, key) in (
        select route, principal, key from idempotency_key
         where created_at < now() - $1::bigint * interval '1 s' order by created_at limit $2)";

/// The lock was not given in time.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// A request by its caller's own name: keys of different callers and routes never meet.
#[derive(Clone, Debug)]
pub struct Keyed {
    /// What is asked for.
    pub route: &'static str,
    /// Who asks.
    pub principal: String,
    /// The key.
    pub key: String,
    /// SHA-256 of what is asked for.
    pub fingerprint: [u8; 32],
}

/// How it stands with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// It was free and is ours, if this transaction commits.
    Ours,
    /// It was used for the same request, which got this answer.
    Answered(Vec<u8>),
    /// It was used for another request.
    Reused,
    /// A request under it is being worked on.
    InFlight,
}

/// Takes a key. One that a transaction elsewhere is taking is waited for, bounded.
///
/// # Errors
/// When the database fails.
pub async fn claim(
    tx: &Transaction<'_>,
    keyed: &Keyed,
    wait: Duration,
) -> Result<Claimed, DatabaseError> {
    let limit = format!("{}ms", wait.as_millis());
    tx.query(LIMIT_LOCK_WAIT, &[&limit]).await?;
    let Keyed {
        route,
        principal,
        key,
        fingerprint,
    } = keyed;
    let fingerprint = fingerprint.as_slice();
    let taken = tx
        .execute(CLAIM, &[route, principal, key, &fingerprint])
        .await;
    match taken {
        Ok(1) => return Ok(Claimed::Ours),
        Ok(_) => {}
        Err(error) if error.code() == Some(LOCK_NOT_AVAILABLE) => return Ok(Claimed::InFlight),
        Err(error) => return Err(error),
    }
    // Forgotten between the two statements: whoever asks again finds it free.
    let Some(row) = tx.query_opt(FIND, &[route, principal, key]).await? else {
        return Ok(Claimed::InFlight);
    };
    let first: &[u8] = row.try_get(0)?;
    if first == fingerprint {
        Ok(Claimed::Answered(row.try_get(1)?))
    } else {
        Ok(Claimed::Reused)
    }
}

/// Keeps the answer under a key that is ours.
///
/// # Errors
/// When the database fails.
pub async fn answered(
    tx: &Transaction<'_>,
    keyed: &Keyed,
    answer: &[u8],
) -> Result<(), DatabaseError> {
    let Keyed {
        route,
        principal,
        key,
        ..
    } = keyed;
    tx.execute(ANSWERED, &[route, principal, key, &answer])
        .await
        .map(drop)
}

/// Forgets keys that are older, at most `most`.
///
/// # Errors
/// When the database fails.
pub async fn forget(
    connection: &Connection,
    kept: Duration,
    most: i64,
) -> Result<u64, DatabaseError> {
    let kept_s = i64::try_from(kept.as_secs()).unwrap_or(i64::MAX);
    connection.execute(FORGET, &[&kept_s, &most]).await
}
