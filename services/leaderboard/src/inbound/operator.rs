//! What people on call ask: positions, and what was left out. There is no relay, no inbox and no group here;
//! what could not be read is not redriven but made whole by a rebuild.

use std::collections::BTreeSet;
use std::sync::Arc;

use brewline_kernel::system::SystemIds;
use brewline_kernel::{Clock, IdGenerator as _, Timestamp};
use brewline_leaderboard_domain::{Skipped, Topic};
use brewline_postgres as postgres;
use brewline_postgres::Pool;
use brewline_proto::operator::v1 as wire;
use brewline_server::status::rejection;
use serde_json::json;
use tonic::{Code, Request, Response, Status};
use uuid::Uuid;
use wire::operator_service_server::OperatorService;

use super::records::Topics;
use crate::CONSUMER;
use crate::app::heads::Heads;
use crate::app::live::Live;
use crate::outbound::actions::{self, instant};

/// The most rows of one answer.
const ROWS_MAX: i32 = 1_000;

/// Answers for this replica.
#[derive(Clone)]
pub struct OperatorGrpc {
    /// The boards.
    pub live: Arc<Live>,
    /// Where the log ends.
    pub heads: Heads,
    /// What boards are made of.
    pub topics: Topics,
    /// Where the audit is.
    pub pool: Pool,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

// === impl OperatorGrpc ===

impl OperatorGrpc {
    fn positions(&self) -> Vec<wire::Position> {
        let now = self.clock.now();
        let offsets = self.live.read().offsets.clone();
        let position =
            |(place, head): (brewline_kafka::TopicPartition, crate::app::heads::Head)| {
                let next = offsets.get(&place).copied().unwrap_or(0);
                let behind = if next >= head.end {
                    now
                } else {
                    head.held_until
                };
                wire::Position {
                    group: CONSUMER.to_owned(),
                    topic: place.topic.to_string(),
                    partition: place.partition,
                    next_offset: next,
                    end_offset: head.end.max(next),
                    behind_ms: i64::try_from(now.since(behind).as_millis()).unwrap_or(i64::MAX),
                    epoch: 0,
                    owned: true,
                }
            };
        self.heads.all().into_iter().map(position).collect()
    }

    fn letters(&self) -> Vec<wire::DeadLetter> {
        let state = self.live.read();
        let letter = |(topic, subject, skipped): (Topic, &Arc<str>, &Skipped)| {
            let name = match topic {
                Topic::Orders => &self.topics.orders,
                Topic::Catalogue => &self.topics.catalogue,
                Topic::Customers => &self.topics.customers,
            };
            wire::DeadLetter {
                id: letter_id(skipped.at, topic, skipped).to_string(),
                consumer: CONSUMER.to_owned(),
                topic: name.clone(),
                partition: skipped.partition,
                offset: skipped.offset,
                subject: subject.to_string(),
                event_type: skipped.event_type.clone(),
                reason: skipped.reason.clone(),
                attempts: 1,
                parked: skipped.followers,
                at: Some(instant(skipped.at)),
            }
        };
        let mut letters: Vec<_> = state.fold.skipped().map(letter).collect();
        letters.sort_by_key(|letter| {
            (
                letter.at.map(|at| (at.seconds, at.nanos)),
                letter.id.clone(),
            )
        });
        letters
    }
}

impl OperatorGrpc {
    fn letter(&self, id: &str) -> Result<wire::DeadLetter, Status> {
        let found = self.letters().into_iter().find(|letter| letter.id == id);
        found.ok_or_else(|| {
            rejection(
                Code::NotFound,
                "unknown-dead-letter",
                "there is no dead letter of this id",
            )
        })
    }

    async fn dropped(&self) -> Result<BTreeSet<String>, Status> {
        let dropped = actions::dropped(&self.pool).await;
        dropped.map_err(|error| unread(&error))
    }
}

impl std::fmt::Debug for OperatorGrpc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OperatorGrpc").finish_non_exhaustive()
    }
}

/// The same on every replica: from where the record is.
fn letter_id(at: Timestamp, topic: Topic, skipped: &Skipped) -> Uuid {
    let millis = u64::try_from(at.as_millis()).unwrap_or(0);
    let [a, b, c, d, e, f, g, h] = skipped.offset.to_be_bytes();
    let [.., partition] = skipped.partition.to_be_bytes();
    let topic = match topic {
        Topic::Orders => 1,
        Topic::Catalogue => 2,
        Topic::Customers => 3,
    };
    uuid::Builder::from_unix_timestamp_millis(millis, &[topic, partition, a, b, c, d, e, f, g, h])
        .into_uuid()
}

#[tonic::async_trait]
impl OperatorService for OperatorGrpc {
    async fn list_positions(
        &self,
        _: Request<wire::ListPositionsRequest>,
    ) -> Result<Response<wire::ListPositionsResponse>, Status> {
        let positions = self.positions();
        Ok(Response::new(wire::ListPositionsResponse { positions }))
    }

    async fn list_relays(
        &self,
        _: Request<wire::ListRelaysRequest>,
    ) -> Result<Response<wire::ListRelaysResponse>, Status> {
        Ok(Response::new(wire::ListRelaysResponse::default()))
    }

    async fn list_dead_letters(
        &self,
        request: Request<wire::ListDeadLettersRequest>,
    ) -> Result<Response<wire::ListDeadLettersResponse>, Status> {
        let limit = limit(request.into_inner().limit)?;
        let dropped = self.dropped().await?;
        let mut dead_letters = self.letters();
        dead_letters.retain(|letter| !dropped.contains(&letter.id));
        dead_letters.truncate(usize::try_from(limit).unwrap_or(0));
        Ok(Response::new(wire::ListDeadLettersResponse {
            dead_letters,
        }))
    }

    async fn get_dead_letter(
        &self,
        request: Request<wire::GetDeadLetterRequest>,
    ) -> Result<Response<wire::GetDeadLetterResponse>, Status> {
        let letter = self.letter(&request.into_inner().id)?;
        let is_dropped = self.dropped().await?.contains(&letter.id);
        let outcome = if is_dropped {
            wire::DeadLetterOutcome::Dropped
        } else {
            wire::DeadLetterOutcome::Open
        };
        Ok(Response::new(wire::GetDeadLetterResponse {
            dead_letter: Some(letter),
            outcome: outcome.into(),
            ..wire::GetDeadLetterResponse::default()
        }))
    }

    async fn redrive_dead_letter(
        &self,
        _: Request<wire::RedriveDeadLetterRequest>,
    ) -> Result<Response<wire::RedriveDeadLetterResponse>, Status> {
        Err(rebuild_instead())
    }

    /// Nothing waits behind it: what is dropped is only no longer told of. A rebuild reads the record again.
    async fn drop_dead_letter(
        &self,
        request: Request<wire::DropDeadLetterRequest>,
    ) -> Result<Response<wire::DropDeadLetterResponse>, Status> {
        let request = request.into_inner();
        let letter = self.letter(&request.id)?;
        let is_new = !self.dropped().await?.contains(&letter.id);
        let mut answer = wire::DropDeadLetterResponse {
            dropped: is_new,
            parked: letter.parked,
            ..wire::DropDeadLetterResponse::default()
        };
        if is_new && !request.dry_run {
            let id = SystemIds.next();
            let action = actions::Action {
                id,
                actor: &request.actor,
                action: "drop",
                subject: &letter.id,
                detail: json!({ "consumer": CONSUMER, "key": letter.subject }),
            };
            let done = actions::append(&self.pool, action).await;
            done.map_err(|error| unread(&error))?;
            answer.action_id = id.to_string();
        }
        Ok(Response::new(answer))
    }

    async fn list_operator_actions(
        &self,
        request: Request<wire::ListOperatorActionsRequest>,
    ) -> Result<Response<wire::ListOperatorActionsResponse>, Status> {
        let limit = limit(request.into_inner().limit)?;
        let actions = actions::list(&self.pool, limit.into())
            .await
            .map_err(|error| unread(&error))?;
        Ok(Response::new(wire::ListOperatorActionsResponse { actions }))
    }
}

fn limit(limit: i32) -> Result<i32, Status> {
    if (1..=ROWS_MAX).contains(&limit) {
        return Ok(limit);
    }
    Err(Status::invalid_argument("limit must be 1 to 1000"))
}

fn unread(error: &postgres::Error) -> Status {
    tracing::warn!(%error, "the audit could not be read or written");
    Status::unavailable("the database is not available")
}

fn rebuild_instead() -> Status {
    let detail = "boards are made of the whole log: once the program can read the record, \
                  `view rebuild boards` makes them whole";
    rejection(Code::FailedPrecondition, "rebuild-instead", detail)
}
