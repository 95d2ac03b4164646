//! The consumer's SQL: positions and the inbox.

use std::collections::BTreeMap;
use std::time::Duration;

use brewline_failpoint::planted;
use brewline_kafka::{Received, TopicPartition};
use brewline_postgres as postgres;
use brewline_postgres::{Pool, Row, ToSql, Transaction};
use bytes::Bytes;
use uuid::Uuid;

use super::core::{Item, Move};
use super::plan::{Plan, Stored, Subject};
use crate::Delivery;
use crate::inbox::{Key, Known};

/// A consumer's rows.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pub(crate) pool: Pool,
    pub(crate) consumer: &'static str,
}

/// What a claim found.
#[derive(Clone, Debug)]
pub(super) struct Claimed {
    pub(super) place: TopicPartition,
    pub(super) epoch: i64,
    pub(super) next_offset: i64,
    pub(super) topic_id: String,
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

// The consumer's name comes as a column, too: as one value, it tempts the planner, while the table is
// still small, to read all that the consumer ever applied once for each subject asked for.
const STORED: &str = "
    select s.topic, s.subject, i.version, k.subject is not null, k.dead_letter_id is not null
    from unnest($1::text[], $2::text[], $3::text[]) as s(consumer, topic, subject)
    left join inbox i on (i.consumer, i.topic, i.subject) = (s.consumer, s.topic, s.subject)
    left join parked_key k on (k.consumer, k.topic, k.subject) = (s.consumer, s.topic, s.subject)";

// Plain inserts and updates: the batch holds its positions, so nobody else writes these rows, and an
// upsert would pay for a conflict that cannot be.
const APPLIED_FIRST: &str = "
    insert into inbox (consumer, topic, subject, version, event_id)
    select * from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::uuid[])";

const APPLIED_NEXT: &str = "
    update inbox i set version = a.version, event_id = a.event_id, updated_at = now()
    from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::uuid[])
        as a(consumer, topic, subject, version, event_id)
    where (i.consumer, i.topic, i.subject) = (a.consumer, a.topic, a.subject)";

// Rows that were pruned after they had been read.
const APPLIED_AGAIN: &str = "
    insert into inbox (consumer, topic, subject, version, event_id)
    select * from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::uuid[])
    on conflict (consumer, topic, subject) do nothing";

const STANDING: &str = "
    select (select count(*) from dead_letter where consumer = $1 and outcome = 'open'),
           (select count(*) from parked_key where consumer = $1)";

// === impl Store ===

impl Store {
    /// Dead letters that are open, and subjects that may not move on.
    pub(super) async fn standing(&self) -> Result<(i64, i64), postgres::Error> {
        let connection = self.pool.get().await?;
        let row = connection.query_one(STANDING, &[&self.consumer]).await?;
        Ok((row.try_get(0)?, row.try_get(1)?))
    }

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
    pub(crate) async fn stored(
        &self,
        tx: &Transaction<'_>,
        batch: &[Delivery],
    ) -> Result<Stored, postgres::Error> {
        let subjects: BTreeMap<(&str, &str), ()> = batch
            .iter()
            .map(|delivery| ((&*delivery.topic, delivery.envelope.subject.as_str()), ()))
            .collect();
        let (topics, names): (Vec<&str>, Vec<&str>) = subjects.keys().copied().unzip();
        let consumers = vec![self.consumer; names.len()];
        let rows = tx.query(STORED, &[&consumers, &topics, &names]).await?;
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

    /// Writes the plan down, but for what the handler does.
    pub(crate) async fn write(
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
        self.release(tx, plan).await
    }

    /// Notes in the inbox what was applied.
    pub(super) async fn applied(
        &self,
        tx: &Transaction<'_>,
        plan: &Plan,
    ) -> Result<(), postgres::Error> {
        let first = Columns::of(self.consumer, plan, false);
        let next = Columns::of(self.consumer, plan, true);
        futures_util::try_join!(first.insert(tx), next.update(tx))?;
        Ok(())
    }
}

/// Rows of the inbox, as arrays.
struct Columns<'a> {
    consumers: Vec<&'a str>,
    topics: Vec<&'a str>,
    subjects: Vec<&'a str>,
    versions: Vec<i64>,
    ids: Vec<Uuid>,
}

// === impl Columns ===

impl<'a> Columns<'a> {
    /// Of the subjects that had a row when the batch began, or of those that had none.
    fn of(consumer: &'a str, plan: &'a Plan, known: bool) -> Self {
        let of_these = || plan.applied.iter().filter(|(_, row)| row.known == known);
        let (topics, subjects) = subject_columns(of_these().map(|(subject, _)| subject));
        Self {
            consumers: vec![consumer; subjects.len()],
            topics,
            subjects,
            versions: of_these().map(|(_, row)| row.version).collect(),
            ids: of_these().map(|(_, row)| row.event_id).collect(),
        }
    }

    async fn insert(&self, tx: &Transaction<'_>) -> Result<(), postgres::Error> {
        if !self.subjects.is_empty() {
            tx.execute(APPLIED_FIRST, &self.params()).await?;
        }
        Ok(())
    }

    async fn update(&self, tx: &Transaction<'_>) -> Result<(), postgres::Error> {
        if self.subjects.is_empty() {
            return Ok(());
        }
        let updated = tx.execute(APPLIED_NEXT, &self.params()).await?;
        if usize::try_from(updated) != Ok(self.subjects.len()) {
            tx.execute(APPLIED_AGAIN, &self.params()).await?;
        }
        Ok(())
    }

    fn params(&self) -> [&(dyn ToSql + Sync); 5] {
        [
            &self.consumers,
            &self.topics,
            &self.subjects,
            &self.versions,
            &self.ids,
        ]
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

pub(super) fn place(row: &Row) -> Result<TopicPartition, postgres::Error> {
    Ok(TopicPartition::new(
        row.try_get::<_, &str>(0)?,
        row.try_get(1)?,
    ))
}

fn columns(places: &[TopicPartition]) -> (Vec<&str>, Vec<i32>) {
    places
        .iter()
        .map(|place| (&*place.topic, place.partition))
        .unzip()
}

pub(super) fn subject_columns<'a>(
    subjects: impl Iterator<Item = &'a Subject>,
) -> (Vec<&'a str>, Vec<&'a str>) {
    subjects
        .map(|(topic, subject)| (topic.as_str(), subject.as_str()))
        .unzip()
}
