//! All SQL of this service. Each function is one statement, whatever the number of rows.

use std::collections::{BTreeMap, BTreeSet};

use brewline_kernel::{Money, OrderId, Timestamp};
use brewline_payment_domain::{
    Authorisation, Effect, Event, Kind, Operation, Payment, Posting, Reversal, State, TokenHash,
};
use brewline_postgres as postgres;
use brewline_postgres::{Instant, Migration, Row, ToSql, Transaction};
use uuid::Uuid;

use crate::Error;

/// The schema, oldest first.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "messaging",
        sql: include_str!("../../migrations/0001_messaging.sql"),
    },
    Migration {
        version: 2,
        name: "payment",
        sql: include_str!("../../migrations/0002_payment.sql"),
    },
    Migration {
        version: 3,
        name: "risk",
        sql: include_str!("../../migrations/0003_risk.sql"),
    },
];

/// A payment as it is, or shall be, in its row.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    /// The payment.
    pub(crate) payment: Payment,
    /// The row's revision; 0 when there is no row yet.
    pub(crate) revision: i64,
}

/// One row of the ledger.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The order.
    pub(crate) order_id: OrderId,
    /// The event's version.
    pub(crate) version: i64,
    /// The event's name.
    pub(crate) event: &'static str,
    /// What it adds to the accounts.
    pub(crate) posting: Posting,
    /// In which currency.
    pub(crate) amount: Money,
    /// When.
    pub(crate) at: Timestamp,
}

macro_rules! columns {
    () => {
        "order_id, revision, events, amount_minor, currency, token, token_hash, authorisation_id, effect, risk_rule, \
         authorise_state, authorise_attempts, authorise_not_before, authorise_detail, \
         capture_state, capture_attempts, capture_not_before, capture_detail, \
         reverse_state, reverse_attempts, reverse_not_before, reverse_detail"
    };
}

macro_rules! given {
    () => {
        "unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], \
         $7::bytea[], $8::text[], $9::text[], $10::text[], \
         $11::text[], $12::integer[], $13::timestamptz[], $14::text[], \
         $15::text[], $16::integer[], $17::timestamptz[], $18::text[], \
         $19::text[], $20::integer[], $21::timestamptz[], $22::text[])"
    };
}

// In the order of ids, so that two batches that meet wait for each other only one way round.
const LOAD: &str = concat!(
    "select ",
    columns!(),
    " from payment where order_id = any($1) order by order_id for update"
);

const FIND: &str = concat!("select ", columns!(), " from payment where order_id = $1");

const INSERT: &str = concat!(
    "insert into payment (",
    columns!(),
    ", reversed_at) select ",
    columns!(),
    ", case when reverse_state is not null then now() end from ",
    given!(),
    " as given(",
    columns!(),
    ") on conflict (order_id) do nothing returning order_id"
);

// The amount and the card's digest never change once there. `revision` of the parameters is the one
// that the new values were derived from.
const UPDATE: &str = concat!(
    "update payment p set revision = p.revision + 1, events = given.events, token = given.token, \
     authorisation_id = given.authorisation_id, effect = given.effect, risk_rule = given.risk_rule, \
     authorise_state = given.authorise_state, authorise_attempts = given.authorise_attempts, \
     authorise_not_before = given.authorise_not_before, authorise_detail = given.authorise_detail, \
     capture_state = given.capture_state, capture_attempts = given.capture_attempts, \
     capture_not_before = given.capture_not_before, capture_detail = given.capture_detail, \
     reverse_state = given.reverse_state, reverse_attempts = given.reverse_attempts, \
     reverse_not_before = given.reverse_not_before, reverse_detail = given.reverse_detail, \
     reversed_at = case when given.reverse_state is not null then coalesce(p.reversed_at, now()) end \
     from ",
    given!(),
    " as given(",
    columns!(),
    ") where p.order_id = given.order_id and p.revision = given.revision returning p.order_id"
);

const POST: &str = "
    insert into ledger_posting (order_id, version, event, currency, posted_at, held_minor, pending_minor,
                                receivable_minor, revenue_minor, refunds_minor)
    select * from unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $5::timestamptz[], $6::bigint[],
                         $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[])";

/// Locks and reads the rows there are.
pub(crate) async fn load(
    tx: &Transaction<'_>,
    orders: &[OrderId],
) -> Result<BTreeMap<OrderId, Recorded>, Error> {
    let ids: Vec<Uuid> = orders.iter().map(OrderId::as_uuid).collect();
    let rows = tx.query(LOAD, &[&ids]).await?;
    rows.iter()
        .map(|row| decode(row).map(|recorded| (recorded.payment.order_id, recorded)))
        .collect()
}

/// Reads one row, without locking it.
pub(crate) async fn find(pool: &postgres::Pool, order: OrderId) -> Result<Option<Payment>, Error> {
    let connection = pool.get().await?;
    let row = connection.query_opt(FIND, &[&order.as_uuid()]).await?;
    Ok(row
        .map(|row| decode(&row))
        .transpose()?
        .map(|it| it.payment))
}

/// Inserts rows; says which were new. The others are on record already, and stay as they are.
pub(crate) async fn insert(
    tx: &Transaction<'_>,
    rows: &[&Recorded],
) -> Result<BTreeSet<OrderId>, Error> {
    write(tx, INSERT, rows, 1).await
}

/// Overwrites the rows that still have the revision they were derived from; says which had it.
pub(crate) async fn update(
    tx: &Transaction<'_>,
    rows: &[&Recorded],
) -> Result<BTreeSet<OrderId>, Error> {
    write(tx, UPDATE, rows, 0).await
}

/// Writes postings.
pub(crate) async fn post(tx: &Transaction<'_>, entries: &[Entry]) -> Result<(), Error> {
    if entries.is_empty() {
        return Ok(());
    }
    let orders = column(entries, |e| e.order_id.as_uuid());
    let versions = column(entries, |e| e.version);
    let events = column(entries, |e| e.event);
    let currencies = column(entries, |e| e.amount.currency.to_string());
    let times = column(entries, |e| Instant(e.at));
    let held = column(entries, |e| e.posting.held);
    let pending = column(entries, |e| e.posting.pending);
    let receivable = column(entries, |e| e.posting.receivable);
    let revenue = column(entries, |e| e.posting.revenue);
    let refunds = column(entries, |e| e.posting.refunds);
    let params: [&(dyn ToSql + Sync); 10] = [
        &orders,
        &versions,
        &events,
        &currencies,
        &times,
        &held,
        &pending,
        &receivable,
        &revenue,
        &refunds,
    ];
    tx.execute(POST, &params).await?;
    Ok(())
}

async fn write(
    tx: &Transaction<'_>,
    sql: &'static str,
    rows: &[&Recorded],
    first_revision: i64,
) -> Result<BTreeSet<OrderId>, Error> {
    if rows.is_empty() {
        return Ok(BTreeSet::new());
    }
    let orders = column(rows, |r| r.payment.order_id.as_uuid());
    let revisions = column(rows, |r| r.revision.max(first_revision));
    let events = column(rows, |r| r.payment.events);
    let held = |r: &&Recorded| r.payment.authorisation.clone();
    let amounts = column(rows, |r| held(r).map(|a| a.amount.minor));
    let currencies = column(rows, |r| held(r).map(|a| a.amount.currency.to_string()));
    let tokens = column(rows, |r| held(r).and_then(|a| a.token));
    let hashes = column(rows, |r| held(r).map(|a| a.token_hash.0.to_vec()));
    let ids = column(rows, |r| held(r).map_or_else(String::new, |a| a.id));
    let effects = column(rows, |r| effect_of(&r.payment));
    let rules = column(rows, |r| held(r).and_then(|a| a.risk_rule));
    let authorise = Operations::of(rows, Kind::Authorise);
    let capture = Operations::of(rows, Kind::Capture);
    let reverse = Operations::of(rows, Kind::Reverse);
    let mut params: Vec<&(dyn ToSql + Sync)> = vec![
        &orders,
        &revisions,
        &events,
        &amounts,
        &currencies,
        &tokens,
        &hashes,
        &ids,
        &effects,
        &rules,
    ];
    for operations in [&authorise, &capture, &reverse] {
        params.extend(operations.params());
    }
    let written = tx.query(sql, &params).await?;
    written
        .iter()
        .map(|row| {
            Ok(OrderId::new(
                row.try_get::<_, Uuid>(0).map_err(postgres::Error::from)?,
            ))
        })
        .collect()
}

/// The four columns of one kind of operation, row by row.
struct Operations {
    states: Vec<Option<&'static str>>,
    attempts: Vec<i32>,
    not_before: Vec<Option<Instant>>,
    details: Vec<String>,
}

impl Operations {
    fn of(rows: &[&Recorded], kind: Kind) -> Self {
        let operation = |r: &&Recorded| r.payment.operation(kind).cloned();
        Self {
            states: column(rows, |r| operation(r).map(|o| o.state.as_str())),
            attempts: column(rows, |r| {
                operation(r).map_or(0, |o| i32::try_from(o.attempts).unwrap_or(i32::MAX))
            }),
            not_before: column(rows, |r| operation(r)?.not_before.map(Instant)),
            details: column(rows, |r| {
                operation(r).map_or_else(String::new, |o| o.detail)
            }),
        }
    }

    fn params(&self) -> [&(dyn ToSql + Sync); 4] {
        [
            &self.states,
            &self.attempts,
            &self.not_before,
            &self.details,
        ]
    }
}

fn column<R, T>(rows: &[R], of: impl Fn(&R) -> T) -> Vec<T> {
    rows.iter().map(of).collect()
}

fn effect_of(payment: &Payment) -> Option<&'static str> {
    match payment.reversal.as_ref()?.effect? {
        Effect::Voided => Some("voided"),
        Effect::Refunded => Some("refunded"),
        Effect::Nothing => Some("nothing"),
        Effect::Authorised | Effect::Captured => None,
    }
}

fn decode(row: &Row) -> Result<Recorded, Error> {
    let order_id = OrderId::new(get(row, "order_id")?);
    let payment = Payment {
        order_id,
        authorisation: authorisation(row)?,
        capture: operation(
            row,
            [
                "capture_state",
                "capture_attempts",
                "capture_not_before",
                "capture_detail",
            ],
        )?,
        reversal: reversal(row)?,
        events: get(row, "events")?,
    };
    Ok(Recorded {
        payment,
        revision: get(row, "revision")?,
    })
}

fn authorisation(row: &Row) -> Result<Option<Authorisation>, Error> {
    let names = [
        "authorise_state",
        "authorise_attempts",
        "authorise_not_before",
        "authorise_detail",
    ];
    let Some(operation) = operation(row, names)? else {
        return Ok(None);
    };
    let broken = |what: &str| Error::BrokenRow(format!("{what} of an authorisation"));
    let currency: String = get(row, "currency")?;
    let hash: Vec<u8> = get(row, "token_hash")?;
    Ok(Some(Authorisation {
        operation,
        amount: Money::new(
            get(row, "amount_minor")?,
            currency.parse().map_err(|_| broken("currency"))?,
        ),
        token: get(row, "token")?,
        token_hash: TokenHash(hash.try_into().map_err(|_| broken("digest"))?),
        id: get(row, "authorisation_id")?,
        risk_rule: get(row, "risk_rule")?,
    }))
}

fn reversal(row: &Row) -> Result<Option<Reversal>, Error> {
    let names = [
        "reverse_state",
        "reverse_attempts",
        "reverse_not_before",
        "reverse_detail",
    ];
    let Some(operation) = operation(row, names)? else {
        return Ok(None);
    };
    let effect = match get::<Option<&str>>(row, "effect")? {
        None => None,
        Some("voided") => Some(Effect::Voided),
        Some("refunded") => Some(Effect::Refunded),
        Some("nothing") => Some(Effect::Nothing),
        Some(other) => return Err(Error::BrokenRow(format!("effect `{other}`"))),
    };
    Ok(Some(Reversal { operation, effect }))
}

fn operation(
    row: &Row,
    [state, attempts, not_before, detail]: [&str; 4],
) -> Result<Option<Operation>, Error> {
    let Some(state) = get::<Option<&str>>(row, state)? else {
        return Ok(None);
    };
    let state: State = state
        .parse()
        .map_err(|error: brewline_payment_domain::UnknownState| {
            Error::BrokenRow(error.to_string())
        })?;
    Ok(Some(Operation {
        state,
        attempts: u32::try_from(get::<i32>(row, attempts)?).unwrap_or(0),
        not_before: get::<Option<Instant>>(row, not_before)?.map(|instant| instant.0),
        detail: get(row, detail)?,
    }))
}

fn get<'r, T: postgres::FromSql<'r>>(row: &'r Row, name: &str) -> Result<T, Error> {
    row.try_get(name)
        .map_err(|error| postgres::Error::from(error).into())
}

/// The name of an event in the ledger.
pub(crate) const fn event_name(event: &Event) -> &'static str {
    match event {
        Event::Authorised => "authorised",
        Event::Declined { .. } => "declined",
        Event::Captured => "captured",
        Event::Voided => "voided",
        Event::Refunded => "refunded",
    }
}
