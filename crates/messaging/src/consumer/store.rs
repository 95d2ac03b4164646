//! The consumer's SQL.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use brewline_failpoint::planted;
use brewline_kafka::{Received, TopicPartition};
use brewline_kernel::Timestamp;
use brewline_postgres as postgres;
use brewline_postgres::{Json, Pool, Row, ToSql, Transaction};
use bytes::Bytes;
use uuid::Uuid;

use super::core::{Item, Move};
use super::plan::{Plan, Stored, Subject};
use crate::Delivery;
use crate::inbox::{Key, Known};

/// A consumer's rows.
#[derive(Clone, Debug)]
pub(super) struct Store {
    pub(super) pool: Pool,
    pub(super) consumer: &'static str,
}

/// What a claim found.
#[derive(Clone, Debug)]
pub(super) struct Claimed {
    pub(super) place: TopicPartition,
    pub(super) epoch: i64,
    pub(super) next_offset: i64,
    pub(super) topic_id: String,
}

/// How often a lone record was counted.
#[derive(Clone, Debug)]
pub(super) struct Counted {
    pub(super) attempts: i32,
    pub(super) deaths: i32,
    pub(super) last_reason: Option<String>,
}

/// A subject that has waited too long for a missing version.
#[derive(Clone, Debug)]
pub(super) struct Overdue {
    pub(super) place: TopicPartition,
    pub(super) subject: String,
}

// A stored id is kept: another one means another log, and the owner has to stop.
const CLAIM: &str = "
    insert into consumer_position (consumer, topic, topic_id, partition, epoch, next_offset)
    select $1, c.topic, c.topic_id, c.partition, 1, 0
    from unnest($2::text[], $3::text[], $4::integer[]) as c(topic, topic_id, partition)
    on conflict (consumer, topic, partition)
    do update set epoch = consumer_position.epoch + 1, updated_at = now()
    returning topic, partition, epoch, next_offset, topic_id";

const MOVE: &str = "
    update consumer_position p
    set next_offset = greatest(p.next_offset, m.next), updated_at = now()
    from unnest($2::text[], $3::integer[], $4::bigint[], $5::bigint[], $6::bigint[])
        as m(topic, partition, epoch, first, next)
    where p.consumer = $1 and p.topic = m.topic and p.partition = m.partition
      and (p.epoch = m.epoch and p.next_offset = m.first or $7)";

const POSITIONS: &str = "
    select p.topic, p.partition, p.epoch, p.next_offset
    from consumer_position p
    join unnest($2::text[], $3::integer[]) as m(topic, partition) using (topic, partition)
    where p.consumer = $1";

const STORED: &str = "
    select s.topic, s.subject, i.version, k.subject is not null, k.dead_letter_id is not null
    from unnest($2::text[], $3::text[]) as s(topic, subject)
    left join inbox i on i.consumer = $1 and i.topic = s.topic and i.subject = s.subject
    left join parked_key k on k.consumer = $1 and k.topic = s.topic and k.subject = s.subject";

const HELD: &str = "
    select p.topic, p.subject, p.partition, p.record_offset, p.headers, p.payload
    from parked p
    join unnest($2::text[], $3::text[]) as s(topic, subject) using (topic, subject)
    where p.consumer = $1
    order by p.topic, p.subject, p.version";

const APPLIED: &str = "
    insert into inbox (consumer, topic, subject, version, event_id)
    select $1, a.* from unnest($2::text[], $3::text[], $4::bigint[], $5::uuid[])
        as a(topic, subject, version, event_id)
    on conflict (consumer, topic, subject) do update
    set version = excluded.version, event_id = excluded.event_id, updated_at = now()";

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

// A record still in hand was so when a process died: nobody lived to say how it went.
const COUNT: &str = "
    insert into delivery_attempt as a (consumer, topic, partition, record_offset, attempts, in_hand)
    values ($1, $2, $3, $4, 1, true)
    on conflict (consumer, topic, partition, record_offset) do update
    set attempts = a.attempts + 1, deaths = a.deaths + a.in_hand::integer, in_hand = true,
        counted_at = now()
    returning attempts, deaths, reason";

const FAILED: &str = "
    update delivery_attempt set in_hand = false, reason = $5
    where consumer = $1 and topic = $2 and partition = $3 and record_offset = $4";

const FORGET_COUNT: &str = "
    delete from delivery_attempt
    where consumer = $1 and topic = $2 and partition = $3 and record_offset = $4";

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
    /// Takes the partitions over: whoever had them is refused from now on.
    pub(super) async fn claim(
        &self,
        places: &[TopicPartition],
        topic_ids: &BTreeMap<String, String>,
    ) -> Result<Vec<Claimed>, postgres::Error> {
        let (topics, partitions) = columns(places);
        let id = |topic: &&str| topic_ids.get(*topic).map_or("", String::as_str);
        let ids: Vec<&str> = topics.iter().map(id).collect();
        let connection = self.pool.get().await?;
        let params: [&(dyn ToSql + Sync); 4] = [&self.consumer, &topics, &ids, &partitions];
        let rows = connection.query(CLAIM, &params).await?;
        rows.iter()
            .map(|row| {
                Ok(Claimed {
                    place: place(row)?,
                    epoch: row.try_get(2)?,
                    next_offset: row.try_get(3)?,
                    topic_id: row.try_get(4)?,
                })
            })
            .collect()
    }

    /// Moves all positions; false when one of them is not where it should be, or not ours.
    pub(super) async fn advance(
        &self,
        tx: &Transaction<'_>,
        moves: &[Move],
    ) -> Result<bool, postgres::Error> {
        let topics: Vec<&str> = moves.iter().map(|m| &*m.place.topic).collect();
        let partitions: Vec<i32> = moves.iter().map(|m| m.place.partition).collect();
        let epochs: Vec<i64> = moves.iter().map(|m| m.epoch).collect();
        let first: Vec<i64> = moves.iter().map(|m| m.first).collect();
        let next: Vec<i64> = moves.iter().map(|m| m.next).collect();
        let unchecked = planted("consumer-ignores-position");
        let params: [&(dyn ToSql + Sync); 7] = [
            &self.consumer,
            &topics,
            &partitions,
            &epochs,
            &first,
            &next,
            &unchecked,
        ];
        let moved = tx.execute(MOVE, &params).await?;
        Ok(usize::try_from(moved) == Ok(moves.len()))
    }

    /// Where the positions of these partitions are, and under which epochs.
    pub(super) async fn positions(
        &self,
        moves: &[Move],
    ) -> Result<Vec<(TopicPartition, i64, i64)>, postgres::Error> {
        let places: Vec<_> = moves.iter().map(|m| m.place.clone()).collect();
        let (topics, partitions) = columns(&places);
        let connection = self.pool.get().await?;
        let rows = connection
            .query(POSITIONS, &[&self.consumer, &topics, &partitions])
            .await?;
        rows.iter()
            .map(|row| Ok((place(row)?, row.try_get(2)?, row.try_get(3)?)))
            .collect()
    }

    /// What is stored about the batch's subjects.
    pub(super) async fn stored(
        &self,
        tx: &Transaction<'_>,
        batch: &[Delivery],
    ) -> Result<Stored, postgres::Error> {
        let subjects: BTreeMap<(&str, &str), ()> = batch
            .iter()
            .map(|delivery| ((&*delivery.topic, delivery.envelope.subject.as_str()), ()))
            .collect();
        let (topics, names): (Vec<&str>, Vec<&str>) = subjects.keys().copied().unzip();
        let rows = tx.query(STORED, &[&self.consumer, &topics, &names]).await?;
        let mut stored = Stored::default();
        for row in &rows {
            let key = match (row.try_get(3)?, row.try_get(4)?) {
                (false, _) => Key::Flowing,
                (true, false) => Key::Waiting,
                (true, true) => Key::Parked,
            };
            let known = Known {
                version: row.try_get(2)?,
                key,
            };
            stored
                .known
                .insert((row.try_get(0)?, row.try_get(1)?), known);
        }
        if stored.known.values().any(|known| known.key == Key::Waiting) {
            stored.held = self.held(tx, &stored.known).await?;
        }
        Ok(stored)
    }

    async fn held(
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

    /// Writes the plan down, but for what the handler does.
    pub(super) async fn write(
        &self,
        tx: &Transaction<'_>,
        plan: &Plan,
        batch: &[Item<Received>],
        gap_wait: Duration,
    ) -> Result<(), postgres::Error> {
        self.applied(tx, plan).await?;
        if !plan.parked.is_empty() {
            self.wait(tx, plan, gap_wait).await?;
            self.park(tx, plan, batch).await?;
        }
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

    async fn applied(&self, tx: &Transaction<'_>, plan: &Plan) -> Result<(), postgres::Error> {
        if plan.applied.is_empty() {
            return Ok(());
        }
        let (topics, subjects) = subject_columns(plan.applied.keys());
        let versions: Vec<i64> = plan.applied.values().map(|(version, _)| *version).collect();
        let ids: Vec<Uuid> = plan.applied.values().map(|(_, id)| *id).collect();
        let params: [&(dyn ToSql + Sync); 5] =
            [&self.consumer, &topics, &subjects, &versions, &ids];
        tx.execute(APPLIED, &params).await?;
        Ok(())
    }

    async fn wait(
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

    async fn park(
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

    /// How many records are parked, in all and of the subject that has most.
    pub(super) async fn parked_counts(
        &self,
        tx: &Transaction<'_>,
    ) -> Result<(i64, i64), postgres::Error> {
        let row = tx.query_one(PARKED_COUNTS, &[&self.consumer]).await?;
        Ok((row.try_get(0)?, row.try_get(1)?))
    }

    /// Counts an attempt, in a transaction of its own: it stays counted whatever happens next.
    pub(super) async fn count(&self, record: &Received) -> Result<Counted, postgres::Error> {
        let connection = self.pool.get().await?;
        let params: [&(dyn ToSql + Sync); 4] = [
            &self.consumer,
            &&*record.topic,
            &record.partition,
            &record.offset,
        ];
        let row = connection.query_one(COUNT, &params).await?;
        Ok(Counted {
            attempts: row.try_get(0)?,
            deaths: row.try_get(1)?,
            last_reason: row.try_get(2)?,
        })
    }

    /// The counted attempt failed, and the process lived to tell.
    pub(super) async fn failed(
        &self,
        record: &Received,
        reason: &str,
    ) -> Result<(), postgres::Error> {
        let connection = self.pool.get().await?;
        let params: [&(dyn ToSql + Sync); 5] = [
            &self.consumer,
            &&*record.topic,
            &record.partition,
            &record.offset,
            &reason,
        ];
        connection.execute(FAILED, &params).await?;
        Ok(())
    }

    /// The lone record is done with.
    pub(super) async fn forget_count(
        &self,
        tx: &Transaction<'_>,
        record: &Received,
    ) -> Result<(), postgres::Error> {
        let params: [&(dyn ToSql + Sync); 4] = [
            &self.consumer,
            &&*record.topic,
            &record.partition,
            &record.offset,
        ];
        tx.execute(FORGET_COUNT, &params).await?;
        Ok(())
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

/// A record's headers as they are stored and shown: text, one value a name.
pub(super) fn header_map(record: &Received) -> BTreeMap<String, String> {
    let text = |value: &Bytes| String::from_utf8_lossy(value).into_owned();
    record
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), text(value)))
        .collect()
}

fn place(row: &Row) -> Result<TopicPartition, postgres::Error> {
    Ok(TopicPartition::new(
        row.try_get::<_, &str>(0)?,
        row.try_get(1)?,
    ))
}

/// A record as it was parked: topic, subject, partition, offset, headers, payload.
fn record(row: &Row) -> Result<Received, postgres::Error> {
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

fn columns(places: &[TopicPartition]) -> (Vec<&str>, Vec<i32>) {
    places
        .iter()
        .map(|place| (&*place.topic, place.partition))
        .unzip()
}

fn subject_columns<'a>(
    subjects: impl Iterator<Item = &'a Subject>,
) -> (Vec<&'a str>, Vec<&'a str>) {
    subjects
        .map(|(topic, subject)| (topic.as_str(), subject.as_str()))
        .unzip()
}
