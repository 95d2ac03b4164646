//! The relay's SQL.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use brewline_kernel::{Envelope, Timestamp};
use brewline_postgres as postgres;
use brewline_postgres::{Instant, Json, Pool, Row as SqlRow};
use bytes::Bytes;
use uuid::Uuid;

use super::core::{Read, Row};
use super::outgoing::Outgoing;
use crate::cloud_events;

/// One slot's rows in the database.
#[derive(Clone, Debug)]
pub(super) struct Store {
    pub(super) pool: Pool,
    pub(super) slot: i16,
    pub(super) source: &'static str,
}

/// What a claim yields.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claimed {
    pub(super) epoch: i64,
    pub(super) watermark: i64,
}

/// What one snapshot showed.
#[derive(Debug)]
pub(super) struct Seen {
    /// Every transaction with a lower id is over.
    pub(super) xmin: i64,
    pub(super) rows: Vec<Row<Outgoing>>,
}

// The holder's own name may claim before the lease ends: it is a restart of the same instance.
const CLAIM: &str = "
    update relay_slot
    set holder = $2, epoch = case when $4 then 1 else epoch + 1 end,
        leased_until = clock_timestamp() + $3::bigint * interval '1 microsecond'
    where slot = $1 and (leased_until < clock_timestamp() or holder = $2)
    returning epoch, watermark";

const EXISTS: &str = "select exists (select from relay_slot where slot = $1)";

// One statement is one snapshot, and it answers with `xmin` also when there are no rows. The ranges
// are looked up one by one: their limit keeps the planner from walking the whole table for a join.
const READ: &str = "
    with snapshot as materialized (
        select pg_snapshot_xmin(pg_current_snapshot())::text::bigint as xmin
    ),
    fresh as (
        (
            select o.position, o.id, o.topic, o.aggregate_id, o.version, o.type, o.payload,
                   o.occurred_at, o.correlation_id, o.causation_id, o.traceparent, o.headers
            from outbox_record o
            where o.slot = $1 and o.position > $2
            order by o.position
            limit $5
        )
        union all
        (
            select o.position, o.id, o.topic, o.aggregate_id, o.version, o.type, o.payload,
                   o.occurred_at, o.correlation_id, o.causation_id, o.traceparent, o.headers
            from unnest($3::bigint[], $4::bigint[]) as gap(first, last)
            cross join lateral (
                select r.* from outbox_record r
                where r.slot = $1 and r.position between gap.first and gap.last
                order by r.position
                limit $5
            ) o
        )
        order by 1
        limit $5
    )
    select s.xmin, f.* from snapshot s left join fresh f on true order by f.position";

// The mark need not survive a crash of the database: a lower watermark costs duplicates, which are
// refused. So it does not wait for the disk.
const MARK: &str = "
    update relay_slot
    set watermark = $3, leased_until = clock_timestamp() + $4::bigint * interval '1 microsecond'
    where slot = $1 and epoch = $2 and set_config('synchronous_commit', 'off', true) = 'off'
    returning pg_current_xact_id()::text::bigint";

const RELEASE: &str =
    "update relay_slot set leased_until = '-infinity' where slot = $1 and epoch = $2";

const OLDEST: &str = "
    select (extract(epoch from clock_timestamp() - min(o.occurred_at)) * 1000000)::bigint
    from outbox o
    join relay_slot s on s.slot = $1 and o.slot = $1 and o.position > s.watermark";

// === impl Store ===

impl Store {
    /// Whether the installation has this slot.
    pub(super) async fn exists(&self) -> Result<bool, postgres::Error> {
        let row = self
            .pool
            .get()
            .await?
            .query_one(EXISTS, &[&self.slot])
            .await?;
        Ok(row.try_get(0)?)
    }

    /// Takes the lease if it is free.
    pub(super) async fn claim(
        &self,
        instance: &str,
        lease: Duration,
    ) -> Result<Option<Claimed>, postgres::Error> {
        let forgets = brewline_failpoint::planted("relay-forgets-its-epoch");
        let connection = self.pool.get().await?;
        let row = connection
            .query_opt(CLAIM, &[&self.slot, &instance, &micros(lease), &forgets])
            .await?;
        row.map(|row| {
            Ok(Claimed {
                epoch: row.try_get(0)?,
                watermark: row.try_get(1)?,
            })
        })
        .transpose()
    }

    /// Reads what the core asks for.
    pub(super) async fn read(&self, read: &Read, epoch: i64) -> Result<Seen, postgres::Error> {
        let (first, last): (Vec<i64>, Vec<i64>) = read.gaps.iter().copied().unzip();
        let limit = i64::try_from(read.limit).unwrap_or(i64::MAX);
        let connection = self.pool.get().await?;
        let rows = connection
            .query(READ, &[&self.slot, &read.after, &first, &last, &limit])
            .await?;
        let mut seen = Seen {
            xmin: rows
                .first()
                .map(|row| row.try_get(0))
                .transpose()?
                .unwrap_or(0),
            rows: Vec::with_capacity(rows.len()),
        };
        for row in &rows {
            if let Some(position) = row.try_get::<_, Option<i64>>(1)? {
                seen.rows.push(self.row(position, row, epoch)?);
            }
        }
        Ok(seen)
    }

    /// Writes the watermark down and renews the lease. Yields the transaction's id; none when the
    /// slot has another holder.
    pub(super) async fn mark(
        &self,
        epoch: i64,
        watermark: i64,
        lease: Duration,
    ) -> Result<Option<i64>, postgres::Error> {
        let connection = self.pool.get().await?;
        let params: [&(dyn postgres::ToSql + Sync); 4] =
            [&self.slot, &epoch, &watermark, &micros(lease)];
        let row = connection.query_opt(MARK, &params).await?;
        row.map(|row| Ok(row.try_get(0)?)).transpose()
    }

    /// Gives the lease back.
    pub(super) async fn release(&self, epoch: i64) -> Result<(), postgres::Error> {
        let connection = self.pool.get().await?;
        connection.execute(RELEASE, &[&self.slot, &epoch]).await?;
        Ok(())
    }

    /// The age of the oldest row above the watermark.
    pub(super) async fn oldest_unsent(&self) -> Result<Duration, postgres::Error> {
        let connection = self.pool.get().await?;
        let row = connection.query_one(OLDEST, &[&self.slot]).await?;
        let micros = row.try_get::<_, Option<i64>>(0)?.unwrap_or(0);
        Ok(Duration::from_micros(u64::try_from(micros).unwrap_or(0)))
    }

    fn row(
        &self,
        position: i64,
        row: &SqlRow,
        epoch: i64,
    ) -> Result<Row<Outgoing>, postgres::Error> {
        let topic: &str = row.try_get("topic")?;
        let envelope = self.envelope(row)?;
        let payload: Option<&[u8]> = row.try_get("payload")?;
        let payload = Bytes::copy_from_slice(payload.unwrap_or_default());
        let mut record = cloud_events::record(topic, &envelope, payload);
        if let Some(Json(more)) =
            row.try_get::<_, Option<Json<BTreeMap<String, String>>>>("headers")?
        {
            record.headers.retain(|(name, _)| !more.contains_key(name));
            record.headers.extend(
                more.into_iter()
                    .map(|(name, value)| (name, Bytes::from(value))),
            );
        }
        for (name, value) in [
            (cloud_events::RELAY_EPOCH, epoch.to_string()),
            (cloud_events::RELAY_SLOT, self.slot.to_string()),
        ] {
            record.headers.push((name.to_owned(), Bytes::from(value)));
        }
        let mut key = DefaultHasher::new();
        (topic, &envelope.subject).hash(&mut key);
        Ok(Row {
            position,
            key: key.finish(),
            record: Outgoing {
                record,
                occurred_at: envelope.time,
                traceparent: envelope.traceparent,
            },
        })
    }

    fn envelope(&self, row: &SqlRow) -> Result<Envelope, postgres::Error> {
        let traceparent: Option<&str> = row.try_get("traceparent")?;
        Ok(Envelope {
            id: row.try_get::<_, Uuid>("id")?,
            event_type: row.try_get("type")?,
            source: self.source.to_owned(),
            subject: row.try_get("aggregate_id")?,
            version: row.try_get("version")?,
            time: Timestamp::from(row.try_get::<_, Instant>("occurred_at")?),
            correlation_id: row.try_get("correlation_id")?,
            causation_id: row.try_get("causation_id")?,
            traceparent: traceparent.and_then(|text| text.parse().ok()),
        })
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
