//! Checkout sagas in the database. All SQL about them is here; one statement a table, however many
//! sagas.

use std::time::Duration;

use brewline_failpoint as failpoint;
use brewline_kernel::{CustomerId, Money, OrderId, Timestamp, TraceParent};
use brewline_order_domain::checkout::{CheckoutState, Phase};
use brewline_postgres::{self as postgres, Connection, Instant, Transaction};
use brewline_saga::log::LogEntry;
use uuid::Uuid;

pub use self::listing::{LogLine, Summary, get, list};
use self::rows::{Columns, LogColumns};

mod listing;
mod rows;

/// A card's token. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct CardToken(String);

/// What an authorisation asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// The token; empty once no authorisation can follow.
    pub token: CardToken,
    /// The amount.
    pub amount: Money,
    /// Whose it is, for risk rules.
    pub customer_id: CustomerId,
}

/// A saga as it begins.
#[derive(Clone, Debug)]
pub struct NewSaga {
    /// Its order.
    pub order_id: OrderId,
    /// What its authorisation will ask for.
    pub card: Card,
    /// The trace it belongs to.
    pub traceparent: Option<TraceParent>,
}

/// A saga's row, locked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SagaRow {
    /// Its order.
    pub order_id: OrderId,
    /// What it remembers.
    pub state: CheckoutState,
    /// The number of times it was written.
    pub version: i64,
    /// The number of entries in its log.
    pub log_length: i64,
    /// When it is looked at next.
    pub due_at: Option<Timestamp>,
    /// What its authorisation asks for.
    pub card: Card,
    /// The trace it belongs to.
    pub traceparent: Option<TraceParent>,
}

/// An entry for a saga's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRow {
    /// The saga's order.
    pub order_id: OrderId,
    /// Counts from 1.
    pub sequence: i64,
    /// The step.
    pub entry: LogEntry<Phase>,
}

/// Locked sagas, and what the database's clock said after they were.
#[derive(Clone, Debug)]
pub struct Locked {
    /// The database's clock.
    pub now: Timestamp,
    /// The sagas; those that do not exist are absent.
    pub rows: Vec<SagaRow>,
}

/// The orders that are not settled yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending {
    /// How many.
    pub orders: i64,
    /// How long ago they were accepted, on average.
    pub mean_age: Duration,
}

/// Why sagas could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database's fault.
    #[error(transparent)]
    Database(#[from] postgres::Error),
    /// What is stored cannot be read.
    #[error("saga {order_id} cannot be read: column `{column}` holds what nobody writes")]
    Corrupt {
        /// Its order.
        order_id: OrderId,
        /// The column.
        column: &'static str,
    },
    /// A saga was written by somebody else although its row was locked: its version went up.
    #[error("a saga was changed by somebody else in between")]
    VersionConflict,
}

// The clock is the database's, read here, so that replicas with clocks of their own agree.
const BEGIN: &str = "
    with fresh as (
        select n.*, clock_timestamp() as at
        from unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[])
            as n(saga_id, token, amount_minor, currency, customer_id, traceparent)
    ),
    begun as (
        insert into saga (
            saga_id, state, step, stock, authorise, capture, reverse, payment_status, version,
            log_length, attempts, deadline_at, due_at, open, token, amount_minor, currency,
            customer_id, traceparent, started_at, updated_at
        )
        select saga_id, 'reserving', 'stock-reserved', 'asked', 'never', 'never', 'never', 'none', 1,
               1, 0, at + $7::bigint * interval '1 microsecond',
               case when $8 then at + $7::bigint * interval '1 microsecond' end,
               true, token, amount_minor, currency, customer_id, traceparent, at, at
        from fresh
    )
    insert into saga_log (saga_id, sequence, at, from_state, to_state, trigger, actions)
    select saga_id, 1, at, 'reserving', 'reserving', 'begun', '{}' from fresh";

const LOCK: &str = "
    select saga_id, state, resumes_in, parked_reason, stock, authorise, capture, reverse,
           reversed_effect, version, log_length, attempts, unknown_since, deadline_at, due_at, token,
           amount_minor, currency, customer_id, traceparent, started_at
    from saga where saga_id = any($1) order by saga_id for update";

// `skip locked` lets every replica fire timers at once: a row that another one holds is being moved.
const CLAIM_DUE: &str = "
    select saga_id, state, resumes_in, parked_reason, stock, authorise, capture, reverse,
           reversed_effect, version, log_length, attempts, unknown_since, deadline_at, due_at, token,
           amount_minor, currency, customer_id, traceparent, started_at
    from saga where open and due_at <= clock_timestamp()
    order by due_at limit $1 for update skip locked";

// Through the index of those that are open.
const CENSUS: &str = "
    select state, count(*),
           (max(extract(epoch from clock_timestamp() - started_at)) * 1000)::bigint
    from saga where open group by state";

// Before the pivot. Through the index of those that are open, too.
const PENDING: &str = "
    select count(*),
           coalesce(extract(epoch from avg(clock_timestamp() - started_at)) * 1000, 0)::bigint
    from saga where open and state in ('reserving', 'authorising')";

const NOW: &str = "select clock_timestamp()";

const WRITE: &str = "
    update saga set
        state = n.state, step = n.step, resumes_in = n.resumes_in, parked_reason = n.parked_reason,
        stock = n.stock, authorise = n.authorise, capture = n.capture, reverse = n.reverse,
        reversed_effect = n.reversed_effect, payment_status = n.payment_status,
        version = saga.version + 1, log_length = n.log_length, attempts = n.attempts,
        unknown_since = n.unknown_since, deadline_at = n.deadline_at, due_at = n.due_at,
        open = n.open, token = case when n.needs_card then saga.token else '' end,
        updated_at = clock_timestamp()
    from unnest(
        $1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
        $8::text[], $9::text[], $10::text[], $11::text[], $12::bigint[], $13::bigint[], $14::int[],
        $15::timestamptz[], $16::timestamptz[], $17::timestamptz[], $18::bool[], $19::bool[]
    ) as n(
        saga_id, state, step, resumes_in, parked_reason, stock, authorise, capture, reverse,
        reversed_effect, payment_status, version, log_length, attempts, unknown_since, deadline_at,
        due_at, open, needs_card
    )
    where saga.saga_id = n.saga_id and saga.version = n.version";

const APPEND_LOG: &str = "
    insert into saga_log (saga_id, sequence, at, from_state, to_state, trigger, actions)
    select saga_id, sequence, clock_timestamp(), from_state, to_state, trigger,
           string_to_array(actions, '; ')
    from unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[])
        as n(saga_id, sequence, from_state, to_state, trigger, actions)";

const POSTPONE: &str = "
    update saga set due_at = clock_timestamp() + $2::bigint * interval '1 microsecond',
                    version = version + 1
    where saga_id = $1 and due_at is not null";

/// Checkouts that are not closed: how many in a state, and how old the oldest is.
///
/// # Errors
/// When the database fails.
pub async fn census(
    connection: &Connection,
) -> Result<Vec<(String, i64, Duration)>, postgres::Error> {
    let rows = connection.query(CENSUS, &[]).await?;
    rows.iter()
        .map(|row| {
            let millis = u64::try_from(row.try_get::<_, i64>(2)?).unwrap_or_default();
            let oldest = Duration::from_millis(millis);
            Ok((row.try_get(0)?, row.try_get(1)?, oldest))
        })
        .collect()
}

/// Orders that are pending, whichever replica let them in.
///
/// # Errors
/// When the database fails.
pub async fn pending(connection: &Connection) -> Result<Pending, postgres::Error> {
    let row = connection.query_one(PENDING, &[]).await?;
    let millis = u64::try_from(row.try_get::<_, i64>(1)?).unwrap_or_default();
    Ok(Pending {
        orders: row.try_get(0)?,
        mean_age: Duration::from_millis(millis),
    })
}

/// Begins sagas, each due after `deadline_micros`.
///
/// # Errors
/// When the database fails.
pub async fn begin(
    tx: &Transaction<'_>,
    sagas: &[NewSaga],
    deadline_micros: i64,
) -> Result<(), Error> {
    if sagas.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = sagas.iter().map(|s| s.order_id.as_uuid()).collect();
    let tokens: Vec<&str> = sagas.iter().map(|s| s.card.token.expose()).collect();
    let amounts: Vec<i64> = sagas.iter().map(|s| s.card.amount.minor).collect();
    let currencies: Vec<&str> = sagas
        .iter()
        .map(|s| s.card.amount.currency.code())
        .collect();
    let customers: Vec<&str> = sagas.iter().map(|s| s.card.customer_id.as_str()).collect();
    let traces: Vec<Option<String>> = sagas
        .iter()
        .map(|s| s.traceparent.map(|t| t.to_string()))
        .collect();
    let written = !failpoint::planted("lose-saga-deadline");
    tx.execute(
        BEGIN,
        &[
            &ids,
            &tokens,
            &amounts,
            &currencies,
            &customers,
            &traces,
            &deadline_micros,
            &written,
        ],
    )
    .await?;
    Ok(())
}

/// Locks the sagas of `orders`, in id order, so that two who lock never wait for each other in a circle.
///
/// # Errors
/// When the database fails or a row cannot be read.
pub async fn lock(tx: &Transaction<'_>, orders: &[OrderId]) -> Result<Locked, Error> {
    let ids: Vec<Uuid> = orders.iter().map(OrderId::as_uuid).collect();
    let read = async { tx.query(LOCK, &[&ids]).await };
    locked(futures_util::try_join!(read, now(tx))?)
}

/// Locks at most `limit` sagas that are due, the longest overdue first, leaving out those that somebody
/// else is moving.
///
/// # Errors
/// When the database fails or a row cannot be read.
pub async fn claim_due(tx: &Transaction<'_>, limit: i64) -> Result<Locked, Error> {
    let read = async { tx.query(CLAIM_DUE, &[&limit]).await };
    locked(futures_util::try_join!(read, now(tx))?)
}

/// Sent together with the statement that locks and run after it, so the clock is read once the locks
/// are held.
async fn now(tx: &Transaction<'_>) -> Result<postgres::Row, postgres::Error> {
    tx.query_one(NOW, &[]).await
}

fn locked((rows, now): (Vec<postgres::Row>, postgres::Row)) -> Result<Locked, Error> {
    let rows = rows.iter().map(rows::read).collect::<Result<_, _>>()?;
    Ok(Locked {
        now: now.get::<_, Instant>(0).0,
        rows,
    })
}

/// Writes sagas back that were locked in this transaction, and appends to their logs.
///
/// # Errors
/// When the database fails.
pub async fn write(tx: &Transaction<'_>, sagas: &[SagaRow], log: &[LogRow]) -> Result<(), Error> {
    let (columns, entries) = (Columns::of(sagas), LogColumns::of(log));
    let (written, ()) = futures_util::try_join!(
        async {
            match sagas {
                [] => Ok(0),
                _ => tx.execute(WRITE, &columns.params()).await,
            }
        },
        async {
            if !log.is_empty() {
                tx.execute(APPEND_LOG, &entries.params()).await?;
            }
            Ok(())
        }
    )?;
    if usize::try_from(written).is_ok_and(|written| written == sagas.len()) {
        return Ok(());
    }
    Err(Error::VersionConflict)
}

/// Puts one saga's timer off, so that one that cannot be acted upon does not starve the others.
///
/// # Errors
/// When the database fails.
pub async fn postpone(tx: &Transaction<'_>, order_id: OrderId, by: Duration) -> Result<(), Error> {
    let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    tx.execute(POSTPONE, &[&order_id.as_uuid(), &micros])
        .await?;
    Ok(())
}

// === impl CardToken ===

impl CardToken {
    /// From its text.
    #[must_use]
    pub const fn new(token: String) -> Self {
        Self(token)
    }

    /// Its text, for the row and for payment.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for CardToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

// === impl Error ===

impl From<Error> for brewline_messaging::Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Database(error) => Self::Database(error),
            Error::Corrupt { .. } | Error::VersionConflict => Self::poison(error.to_string()),
        }
    }
}
