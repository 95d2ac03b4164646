//! The SQL of redriving and dropping.

use brewline_kafka::Received;
use brewline_postgres as postgres;
use brewline_postgres::{Row, ToSql, Transaction};
use uuid::Uuid;

use super::stage::{self, Held};
use crate::consumer::parking::record;
use crate::consumer::store::Store;

/// Where a dead letter's record is, and what became of it.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    pub(super) id: Uuid,
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) subject: String,
    pub(super) outcome: String,
}

const FIND: &str = "
    select id, topic, partition, subject, outcome from dead_letter
    where id = $1 and consumer = $2";

// A batch of this partition, on whatever replica, updates this row first: it waits, and then sees the
// subject as it will be.
const LOCK: &str = "
    select from consumer_position where consumer = $1 and topic = $2 and partition = $3 for update";

const LETTERS: &str = "
    select topic, subject, partition, record_offset, headers, payload, id from dead_letter
    where consumer = $1 and topic = $2 and subject = $3 and (outcome = 'open' or id = $4)
    for update";

const PARKED: &str = "
    select topic, subject, partition, record_offset, headers, payload from parked
    where consumer = $1 and topic = $2 and subject = $3";

const APPLIED: &str =
    "select version from inbox where consumer = $1 and topic = $2 and subject = $3";

const RELEASE: &str = "
    delete from parked
    where consumer = $1 and topic = $2 and subject = $3 and version = any ($4::bigint[])";

const CLOSE: &str = "
    update dead_letter set outcome = $2, closed_at = now() where id = any ($1::uuid[])";

const FAILED: &str = "
    update dead_letter
    set attempts = attempts + 1, reason = $2, failed_at = now(), outcome = 'open', closed_at = null
    where id = $1
    returning attempts";

const HOLD: &str = "
    insert into parked_key (consumer, topic, subject, partition, dead_letter_id)
    values ($1, $2, $3, $4, $5)
    on conflict (consumer, topic, subject) do update
    set dead_letter_id = excluded.dead_letter_id, waits_until = null";

const FLOW: &str = "delete from parked_key where consumer = $1 and topic = $2 and subject = $3";

// === impl Store ===

impl Store {
    pub(super) async fn find(&self, id: Uuid) -> Result<Option<Letter>, postgres::Error> {
        let connection = self.pool.get().await?;
        let row = connection.query_opt(FIND, &[&id, &self.consumer]).await?;
        row.as_ref().map(letter).transpose()
    }

    /// Keeps every batch of the letter's partition waiting until `tx` ends; the letter as it is then.
    pub(super) async fn lock(
        &self,
        tx: &Transaction<'_>,
        found: &Letter,
    ) -> Result<Option<Letter>, postgres::Error> {
        let place: [&(dyn ToSql + Sync); 3] = [&self.consumer, &found.topic, &found.partition];
        tx.execute(LOCK, &place).await?;
        let row = tx.query_opt(FIND, &[&found.id, &self.consumer]).await?;
        row.as_ref().map(letter).transpose()
    }

    /// What is held of the letter's subject, the letter itself included, in the order of handling.
    pub(super) async fn held_with(
        &self,
        tx: &Transaction<'_>,
        of: &Letter,
    ) -> Result<Vec<Held>, postgres::Error> {
        let subject: [&(dyn ToSql + Sync); 4] = [&self.consumer, &of.topic, &of.subject, &of.id];
        let letters = tx.query(LETTERS, &subject).await?;
        let subject: [&(dyn ToSql + Sync); 3] = [&self.consumer, &of.topic, &of.subject];
        let parked = tx.query(PARKED, &subject).await?;
        let mut held = Vec::new();
        for row in &letters {
            held.push(as_held(record(row)?, Some(row.try_get(6)?)));
        }
        for row in &parked {
            held.push(as_held(record(row)?, None));
        }
        stage::sort(&mut held);
        Ok(held)
    }

    /// The last version applied of the letter's subject.
    pub(super) async fn last_applied(
        &self,
        tx: &Transaction<'_>,
        of: &Letter,
    ) -> Result<Option<i64>, postgres::Error> {
        let subject: [&(dyn ToSql + Sync); 3] = [&self.consumer, &of.topic, &of.subject];
        let row = tx.query_opt(APPLIED, &subject).await?;
        row.map(|row| row.try_get(0).map_err(postgres::Error::from))
            .transpose()
    }

    /// Takes records out of table `parked`, and closes letters with `outcome`.
    pub(super) async fn done_with(
        &self,
        tx: &Transaction<'_>,
        of: &Letter,
        held: &[Held],
        outcome: &str,
    ) -> Result<(), postgres::Error> {
        let parked = held.iter().filter(|held| held.letter.is_none());
        let versions: Vec<i64> = parked.map(Held::version).collect();
        let letters: Vec<Uuid> = held.iter().filter_map(|held| held.letter).collect();
        let params: [&(dyn ToSql + Sync); 4] = [&self.consumer, &of.topic, &of.subject, &versions];
        tx.execute(RELEASE, &params).await?;
        tx.execute(CLOSE, &[&letters, &outcome]).await?;
        Ok(())
    }

    /// A letter failed again; says how often it was tried.
    pub(super) async fn failed_again(
        &self,
        tx: &Transaction<'_>,
        letter: Uuid,
        reason: &str,
    ) -> Result<i32, postgres::Error> {
        let row = tx.query_one(FAILED, &[&letter, &reason]).await?;
        Ok(row.try_get(0)?)
    }

    /// The subject stays parked, behind this letter.
    pub(super) async fn hold_behind(
        &self,
        tx: &Transaction<'_>,
        of: &Letter,
        letter: Uuid,
    ) -> Result<(), postgres::Error> {
        let params: [&(dyn ToSql + Sync); 5] = [
            &self.consumer,
            &of.topic,
            &of.subject,
            &of.partition,
            &letter,
        ];
        tx.execute(HOLD, &params).await?;
        Ok(())
    }

    /// The subject flows.
    pub(super) async fn let_flow(
        &self,
        tx: &Transaction<'_>,
        of: &Letter,
    ) -> Result<(), postgres::Error> {
        tx.execute(FLOW, &[&self.consumer, &of.topic, &of.subject])
            .await?;
        Ok(())
    }
}

fn letter(row: &Row) -> Result<Letter, postgres::Error> {
    Ok(Letter {
        id: row.try_get(0)?,
        topic: row.try_get(1)?,
        partition: row.try_get(2)?,
        subject: row.try_get(3)?,
        outcome: row.try_get(4)?,
    })
}

fn as_held(record: Received, letter: Option<Uuid>) -> Held {
    let delivery = crate::consumer::delivery(&record).map_err(|malformed| malformed.to_string());
    Held {
        letter,
        record,
        delivery,
    }
}
