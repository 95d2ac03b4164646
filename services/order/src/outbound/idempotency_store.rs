//! Idempotency keys in the database, written in the transaction of the effect they name.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use brewline_kernel::{CustomerId, OrderId};
use brewline_postgres::{Error, Pool, Transaction};
use uuid::Uuid;

/// SHA-256 of a request's parsed body.
pub type Fingerprint = [u8; 32];

/// A key in its caller's own space: keys of different principals never meet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OwnKey {
    /// Who asks.
    pub principal: String,
    /// The key.
    pub key: String,
}

/// A key about to be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The key.
    pub key: OwnKey,
    /// Of the request's body.
    pub fingerprint: Fingerprint,
    /// What the request makes.
    pub makes: Makes,
}

/// What a request makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Makes {
    /// An order. Its answer is made anew from its first event.
    Order(OrderId),
    /// A customer, and the encoded answer.
    Customer(CustomerId, Vec<u8>),
}

/// A key that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Of the first request's body.
    pub fingerprint: Vec<u8>,
    /// The order it made.
    pub order_id: Option<OrderId>,
    /// The answer it got, where that is kept.
    pub answer: Option<Vec<u8>>,
}

const LIMIT_LOCK_WAIT: &str = "select set_config('lock_timeout', $1, true)";

const CLAIM: &str = "insert into idempotency_key \
    (route, principal, key, fingerprint, order_id, customer_id, answer) \
    select $1, c.* from unnest($2::text[], $3::text[], $4::bytea[], $5::uuid[], $6::text[], $7::bytea[]) c \
    on conflict do nothing returning principal, key";

const FIND: &str = "select k.principal, k.key, k.fingerprint, k.order_id, k.answer \
    from unnest($2::text[], $3::text[]) asked(principal, key) \
    cross join lateral (select * from idempotency_key k \
        where k.route = $1 and k.principal = asked.principal and k.key = asked.key) k";

const REPLACE_ANSWERS: &str = "update idempotency_key set answer = $2 where customer_id = $1";

// Before its order is final a key is never forgotten, however old it is.
const FORGET: &str = "
    delete from idempotency_key where ctid = any (array(
        select k.ctid from idempotency_key k
        where k.created_at < now() - $1::bigint * interval '1 microsecond'
          and (k.order_id is null or exists (
              select from orders o where o.order_id = k.order_id
                and o.status in ('rejected', 'cancelled', 'collected')
                and not exists (select from saga s where s.saga_id = o.order_id and s.open)))
        limit $2
    ))";

/// Rows deleted in one statement, so that no lock is held for long.
pub const FORGET_ROWS_MAX: i64 = 10_000;

/// Lets no statement of this transaction wait longer for a lock.
///
/// # Errors
/// When the statement fails.
pub async fn limit_lock_wait(tx: &Transaction<'_>, limit_ms: u32) -> Result<(), Error> {
    let limit = format!("{limit_ms}ms");
    tx.query(LIMIT_LOCK_WAIT, &[&limit]).await?;
    Ok(())
}

/// Takes the keys that are free, and says which. A key that a transaction elsewhere is taking is
/// waited for: the statement ends once that one has, or with the lock timeout.
///
/// # Errors
/// When the statement fails; `55P03` when a key is in flight elsewhere for too long.
pub async fn claim(
    tx: &Transaction<'_>,
    route: &'static str,
    mut claims: Vec<Claim>,
) -> Result<BTreeSet<OwnKey>, Error> {
    if claims.is_empty() {
        return Ok(BTreeSet::new());
    }
    // In the order of the index, in every transaction: two batches that share keys then wait for each
    // other in one direction only.
    claims.sort_by(|a, b| a.key.cmp(&b.key));
    let principals: Vec<&str> = claims.iter().map(|c| c.key.principal.as_str()).collect();
    let keys: Vec<&str> = claims.iter().map(|c| c.key.key.as_str()).collect();
    let fingerprints: Vec<&[u8]> = claims.iter().map(|c| c.fingerprint.as_slice()).collect();
    let orders: Vec<Option<Uuid>> = claims.iter().map(|c| c.makes.order()).collect();
    let customers: Vec<Option<&str>> = claims.iter().map(|c| c.makes.customer()).collect();
    let answers: Vec<Option<&[u8]>> = claims.iter().map(|c| c.makes.answer()).collect();
    let rows = tx
        .query(
            CLAIM,
            &[
                &route,
                &principals,
                &keys,
                &fingerprints,
                &orders,
                &customers,
                &answers,
            ],
        )
        .await?;
    let own = |row: &brewline_postgres::Row| OwnKey {
        principal: row.get(0),
        key: row.get(1),
    };
    Ok(rows.iter().map(own).collect())
}

/// What became of these keys; those that are free are absent.
///
/// # Errors
/// When the statement fails.
pub async fn find(
    tx: &Transaction<'_>,
    route: &'static str,
    asked: &[OwnKey],
) -> Result<BTreeMap<OwnKey, Taken>, Error> {
    if asked.is_empty() {
        return Ok(BTreeMap::new());
    }
    let principals: Vec<&str> = asked.iter().map(|own| own.principal.as_str()).collect();
    let keys: Vec<&str> = asked.iter().map(|own| own.key.as_str()).collect();
    let rows = tx.query(FIND, &[&route, &principals, &keys]).await?;
    let taken = |row: &brewline_postgres::Row| {
        let own = OwnKey {
            principal: row.get(0),
            key: row.get(1),
        };
        let taken = Taken {
            fingerprint: row.get(2),
            order_id: row.get::<_, Option<Uuid>>(3).map(OrderId::new),
            answer: row.get(4),
        };
        (own, taken)
    };
    Ok(rows.iter().map(taken).collect())
}

/// Puts another answer under every key that made this customer.
///
/// # Errors
/// When the statement fails.
pub async fn replace_answers(
    tx: &Transaction<'_>,
    customer_id: &CustomerId,
    answer: &[u8],
) -> Result<(), Error> {
    tx.execute(REPLACE_ANSWERS, &[&customer_id.as_str(), &answer])
        .await?;
    Ok(())
}

/// Forgets keys that were taken longer than `kept` ago and whose orders are final, at most
/// [`FORGET_ROWS_MAX`] of them; says how many.
///
/// # Errors
/// When the statement fails.
pub async fn forget_older_than(pool: &Pool, kept: Duration) -> Result<u64, Error> {
    let kept = i64::try_from(kept.as_micros()).unwrap_or(i64::MAX);
    let connection = pool.get().await?;
    connection.execute(FORGET, &[&kept, &FORGET_ROWS_MAX]).await
}

// === impl Makes ===

impl Makes {
    const fn order(&self) -> Option<Uuid> {
        match self {
            Self::Order(order_id) => Some(order_id.as_uuid()),
            Self::Customer(..) => None,
        }
    }

    fn customer(&self) -> Option<&str> {
        match self {
            Self::Order(_) => None,
            Self::Customer(customer_id, _) => Some(customer_id.as_str()),
        }
    }

    fn answer(&self) -> Option<&[u8]> {
        match self {
            Self::Order(_) => None,
            Self::Customer(_, answer) => Some(answer),
        }
    }
}
