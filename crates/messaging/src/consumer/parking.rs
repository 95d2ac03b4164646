//! The SQL of records that are held back: behind a dead letter, or behind a missing version.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use brewline_kafka::{Received, TopicPartition};
use brewline_kernel::Timestamp;
use brewline_postgres as postgres;
use brewline_postgres::{Json, Row, ToSql, Transaction};
use bytes::Bytes;

use super::core::Item;
use super::plan::{Plan, Subject};
use super::store::{Store, header_map, place, subject_columns};
use crate::Delivery;
use crate::inbox::{Key, Known};

/// A subject that has waited too long for a missing version.
#[derive(Clone, Debug)]
pub(super) struct Overdue {
    pub(super) place: TopicPartition,
    pub(super) subject: String,
}

const HELD: &str = "
    select p.topic, p.subject, p.partition, p.record_offset, p.headers, p.payload
    from parked p
    join unnest($2::text[], $3::text[]) as s(topic, subject) using (topic, subject)
    where p.consumer = $1
    order by p.topic, p.subject, p.version";

const WAIT: &str = "
    insert into parked_key (consumer, topic, subject, partition, waits_until)
    select $1, w.topic, w.subject, w.partition, now() + $5::bigint * interval '1 microsecond'
    from unnest($2::text[], $3::text[], $4::integer[]) as w(topic, subject, partition)
    on conflict do nothing";

const PARK: &str = "
    insert into parked (consumer, topic, subject, version, partition, record_offset, headers, payload)
    select $1, r.* from unnest(
        $2::text[], $3::text[], $4::bigint[], $5::integer[], $6::bigint[], $7::jsonb[], $8::bytea[]
    ) as r(topic, subject, version, partition, record_offset, headers, payload)
    on conflict do nothing";

const FLOW: &str = "
    delete from parked_key k using unnest($2::text[], $3::text[]) as f(topic, subject)
    where k.consumer = $1 and k.topic = f.topic and k.subject = f.subject";

const RELEASE: &str = "
    delete from parked p using unnest($2::text[], $3::text[], $4::bigint[]) as r(topic, subject, version)
    where p.consumer = $1 and p.topic = r.topic and p.subject = r.subject and p.version = r.version";

const PARKED_COUNTS: &str = "
    select coalesce(sum(n), 0)::bigint, coalesce(max(n), 0)::bigint
    from (select count(*) as n from parked where consumer = $1 group by topic, subject) as keys";

const OVERDUE: &str = "
    select topic, partition, subject from parked_key
    where consumer = $1 and waits_until < now()
    order by waits_until
    limit 100";

const ANY_WAITING: &str =
    "select exists (select from parked_key where consumer = $1 and waits_until is not null)";

const FIRST_HELD: &str = "
    delete from parked p
    where p.consumer = $1 and p.topic = $2 and p.subject = $3
      and p.version = (
          select min(q.version) from parked q
          where q.consumer = $1 and q.topic = $2 and q.subject = $3
      )
    returning p.topic, p.subject, p.partition, p.record_offset, p.headers, p.payload";

// === impl Store ===

impl Store {
    pub(super) async fn held(
        &self,
        tx: &Transaction<'_>,
        known: &BTreeMap<Subject, Known>,
    ) -> Result<BTreeMap<Subject, Vec<Delivery>>, postgres::Error> {
        let waiting = known.iter().filter(|(_, known)| known.key == Key::Waiting);
        let (topics, subjects) = subject_columns(waiting.map(|(subject, _)| subject));
        let mut held: BTreeMap<Subject, Vec<Delivery>> = BTreeMap::new();
        for row in &tx
            .query(HELD, &[&self.consumer, &topics, &subjects])
            .await?
        {
            let record = record(row)?;
            // Only records that could be read were ever held.
            if let Ok(delivery) = super::delivery(&record) {
                let subject = (record.topic.to_string(), delivery.envelope.subject.clone());
                held.entry(subject).or_default().push(delivery);
            }
        }
        Ok(held)
    }

    pub(super) async fn wait(
        &self,
        tx: &Transaction<'_>,
        plan: &Plan,
        gap_wait: Duration,
    ) -> Result<(), postgres::Error> {
        let partition = |subject: &Subject| {
            let same = |d: &&Delivery| *d.topic == *subject.0 && d.envelope.subject == subject.1;
            let held = plan.parked.iter().map(|(_, delivery)| delivery).find(same);
            held.map_or(-1, |delivery| delivery.partition)
        };
        let (topics, subjects) = subject_columns(plan.waiting.iter());
        let partitions: Vec<i32> = plan.waiting.iter().map(partition).collect();
        let gap_wait = i64::try_from(gap_wait.as_micros()).unwrap_or(i64::MAX);
        let params: [&(dyn ToSql + Sync); 5] =
            [&self.consumer, &topics, &subjects, &partitions, &gap_wait];
        tx.execute(WAIT, &params).await?;
        Ok(())
    }

    pub(super) async fn park(
        &self,
        tx: &Transaction<'_>,
        plan: &Plan,
        batch: &[Item<Received>],
    ) -> Result<(), postgres::Error> {
        let parked: Vec<(&Received, &Delivery)> = plan
            .parked
            .iter()
            .filter_map(|(place, delivery)| Some((&batch.get(*place)?.record, delivery)))
            .collect();
        let topics: Vec<&str> = parked.iter().map(|(r, _)| &*r.topic).collect();
        let subjects: Vec<&str> = parked
            .iter()
            .map(|(_, d)| d.envelope.subject.as_str())
            .collect();
        let versions: Vec<i64> = parked.iter().map(|(_, d)| d.envelope.version).collect();
        let partitions: Vec<i32> = parked.iter().map(|(r, _)| r.partition).collect();
        let offsets: Vec<i64> = parked.iter().map(|(r, _)| r.offset).collect();
        let headers: Vec<_> = parked.iter().map(|(r, _)| Json(header_map(r))).collect();
        let payloads: Vec<Option<&[u8]>> =
            parked.iter().map(|(r, _)| r.payload.as_deref()).collect();
        let params: [&(dyn ToSql + Sync); 8] = [
            &self.consumer,
            &topics,
            &subjects,
            &versions,
            &partitions,
            &offsets,
            &headers,
            &payloads,
        ];
        tx.execute(PARK, &params).await?;
        Ok(())
    }

    /// Lets go of what is applied now, and of subjects that wait no more.
    pub(super) async fn release(
        &self,
        tx: &Transaction<'_>,
        plan: &Plan,
    ) -> Result<(), postgres::Error> {
        if !plan.released.is_empty() {
            let (topics, subjects) = subject_columns(plan.released.iter().map(|(s, _)| s));
            let versions: Vec<i64> = plan.released.iter().map(|(_, version)| *version).collect();
            tx.execute(RELEASE, &[&self.consumer, &topics, &subjects, &versions])
                .await?;
        }
        if !plan.flowing.is_empty() {
            let (topics, subjects) = subject_columns(plan.flowing.iter());
            tx.execute(FLOW, &[&self.consumer, &topics, &subjects])
                .await?;
        }
        Ok(())
    }

    /// How many records are parked, in all and of the subject that has most.
    pub(super) async fn parked_counts(
        &self,
        tx: &Transaction<'_>,
    ) -> Result<(i64, i64), postgres::Error> {
        let row = tx.query_one(PARKED_COUNTS, &[&self.consumer]).await?;
        Ok((row.try_get(0)?, row.try_get(1)?))
    }

    /// Whether any subject waits for a missing version.
    pub(super) async fn any_waiting(&self) -> Result<bool, postgres::Error> {
        let connection = self.pool.get().await?;
        Ok(connection
            .query_one(ANY_WAITING, &[&self.consumer])
            .await?
            .try_get(0)?)
    }

    /// Subjects that have waited too long.
    pub(super) async fn overdue(&self) -> Result<Vec<Overdue>, postgres::Error> {
        let connection = self.pool.get().await?;
        let rows = connection.query(OVERDUE, &[&self.consumer]).await?;
        rows.iter()
            .map(|row| {
                Ok(Overdue {
                    place: place(row)?,
                    subject: row.try_get(2)?,
                })
            })
            .collect()
    }

    /// Takes the first record held for a subject out of table `parked`.
    pub(super) async fn take_first_held(
        &self,
        tx: &Transaction<'_>,
        overdue: &Overdue,
    ) -> Result<Option<Received>, postgres::Error> {
        let params: [&(dyn ToSql + Sync); 3] =
            [&self.consumer, &&*overdue.place.topic, &overdue.subject];
        tx.query_opt(FIRST_HELD, &params)
            .await?
            .as_ref()
            .map(record)
            .transpose()
    }
}

/// A record as it was parked: topic, subject, partition, offset, headers, payload.
pub(super) fn record(row: &Row) -> Result<Received, postgres::Error> {
    let Json(headers) = row.try_get::<_, Json<BTreeMap<String, String>>>(4)?;
    let payload: Option<&[u8]> = row.try_get(5)?;
    Ok(Received {
        topic: Arc::from(row.try_get::<_, &str>(0)?),
        partition: row.try_get(2)?,
        offset: row.try_get(3)?,
        timestamp: Timestamp::EPOCH,
        key: Bytes::copy_from_slice(row.try_get::<_, &str>(1)?.as_bytes()),
        payload: payload.map(Bytes::copy_from_slice),
        headers: headers
            .into_iter()
            .map(|(name, value)| (name, Bytes::from(value)))
            .collect(),
    })
}
