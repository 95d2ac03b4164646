//! Giving a record up: one transaction writes the dead letter, parks its subject, and leaves a copy
//! for the dead-letter topic in the outbox.

use std::collections::BTreeMap;

use brewline_kafka::Received;
use brewline_kernel::{Clock as _, Envelope, IdGenerator as _, system};
use brewline_postgres as postgres;
use brewline_postgres::{Json, ToSql, Transaction};
use uuid::Uuid;

use super::store::header_map;
use crate::outbox::NewRow;
use crate::{ConsumerSpec, Outbox, TopicKind};

/// Why a record is given up.
#[derive(Clone, Debug)]
pub(super) struct Verdict {
    pub(super) reason: String,
    pub(super) attempts: i32,
}

/// Writes dead letters of one consumer.
#[derive(Clone, Debug)]
pub(super) struct DeadLetters {
    pub(super) spec: ConsumerSpec,
    pub(super) outbox: Outbox,
}

// The same place in the log fails again after a redrive: its row is opened again.
const INSERT: &str = "
    insert into dead_letter (
        id, consumer, topic, partition, record_offset, subject, version, event_id, event_type,
        headers, payload, reason, attempts
    )
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
    on conflict (consumer, topic, partition, record_offset) do update
    set reason = excluded.reason, attempts = excluded.attempts, failed_at = now(),
        outcome = 'open', closed_at = null
    returning id";

const PARK: &str = "
    insert into parked_key as k (consumer, topic, subject, partition, dead_letter_id)
    values ($1, $2, $3, $4, $5)
    on conflict (consumer, topic, subject) do update
    set dead_letter_id = coalesce(k.dead_letter_id, excluded.dead_letter_id), waits_until = null";

// === impl DeadLetters ===

impl DeadLetters {
    /// Gives `record` up inside `tx`; the dead letter's id.
    pub(super) async fn bury(
        &self,
        tx: &Transaction<'_>,
        record: &Received,
        verdict: &Verdict,
    ) -> Result<Uuid, postgres::Error> {
        let envelope = envelope(record);
        let headers = header_map(record);
        let id = self
            .insert(tx, record, &envelope, &headers, verdict)
            .await?;
        let params: [&(dyn ToSql + Sync); 5] = [
            &self.spec.name,
            &&*record.topic,
            &envelope.subject,
            &record.partition,
            &id,
        ];
        tx.execute(PARK, &params).await?;
        self.publish(tx, record, (&envelope, headers), verdict, id)
            .await?;
        Ok(id)
    }

    async fn insert(
        &self,
        tx: &Transaction<'_>,
        record: &Received,
        envelope: &Envelope,
        headers: &BTreeMap<String, String>,
        verdict: &Verdict,
    ) -> Result<Uuid, postgres::Error> {
        // An id that could be read is told; one made up for a record without is not.
        let event_id = headers.get("ce_id").and_then(|id| Uuid::try_parse(id).ok());
        let params: [&(dyn ToSql + Sync); 13] = [
            &system::SystemIds.next(),
            &self.spec.name,
            &&*record.topic,
            &record.partition,
            &record.offset,
            &envelope.subject,
            &envelope.version,
            &event_id,
            &envelope.event_type,
            &Json(headers),
            &record.payload.as_deref(),
            &verdict.reason,
            &verdict.attempts,
        ];
        tx.query_one(INSERT, &params)
            .await?
            .try_get(0)
            .map_err(postgres::Error::from)
    }

    async fn publish(
        &self,
        tx: &Transaction<'_>,
        record: &Received,
        (envelope, mut headers): (&Envelope, BTreeMap<String, String>),
        verdict: &Verdict,
        id: Uuid,
    ) -> Result<(), postgres::Error> {
        for (name, value) in [
            ("brewline_consumer", self.spec.name.to_owned()),
            ("brewline_reason", verdict.reason.clone()),
            ("brewline_attempts", verdict.attempts.to_string()),
            ("brewline_topic", record.topic.to_string()),
            ("brewline_partition", record.partition.to_string()),
            ("brewline_offset", record.offset.to_string()),
            ("brewline_dead_letter_id", id.to_string()),
        ] {
            headers.insert(name.to_owned(), value);
        }
        // The relay writes its own; those of the record that failed would mislead.
        headers.retain(|name, _| !name.starts_with("brewline_relay_"));
        // Whole states may hold personal data, which must be forgotten by compaction alone: their
        // bodies stay in the table.
        let has_body = self.spec.kind(&record.topic) == Some(TopicKind::Events);
        let body = record.payload.as_deref().filter(|_| has_body);
        let row = NewRow {
            topic: &format!("{}.dead-letter", record.topic),
            aggregate_type: "dead-letter",
            envelope,
            payload: Some(body.unwrap_or_default()),
            headers: Some(&headers),
        };
        self.outbox.append_rows(tx, &[row]).await
    }
}

/// The record's envelope; for one that has none, what can be said about it.
fn envelope(record: &Received) -> Envelope {
    crate::cloud_events::envelope(record).unwrap_or_else(|_| {
        let id = system::SystemIds.next();
        Envelope {
            id,
            event_type: "unknown".to_owned(),
            source: "unknown".to_owned(),
            subject: String::from_utf8_lossy(&record.key).into_owned(),
            version: 0,
            time: system::SystemClock.now(),
            correlation_id: id,
            causation_id: None,
            traceparent: None,
        }
    })
}
