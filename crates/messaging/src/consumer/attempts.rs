//! The SQL that counts how often a lone record was tried.

use brewline_kafka::Received;
use brewline_postgres as postgres;
use brewline_postgres::{ToSql, Transaction};

use super::store::Store;

/// How often a lone record was counted.
#[derive(Clone, Debug)]
pub(super) struct Counted {
    pub(super) attempts: i32,
    pub(super) deaths: i32,
    pub(super) last_reason: Option<String>,
}

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

// === impl Store ===

impl Store {
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
}
