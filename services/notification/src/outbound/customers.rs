//! The copy of customers and what they want.

use std::collections::BTreeMap;

use brewline_kernel::CustomerId;
use brewline_notification_domain::{Channel, Kind, Wishes};
use brewline_postgres::{Error as DatabaseError, Row, Transaction};

const SAVE: &str = "
    insert into customer (customer_id, name, email, locale, erased)
    select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::boolean[])
        on conflict (customer_id) do update
       set name = excluded.name, email = excluded.email, locale = excluded.locale,
           erased = excluded.erased
     where not customer.erased";

const FORGET_WISHES: &str = "delete from preference where customer_id = any($1::text[])";

// What could not be handled once may hold what is to be forgotten, redriven since or not.
const FORGET_LETTERS: &str = "
    update dead_letter set payload = null
     where consumer = $1 and subject = any($2::text[]) and payload is not null";

const FORGET_PARKED: &str = "delete from parked where consumer = $1 and subject = any($2::text[])";

const WISHES: &str = "
    select w.customer_id, c.customer_id is not null as known, coalesce(c.erased, false) as erased,
           p.channels, p.kinds
      from unnest($1::text[]) as w(customer_id)
      left join customer c on c.customer_id = w.customer_id
      left join preference p on p.customer_id = w.customer_id";

// What somebody wants and that they are erased are written by transactions that do not see each other. The
// row of the customer cannot hold them apart: wishes may come before it does. Whoever is second waits for the
// first one's commit here, and its next statement sees what that wrote. In one order, so that two batches of
// erasures do not wait for each other.
const LOCK_WISHES: &str = "
    select pg_advisory_xact_lock(5, id.hash)
      from (select distinct hashtext(id) as hash from unnest($1::text[]) as id order by 1) as id";

const SET_WISHES: &str = "
    insert into preference (customer_id, channels, kinds)
    select $1, $2, $3
     where not exists (select from customer where customer_id = $1 and erased)
        on conflict (customer_id) do update
       set channels = excluded.channels, kinds = excluded.kinds, updated_at = now(),
           version = preference.version + 1
 returning version";

/// A customer as it is from now on.
#[derive(Clone, Debug, Default)]
pub struct Customer {
    /// Who.
    pub customer_id: String,
    /// What to call them; none once erased.
    pub name: Option<String>,
    /// Where to write; none once erased.
    pub email: Option<String>,
    /// In which language; none once erased.
    pub locale: Option<String>,
    /// Whether they were erased.
    pub erased: bool,
}

/// How it stands with a customer.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Whether we have heard of them.
    pub known: bool,
    /// Whether they were erased.
    pub erased: bool,
    /// What they want.
    pub wishes: Wishes,
}

/// Stores customers. Whoever was erased stays so.
///
/// # Errors
/// When the database fails.
pub async fn save(tx: &Transaction<'_>, customers: &[Customer]) -> Result<(), DatabaseError> {
    let ids: Vec<&str> = customers.iter().map(|c| c.customer_id.as_str()).collect();
    let names: Vec<Option<&str>> = customers.iter().map(|c| c.name.as_deref()).collect();
    let emails: Vec<Option<&str>> = customers.iter().map(|c| c.email.as_deref()).collect();
    let locales: Vec<Option<&str>> = customers.iter().map(|c| c.locale.as_deref()).collect();
    let erased: Vec<bool> = customers.iter().map(|c| c.erased).collect();
    tx.execute(SAVE, &[&ids, &names, &emails, &locales, &erased])
        .await
        .map(drop)
}

/// Forgets what these customers wanted.
///
/// # Errors
/// When the database fails.
pub async fn forget_wishes(tx: &Transaction<'_>, ids: &[&str]) -> Result<(), DatabaseError> {
    tx.query(LOCK_WISHES, &[&ids]).await?;
    tx.execute(FORGET_WISHES, &[&ids]).await.map(drop)
}

/// Forgets what `consumer` could not handle about these customers: the reason stays, the body goes.
///
/// # Errors
/// When the database fails.
pub async fn forget_letters(
    tx: &Transaction<'_>,
    consumer: &str,
    ids: &[&str],
) -> Result<(), DatabaseError> {
    tx.execute(FORGET_LETTERS, &[&consumer, &ids]).await?;
    tx.execute(FORGET_PARKED, &[&consumer, &ids])
        .await
        .map(drop)
}

/// How it stands with these customers.
///
/// # Errors
/// When the database fails.
pub async fn standing(
    tx: &Transaction<'_>,
    ids: &[&str],
) -> Result<BTreeMap<String, Standing>, DatabaseError> {
    let rows = tx.query(WISHES, &[&ids]).await?;
    rows.iter()
        .map(|row| Ok((row.try_get("customer_id")?, read(row)?)))
        .collect()
}

/// Sets what a customer wants, and says which version that is; none when they were erased.
///
/// # Errors
/// When the database fails.
pub async fn set_wishes(
    tx: &Transaction<'_>,
    customer: &CustomerId,
    channels: &[Channel],
    kinds: &[Kind],
) -> Result<Option<i64>, DatabaseError> {
    let channels: Vec<&str> = channels.iter().map(|channel| channel.name()).collect();
    let kinds: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
    tx.query(LOCK_WISHES, &[&[customer.as_str()].as_slice()])
        .await?;
    let set = tx
        .query_opt(SET_WISHES, &[&customer.as_str(), &channels, &kinds])
        .await?;
    Ok(set.map(|row| row.try_get(0)).transpose()?)
}

fn read(row: &Row) -> Result<Standing, DatabaseError> {
    Ok(Standing {
        known: row.try_get("known")?,
        erased: row.try_get("erased")?,
        wishes: wishes(row.try_get("channels")?, row.try_get("kinds")?),
    })
}

/// What the two columns of `preference` say; without a row they are null. Names that are not known are left
/// out: a newer version may have written them.
#[must_use]
pub fn wishes(channels: Option<Vec<String>>, kinds: Option<Vec<String>>) -> Wishes {
    let (Some(channels), Some(kinds)) = (channels, kinds) else {
        return Wishes::default();
    };
    Wishes::new(
        channels.iter().filter_map(|n| Channel::named(n)).collect(),
        kinds.iter().filter_map(|n| Kind::named(n)).collect(),
    )
}
