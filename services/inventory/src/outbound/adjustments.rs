//! The answers to adjustments, by their callers' keys.

use std::time::Duration;

use brewline_inventory_domain::StockLevel;
use brewline_postgres::{Error as DatabaseError, Pool, Row, ToSql, Transaction};
use futures_util::try_join;

use super::store::get;
use crate::app::adjust_stock::{Adjustment, Answer};
use crate::error::{Corrupt, Error, Rejection};

/// A repeat waits for the one in flight no longer than this; the caller is then told to come again.
const WAIT_FOR_KEY: &str = "select set_config('lock_timeout', '1s', true)";
/// From then on the locks of the session's usual length hold.
const WAIT_AS_USUAL: &str = "select set_config('lock_timeout', '10s', true)";

/// PostgreSQL's code for a lock that was not had in time.
const LOCK_NOT_AVAILABLE: &str = "55P03";

const CLAIM: &str = "
    insert into adjustment (principal, key, store_id, product_id, delta, reason)
    values ($1, $2, $3, $4, $5, $6)
        on conflict do nothing";

const FIND: &str = "
    select store_id, product_id, delta, reason, on_hand, reserved, version
      from adjustment where principal = $1 and key = $2";

const ANSWER: &str = "
    update adjustment set on_hand = $3, reserved = $4, version = $5
     where principal = $1 and key = $2";

const FORGET: &str = "
    delete from adjustment where ctid = any (array(
        select ctid from adjustment
        where created_at < now() - $1::bigint * interval '1 microsecond'
        limit $2
    ))";

/// Rows deleted in one statement, so that no lock is held for long.
const FORGET_ROWS_MAX: i64 = 10_000;

/// Whose the key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// This request's: it is the first.
    Ours,
    /// The same request was answered before.
    Answered(Answer),
}

/// Claims the key for this transaction, after waiting for whoever holds it.
///
/// # Errors
/// When it was used for another request, is still in use, or the database fails.
pub async fn claim(tx: &Transaction<'_>, wanted: &Adjustment) -> Result<Claim, Error> {
    let params: [&(dyn ToSql + Sync); 6] = [
        &wanted.principal,
        &wanted.key.as_str(),
        &wanted.store.as_str(),
        &wanted.product.as_str(),
        &wanted.delta,
        &wanted.reason,
    ];
    let claimed = try_join!(
        tx.query_one(WAIT_FOR_KEY, &[]),
        tx.execute(CLAIM, &params),
        tx.query_one(WAIT_AS_USUAL, &[]),
    );
    match claimed {
        Ok((_, 1, _)) => Ok(Claim::Ours),
        Ok(_) => find(tx, wanted).await.map(Claim::Answered),
        Err(error) if error.code() == Some(LOCK_NOT_AVAILABLE) => {
            Err(Rejection::KeyInFlight.into())
        }
        Err(error) => Err(error.into()),
    }
}

/// Keeps the answer for repeats.
///
/// # Errors
/// When the database fails.
pub async fn answer(
    tx: &Transaction<'_>,
    wanted: &Adjustment,
    answer: Answer,
) -> Result<(), DatabaseError> {
    let params: [&(dyn ToSql + Sync); 5] = [
        &wanted.principal,
        &wanted.key.as_str(),
        &answer.level.on_hand,
        &answer.level.reserved,
        &answer.version,
    ];
    tx.execute(ANSWER, &params).await.map(drop)
}

async fn find(tx: &Transaction<'_>, wanted: &Adjustment) -> Result<Answer, Error> {
    let row = tx
        .query_opt(FIND, &[&wanted.principal, &wanted.key.as_str()])
        .await?;
    let row = row.ok_or(Corrupt::Missing("adjustment"))?;
    if is_same(&row, wanted)? {
        let level = StockLevel {
            on_hand: get(&row, "on_hand")?,
            reserved: get(&row, "reserved")?,
        };
        Ok(Answer {
            level,
            version: get(&row, "version")?,
            replayed: true,
        })
    } else {
        Err(Rejection::KeyReused.into())
    }
}

fn is_same(row: &Row, wanted: &Adjustment) -> Result<bool, Error> {
    Ok(get::<&str>(row, "store_id")? == wanted.store.as_str()
        && get::<&str>(row, "product_id")? == wanted.product.as_str()
        && get::<i64>(row, "delta")? == wanted.delta
        && get::<&str>(row, "reason")? == wanted.reason)
}

/// Forgets the answers that were given longer than `kept` ago, a bounded number at a time; says how many.
///
/// # Errors
/// When the database fails.
pub async fn forget_older_than(pool: &Pool, kept: Duration) -> Result<u64, DatabaseError> {
    let kept = i64::try_from(kept.as_micros()).unwrap_or(i64::MAX);
    let connection = pool.get().await?;
    connection.execute(FORGET, &[&kept, &FORGET_ROWS_MAX]).await
}
