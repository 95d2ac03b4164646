//! Deliveries in the database: one statement for a batch.

use std::time::Duration;

use brewline_kernel::{Timestamp, TraceParent};
use brewline_notification_domain::{Channel, Kind};
use brewline_postgres::{Connection, Error as DatabaseError, Instant, Row, ToSql, Transaction};
use uuid::Uuid;

const INSERT: &str = "
    insert into delivery (delivery_id, order_id, customer_id, kind, channel, state, happened_at, due_at,
                          cause, correlation, traceparent, detail)
    select delivery_id, order_id, customer_id, kind, channel, state, happened_at,
           now() + case state when 'waiting' then $12::bigint else 0 end * interval '1 ms',
           cause, correlation, traceparent, detail
      from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[],
                  $7::timestamptz[], $8::uuid[], $9::uuid[], $10::text[], $11::text[])
           as n(delivery_id, order_id, customer_id, kind, channel, state, happened_at, cause, correlation,
                traceparent, detail)
        on conflict on constraint delivery_once do nothing";

// Taken rows become due again when the lease ends, so a worker that dies gives them back by dying.
const CLAIM: &str = "
    with due as (
        select d.delivery_id, d.customer_id
          from delivery d
         where d.state = 'pending' and d.due_at <= now()
         order by d.due_at
         limit $1
           for update skip locked
    )
    update delivery d
       set attempts = d.attempts + 1, due_at = now() + $2::bigint * interval '1 ms'
      from due left join customer c on c.customer_id = due.customer_id
     where d.delivery_id = due.delivery_id
 returning d.delivery_id, d.order_id, d.kind, d.channel, d.attempts, d.happened_at, d.cause,
           d.correlation, d.traceparent, d.detail, c.email, c.name, c.locale, now() as now";

// What was taken a while ago, as it stands now. Another claim, or an end, is none of this worker's.
const STILL: &str = "
    select d.delivery_id, d.order_id, d.kind, d.channel, d.attempts, d.happened_at, d.cause,
           d.correlation, d.traceparent, d.detail, c.email, c.name, c.locale, now() as now
      from delivery d left join customer c on c.customer_id = d.customer_id
     where d.delivery_id = $1 and d.attempts = $2 and d.state = 'pending'";

// What a worker learned late counts only when the mail was taken: another may be trying it by then.
const RECORD: &str = "
    update delivery d
       set state = r.state, reason = r.reason,
           sent_at = case r.state when 'sent' then now() end,
           due_at = now() + r.after_ms * interval '1 ms'
      from unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::integer[])
           as r(delivery_id, state, reason, after_ms, attempts)
     where d.delivery_id = r.delivery_id and d.state = 'pending'
       and (r.state = 'sent' or d.attempts = r.attempts)
 returning d.delivery_id";

const COLLECTED: &str = "
    update delivery
       set state = 'expired', reason = 'the order was collected'
     where order_id = any($1::uuid[]) and kind = 'ready' and state in ('waiting', 'pending')
 returning delivery_id, order_id, kind, channel, attempts, cause, correlation, traceparent";

const ERASED: &str = "
    update delivery
       set state = 'expired', reason = 'the customer was erased'
     where customer_id = any($1::text[]) and state in ('waiting', 'pending')
 returning delivery_id, order_id, kind, channel, attempts, cause, correlation, traceparent";

const UNKNOWN_TOO_LONG: &str = "
    update delivery
       set state = 'expired', reason = 'the customer is not known'
     where delivery_id in (
        select delivery_id from delivery where state = 'waiting' and due_at <= now()
         limit $1 for update skip locked)
 returning delivery_id, order_id, kind, channel, attempts, cause, correlation, traceparent";

const KNOWN_NOW: &str = "
    select d.delivery_id, d.kind, d.channel, c.erased, p.channels, p.kinds
      from delivery d
      join customer c on c.customer_id = d.customer_id
      left join preference p on p.customer_id = d.customer_id
     where d.state = 'waiting'
     limit $1
       for update of d skip locked";

const WAIT_NO_MORE: &str = "
    update delivery set state = 'pending', due_at = now() where delivery_id = any($1::uuid[])";

const DROP: &str = "delete from delivery where delivery_id = any($1::uuid[])";

const OF_CUSTOMER: &str = "
    select delivery_id, order_id, customer_id, kind, channel, state, attempts, created_at, sent_at, reason
      from delivery where customer_id = $1 order by created_at desc, delivery_id desc limit 100";

const OF_ORDER: &str = "
    select delivery_id, order_id, customer_id, kind, channel, state, attempts, created_at, sent_at, reason
      from delivery where order_id = $1 order by created_at desc, delivery_id desc limit 100";

const OPEN: &str = "
    select count(*) filter (where state = 'pending'),
           coalesce((extract(epoch from now() - min(created_at) filter (where state = 'pending')) * 1000)
                    ::bigint, 0)
      from delivery where state = 'pending'";

/// What ties a delivery to the event that led to it.
#[derive(Clone, Copy, Debug)]
pub struct Because {
    /// The event.
    pub cause: Uuid,
    /// Shared by everything that one request set in motion.
    pub correlation: Uuid,
    /// The trace it belongs to.
    pub traceparent: Option<TraceParent>,
}

/// A delivery that comes into being.
#[derive(Clone, Debug)]
pub struct NewDelivery {
    /// Its id.
    pub id: Uuid,
    /// The order.
    pub order: Uuid,
    /// Who is told.
    pub customer: String,
    /// What.
    pub kind: Kind,
    /// How.
    pub channel: Channel,
    /// Whether the customer is not known yet.
    pub waits: bool,
    /// When it happened.
    pub happened_at: Timestamp,
    /// What led to it.
    pub because: Because,
    /// What else there is to say.
    pub detail: String,
}

/// What an event about a delivery tells.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    /// The delivery.
    pub id: Uuid,
    /// The order.
    pub order: Uuid,
    /// What was to be told.
    pub kind: Kind,
    /// How.
    pub channel: Channel,
    /// How often it was tried.
    pub attempts: i32,
    /// What led to it.
    pub because: Because,
}

/// A delivery whose turn has come, taken by this worker for the time of the lease.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// What it is.
    pub told: Told,
    /// When what it tells happened.
    pub happened_at: Timestamp,
    /// The instant now, by the database's clock.
    pub now: Timestamp,
    /// What else there is to say.
    pub detail: String,
    /// Where to write.
    pub email: Option<String>,
    /// What to call them.
    pub name: String,
    /// In which language.
    pub locale: String,
}

/// What became of a delivery's turn.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The delivery.
    pub id: Uuid,
    /// `pending`, `sent`, `failed` or `expired`.
    pub state: &'static str,
    /// Why, for people.
    pub reason: String,
    /// When it may be taken again.
    pub after: Duration,
    /// Which attempt it was.
    pub attempts: i32,
}

/// A delivery that waited, and whose customer is known now.
#[derive(Clone, Debug)]
pub struct Met {
    /// The delivery.
    pub id: Uuid,
    /// Whether the customer wants it.
    pub wanted: bool,
}

/// A delivery as it is shown.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The delivery.
    pub id: Uuid,
    /// The order.
    pub order: Uuid,
    /// Who is told.
    pub customer: String,
    /// What.
    pub kind: Kind,
    /// How.
    pub channel: Channel,
    /// Where it stands.
    pub state: String,
    /// How often it was tried.
    pub attempts: i32,
    /// When it came into being.
    pub created_at: Timestamp,
    /// When it was sent.
    pub sent_at: Option<Timestamp>,
    /// Why it stands there.
    pub reason: String,
}

/// Whose deliveries are shown.
#[derive(Clone, Copy, Debug)]
pub enum Of<'a> {
    /// A customer's.
    Customer(&'a str),
    /// Those about an order.
    Order(Uuid),
}

/// Inserts deliveries; those there are already stay as they are.
///
/// # Errors
/// When the database fails.
pub async fn insert(
    tx: &Transaction<'_>,
    new: &[NewDelivery],
    customer_wait: Duration,
) -> Result<(), DatabaseError> {
    if new.is_empty() {
        return Ok(());
    }
    let state = |n: &NewDelivery| if n.waits { "waiting" } else { "pending" };
    let ids: Vec<Uuid> = new.iter().map(|n| n.id).collect();
    let orders: Vec<Uuid> = new.iter().map(|n| n.order).collect();
    let customers: Vec<&str> = new.iter().map(|n| n.customer.as_str()).collect();
    let kinds: Vec<&str> = new.iter().map(|n| n.kind.name()).collect();
    let channels: Vec<&str> = new.iter().map(|n| n.channel.name()).collect();
    let states: Vec<&str> = new.iter().map(state).collect();
    let happened: Vec<Instant> = new.iter().map(|n| Instant(n.happened_at)).collect();
    let causes: Vec<Uuid> = new.iter().map(|n| n.because.cause).collect();
    let correlations: Vec<Uuid> = new.iter().map(|n| n.because.correlation).collect();
    let trace = |n: &NewDelivery| n.because.traceparent.map(|t| t.to_string());
    let traces: Vec<Option<String>> = new.iter().map(trace).collect();
    let details: Vec<&str> = new.iter().map(|n| n.detail.as_str()).collect();
    let wait_ms = i64::try_from(customer_wait.as_millis()).unwrap_or(i64::MAX);
    let params: [&(dyn ToSql + Sync); 12] = [
        &ids,
        &orders,
        &customers,
        &kinds,
        &channels,
        &states,
        &happened,
        &causes,
        &correlations,
        &traces,
        &details,
        &wait_ms,
    ];
    tx.execute(INSERT, &params).await.map(drop)
}

/// Takes deliveries whose turn has come, for the time of the lease.
///
/// # Errors
/// When the database fails.
pub async fn claim(
    tx: &Transaction<'_>,
    most: i64,
    lease: Duration,
) -> Result<Vec<Claimed>, DatabaseError> {
    let lease_ms = i64::try_from(lease.as_millis()).unwrap_or(i64::MAX);
    let rows = tx.query(CLAIM, &[&most, &lease_ms]).await?;
    rows.iter()
        .filter_map(|row| claimed(row).transpose())
        .collect()
}

/// A delivery taken a while ago as it stands now; none when it has ended, or is another worker's.
///
/// # Errors
/// When the database fails.
pub async fn still(connection: &Connection, told: &Told) -> Result<Option<Claimed>, DatabaseError> {
    let row = connection
        .query_opt(STILL, &[&told.id, &told.attempts])
        .await?;
    match row {
        Some(row) => claimed(&row),
        None => Ok(None),
    }
}

/// Records what became of turns; yields those that counted.
///
/// # Errors
/// When the database fails.
pub async fn record(tx: &Transaction<'_>, turns: &[Recorded]) -> Result<Vec<Uuid>, DatabaseError> {
    let ids: Vec<Uuid> = turns.iter().map(|t| t.id).collect();
    let states: Vec<&str> = turns.iter().map(|t| t.state).collect();
    let reasons: Vec<&str> = turns.iter().map(|t| t.reason.as_str()).collect();
    let millis = |t: &Recorded| i64::try_from(t.after.as_millis()).unwrap_or(i64::MAX);
    let after: Vec<i64> = turns.iter().map(millis).collect();
    let attempts: Vec<i32> = turns.iter().map(|t| t.attempts).collect();
    let rows = tx
        .query(RECORD, &[&ids, &states, &reasons, &after, &attempts])
        .await?;
    rows.iter().map(|row| row.try_get(0)).map(flatten).collect()
}

/// Lets "ready" expire for orders that were collected.
///
/// # Errors
/// When the database fails.
pub async fn collected(tx: &Transaction<'_>, orders: &[Uuid]) -> Result<Vec<Told>, DatabaseError> {
    if orders.is_empty() {
        return Ok(Vec::new());
    }
    expired(&tx.query(COLLECTED, &[&orders]).await?)
}

/// Drops the open deliveries of customers who were erased.
///
/// # Errors
/// When the database fails.
pub async fn erased(tx: &Transaction<'_>, customers: &[&str]) -> Result<Vec<Told>, DatabaseError> {
    expired(&tx.query(ERASED, &[&customers]).await?)
}

/// Lets deliveries expire that waited for their customer for too long.
///
/// # Errors
/// When the database fails.
pub async fn unknown_too_long(tx: &Transaction<'_>, most: i64) -> Result<Vec<Told>, DatabaseError> {
    expired(&tx.query(UNKNOWN_TOO_LONG, &[&most]).await?)
}

/// Deliveries that waited, and whose customers are known now; locked.
///
/// # Errors
/// When the database fails.
pub async fn known_now(tx: &Transaction<'_>, most: i64) -> Result<Vec<Met>, DatabaseError> {
    let rows = tx.query(KNOWN_NOW, &[&most]).await?;
    rows.iter().map(met).collect()
}

/// Lets deliveries wait no more, and drops those that nobody wants.
///
/// # Errors
/// When the database fails.
pub async fn wait_no_more(tx: &Transaction<'_>, met: &[Met]) -> Result<(), DatabaseError> {
    let ids = |wanted: bool| -> Vec<Uuid> {
        let these = met.iter().filter(|met| met.wanted == wanted);
        these.map(|met| met.id).collect()
    };
    tx.execute(WAIT_NO_MORE, &[&ids(true)]).await?;
    tx.execute(DROP, &[&ids(false)]).await.map(drop)
}

/// The newest hundred deliveries.
///
/// # Errors
/// When the database fails.
pub async fn list(connection: &Connection, of: Of<'_>) -> Result<Vec<Shown>, DatabaseError> {
    let rows = match of {
        Of::Customer(id) => connection.query(OF_CUSTOMER, &[&id]).await?,
        Of::Order(id) => connection.query(OF_ORDER, &[&id]).await?,
    };
    rows.iter()
        .filter_map(|row| shown(row).transpose())
        .collect()
}

/// How many are pending, and how old the oldest is, in milliseconds.
///
/// # Errors
/// When the database fails.
pub async fn open(connection: &Connection) -> Result<(i64, i64), DatabaseError> {
    let row = connection.query_one(OPEN, &[]).await?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

fn flatten<E>(value: Result<Uuid, E>) -> Result<Uuid, DatabaseError>
where
    DatabaseError: From<E>,
{
    value.map_err(Into::into)
}

/// A row whose kind or channel a newer version wrote is left to that version.
fn told(row: &Row) -> Result<Option<Told>, DatabaseError> {
    let kind = Kind::named(row.try_get("kind")?);
    let channel = Channel::named(row.try_get("channel")?);
    let (Some(kind), Some(channel)) = (kind, channel) else {
        return Ok(None);
    };
    let trace: Option<&str> = row.try_get("traceparent")?;
    let because = Because {
        cause: row.try_get("cause")?,
        correlation: row.try_get("correlation")?,
        traceparent: trace.and_then(|text| text.parse().ok()),
    };
    Ok(Some(Told {
        id: row.try_get("delivery_id")?,
        order: row.try_get("order_id")?,
        attempts: row.try_get("attempts")?,
        kind,
        channel,
        because,
    }))
}

fn expired(rows: &[Row]) -> Result<Vec<Told>, DatabaseError> {
    rows.iter()
        .filter_map(|row| told(row).transpose())
        .collect()
}

fn claimed(row: &Row) -> Result<Option<Claimed>, DatabaseError> {
    let Some(told) = told(row)? else {
        return Ok(None);
    };
    let text = |column: &str| -> Result<String, DatabaseError> {
        Ok(row
            .try_get::<_, Option<String>>(column)?
            .unwrap_or_default())
    };
    Ok(Some(Claimed {
        told,
        happened_at: row.try_get::<_, Instant>("happened_at")?.0,
        now: row.try_get::<_, Instant>("now")?.0,
        detail: row.try_get("detail")?,
        email: row.try_get("email")?,
        name: text("name")?,
        locale: text("locale")?,
    }))
}

fn met(row: &Row) -> Result<Met, DatabaseError> {
    let wishes = super::customers::wishes(row.try_get("channels")?, row.try_get("kinds")?);
    let kind = Kind::named(row.try_get("kind")?);
    let channel = Channel::named(row.try_get("channel")?);
    let erased: bool = row.try_get("erased")?;
    let wants = kind
        .zip(channel)
        .is_some_and(|(kind, channel)| wishes.include(kind, channel));
    Ok(Met {
        id: row.try_get("delivery_id")?,
        wanted: wants && !erased,
    })
}

fn shown(row: &Row) -> Result<Option<Shown>, DatabaseError> {
    let kind = Kind::named(row.try_get("kind")?);
    let channel = Channel::named(row.try_get("channel")?);
    let (Some(kind), Some(channel)) = (kind, channel) else {
        return Ok(None);
    };
    let sent_at: Option<Instant> = row.try_get("sent_at")?;
    Ok(Some(Shown {
        id: row.try_get("delivery_id")?,
        order: row.try_get("order_id")?,
        customer: row.try_get("customer_id")?,
        kind,
        channel,
        state: row.try_get("state")?,
        attempts: row.try_get("attempts")?,
        created_at: row.try_get::<_, Instant>("created_at")?.0,
        sent_at: sent_at.map(|instant| instant.0),
        reason: row.try_get("reason")?,
    }))
}
