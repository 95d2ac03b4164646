use std::collections::BTreeMap;

use brewline_kernel::Envelope;
use brewline_postgres as postgres;
use brewline_postgres::{Instant, Json, Transaction};
use bytes::Bytes;
use uuid::Uuid;

use crate::relay::CHANNEL;

/// An event to be published once the transaction it is appended in has committed.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// The topic it goes to.
    pub topic: &'static str,
    /// What kind of aggregate it is about, such as `order`.
    pub aggregate_type: &'static str,
    /// What is said about it; the relay sets `source`.
    pub envelope: Envelope,
    /// The body; none where the service's event table holds it.
    pub payload: Option<Bytes>,
}

/// Where a service leaves the events it wants published.
#[derive(Clone, Copy, Debug)]
pub struct Outbox {
    slots: u16,
}

/// A row as it goes into the table; dead letters bring headers of their own.
#[derive(Debug)]
pub(crate) struct NewRow<'a> {
    pub(crate) topic: &'a str,
    pub(crate) aggregate_type: &'a str,
    pub(crate) envelope: &'a Envelope,
    pub(crate) payload: Option<&'a [u8]>,
    pub(crate) headers: Option<&'a BTreeMap<String, String>>,
}

// `writer` takes the transaction's id before the first position is drawn: the relay concludes from
// an id that is over that no older position can still appear. Positions are drawn above the sort, in
// the order of the arrays.
const APPEND: &str = "
    with writer as materialized (select pg_current_xact_id() as xid),
    fresh as (
        select e.*
        from writer cross join unnest(
            $1::smallint[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[],
            $8::bytea[], $9::timestamptz[], $10::uuid[], $11::uuid[], $12::text[], $13::jsonb[]
        ) with ordinality as e(
            slot, id, topic, aggregate_type, aggregate_id, version, type, payload, occurred_at,
            correlation_id, causation_id, traceparent, headers, n
        )
        where writer.xid is not null
        order by e.n
    ),
    written as (
        insert into outbox (
            position, slot, id, topic, aggregate_type, aggregate_id, version, type, payload, occurred_at,
            correlation_id, causation_id, traceparent, headers
        )
        select nextval(('outbox_position_' || slot)::regclass), slot, id, topic, aggregate_type,
               aggregate_id, version, type, payload, occurred_at, correlation_id, causation_id,
               traceparent, headers
        from fresh
        returning slot
    )
    select distinct slot from written";

// === impl Outbox ===

impl Outbox {
    /// An outbox of `slots` slots: the number the installation was made with.
    #[must_use]
    pub const fn new(slots: u16) -> Self {
        Self {
            slots: if slots == 0 { 1 } else { slots },
        }
    }

    /// Inserts the events, in their order. Call it after the statement that locks their aggregates
    /// or finds their versions free: an event must draw its position after its predecessor has
    /// committed, which is what keeps the log in the order of versions.
    ///
    /// # Errors
    /// When the statement fails.
    pub async fn append(
        &self,
        tx: &Transaction<'_>,
        events: &[NewEvent],
    ) -> Result<(), postgres::Error> {
        let rows: Vec<NewRow<'_>> = events.iter().map(NewRow::from).collect();
        self.append_rows(tx, &rows).await
    }

    pub(crate) async fn append_rows(
        &self,
        tx: &Transaction<'_>,
        rows: &[NewRow<'_>],
    ) -> Result<(), postgres::Error> {
        if rows.is_empty() {
            return Ok(());
        }
        let slots: Vec<i16> = column(rows, |row| self.slot(&row.envelope.subject));
        let ids: Vec<Uuid> = column(rows, |row| row.envelope.id);
        let topics: Vec<&str> = column(rows, |row| row.topic);
        let kinds: Vec<&str> = column(rows, |row| row.aggregate_type);
        let subjects: Vec<&str> = column(rows, |row| row.envelope.subject.as_str());
        let versions: Vec<i64> = column(rows, |row| row.envelope.version);
        let types: Vec<&str> = column(rows, |row| row.envelope.event_type.as_str());
        let payloads: Vec<Option<&[u8]>> = column(rows, |row| row.payload);
        let times: Vec<Instant> = column(rows, |row| Instant(row.envelope.time));
        let correlations: Vec<Uuid> = column(rows, |row| row.envelope.correlation_id);
        let causations: Vec<Option<Uuid>> = column(rows, |row| row.envelope.causation_id);
        let traces: Vec<Option<String>> =
            column(rows, |row| row.envelope.traceparent.map(|t| t.to_string()));
        let headers: Vec<Option<Json<&BTreeMap<String, String>>>> =
            column(rows, |row| row.headers.map(Json));
        let written = tx
            .query(
                APPEND,
                &[
                    &slots,
                    &ids,
                    &topics,
                    &kinds,
                    &subjects,
                    &versions,
                    &types,
                    &payloads,
                    &times,
                    &correlations,
                    &causations,
                    &traces,
                    &headers,
                ],
            )
            .await?;
        // Sent after the commit: inside it, a notification would let only one transaction of the whole
        // server commit at a time.
        for row in written {
            let slot: i16 = row.try_get(0)?;
            tx.notify_after_commit(CHANNEL, slot.to_string());
        }
        Ok(())
    }

    /// A subject's slot, the same for ever: FNV-1a, 64 bit.
    fn slot(self, subject: &str) -> i16 {
        let hash = subject
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        let slot = hash.checked_rem(u64::from(self.slots)).unwrap_or(0);
        i16::try_from(slot).unwrap_or(0)
    }
}

// === impl NewRow ===

impl<'a> From<&'a NewEvent> for NewRow<'a> {
    fn from(event: &'a NewEvent) -> Self {
        Self {
            topic: event.topic,
            aggregate_type: event.aggregate_type,
            envelope: &event.envelope,
            payload: event.payload.as_deref(),
            headers: None,
        }
    }
}

fn column<'r, 'a, T>(rows: &'r [NewRow<'a>], of: impl Fn(&'r NewRow<'a>) -> T) -> Vec<T> {
    rows.iter().map(of).collect()
}
