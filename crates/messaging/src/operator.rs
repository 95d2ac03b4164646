//! What people on call ask each service: `brewline.operator.v1.OperatorService`, and `ViewService`.

pub(crate) mod action;
mod letters;

use std::sync::Arc;

use brewline_postgres as postgres;
use brewline_postgres::{Instant, Pool, Row};
use brewline_proto::operator::v1 as pb;
use brewline_proto::operator::v1::operator_service_server::{
    OperatorService, OperatorServiceServer,
};
use prost_types::Timestamp as PbTimestamp;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::consumer::desk::{Desk, Dropped, Outcome, Redriven, Refusal, Request as Wish};
use crate::{Monitor, Place};

/// The most dead letters in one answer.
const DEAD_LETTERS_MAX: i32 = 1_000;
/// The most actions in one answer.
const ACTIONS_MAX: i32 = 1_000;
/// The longest name of somebody who acts.
const ACTOR_CHARS_MAX: usize = 200;

const POSITIONS: &str = "
    select consumer, topic, partition, next_offset, epoch
    from consumer_position
    order by consumer, topic, partition";

const RELAYS: &str = "
    select s.slot, s.holder, s.epoch, s.watermark, u.unsent,
           coalesce((extract(epoch from clock_timestamp() - u.oldest) * 1000)::bigint, 0)
    from relay_slot s
    cross join lateral (
        select count(*) as unsent, min(o.occurred_at) as oldest
        from outbox o
        where o.slot = s.slot and o.position > s.watermark
    ) u
    order by s.slot";

const DEAD_LETTERS: &str = "
    select d.id, d.consumer, d.topic, d.partition, d.record_offset, d.subject, d.event_type, d.reason,
           d.attempts,
           (select count(*) from parked p
            where p.consumer = d.consumer and p.topic = d.topic and p.subject = d.subject),
           d.failed_at
    from dead_letter d
    where d.outcome = 'open'
    order by d.failed_at
    limit $1";

/// Answers from the service's own tables, and for the partitions owned here from the consumers.
#[derive(Clone, Debug)]
pub struct Operator {
    pool: Pool,
    monitor: Monitor,
}

/// The service, to be mounted beside the others.
#[must_use]
pub fn service(pool: Pool, monitor: Monitor) -> OperatorServiceServer<Operator> {
    OperatorServiceServer::new(Operator::new(pool, monitor))
}

// === impl Operator ===

impl Operator {
    /// Answers for the service whose database this is.
    #[must_use]
    pub const fn new(pool: Pool, monitor: Monitor) -> Self {
        Self { pool, monitor }
    }

    /// Every consumer's position in every partition, by consumer, topic, partition.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn positions(&self) -> Result<Vec<pb::Position>, postgres::Error> {
        let rows = self.pool.get().await?.query(POSITIONS, &[]).await?;
        let owned = self.monitor.owned();
        rows.iter()
            .map(|row| {
                let place = Place {
                    consumer: row.try_get(0)?,
                    topic: row.try_get(1)?,
                    partition: row.try_get(2)?,
                };
                let lag = owned.get(&place);
                Ok(pb::Position {
                    next_offset: row.try_get(3)?,
                    end_offset: lag.map_or(0, |lag| lag.end_offset),
                    behind_ms: lag.map_or(0, |lag| lag.behind_ms),
                    epoch: row.try_get(4)?,
                    owned: lag.is_some(),
                    group: place.consumer,
                    topic: place.topic,
                    partition: place.partition,
                })
            })
            .collect()
    }

    async fn relays(&self) -> Result<Vec<pb::Relay>, postgres::Error> {
        let rows = self.pool.get().await?.query(RELAYS, &[]).await?;
        rows.iter()
            .map(|row| {
                Ok(pb::Relay {
                    slot: i32::from(row.try_get::<_, i16>(0)?),
                    holder: row.try_get(1)?,
                    epoch: row.try_get(2)?,
                    watermark: row.try_get(3)?,
                    unsent: row.try_get(4)?,
                    oldest_unsent_ms: row.try_get(5)?,
                })
            })
            .collect()
    }

    /// The consumer whose dead letter this is.
    async fn desk(&self, letter: Uuid) -> Result<Arc<dyn Desk>, Status> {
        let consumer = letters::consumer(&self.pool, letter)
            .await
            .map_err(status)?;
        let consumer = consumer.ok_or_else(unknown)?;
        self.monitor.desk(&consumer).ok_or_else(|| {
            Status::unavailable(format!("{consumer} does not run in this process now"))
        })
    }

    async fn dead_letters(&self, limit: i64) -> Result<Vec<pb::DeadLetter>, postgres::Error> {
        let rows = self
            .pool
            .get()
            .await?
            .query(DEAD_LETTERS, &[&limit])
            .await?;
        rows.iter().map(dead_letter).collect()
    }
}

/// What is listed of a dead letter: the columns of [`DEAD_LETTERS`].
fn dead_letter(row: &Row) -> Result<pb::DeadLetter, postgres::Error> {
    Ok(pb::DeadLetter {
        id: row.try_get::<_, Uuid>(0)?.to_string(),
        consumer: row.try_get(1)?,
        topic: row.try_get(2)?,
        partition: row.try_get(3)?,
        offset: row.try_get(4)?,
        subject: row.try_get(5)?,
        event_type: row.try_get(6)?,
        reason: row.try_get(7)?,
        attempts: row.try_get(8)?,
        parked: row.try_get(9)?,
        at: Some(instant(row.try_get(10)?)),
    })
}

#[tonic::async_trait]
impl OperatorService for Operator {
    async fn list_positions(
        &self,
        _: Request<pb::ListPositionsRequest>,
    ) -> Result<Response<pb::ListPositionsResponse>, Status> {
        let positions = self.positions().await.map_err(status)?;
        Ok(Response::new(pb::ListPositionsResponse { positions }))
    }

    async fn list_relays(
        &self,
        _: Request<pb::ListRelaysRequest>,
    ) -> Result<Response<pb::ListRelaysResponse>, Status> {
        let relays = self.relays().await.map_err(status)?;
        Ok(Response::new(pb::ListRelaysResponse { relays }))
    }

    async fn list_dead_letters(
        &self,
        request: Request<pb::ListDeadLettersRequest>,
    ) -> Result<Response<pb::ListDeadLettersResponse>, Status> {
        let limit = request.into_inner().limit;
        if !(1..=DEAD_LETTERS_MAX).contains(&limit) {
            return Err(Status::invalid_argument("limit must be 1 to 1000"));
        }
        let dead_letters = self.dead_letters(i64::from(limit)).await.map_err(status)?;
        Ok(Response::new(pb::ListDeadLettersResponse { dead_letters }))
    }

    async fn get_dead_letter(
        &self,
        request: Request<pb::GetDeadLetterRequest>,
    ) -> Result<Response<pb::GetDeadLetterResponse>, Status> {
        let id = id(&request.into_inner().id)?;
        let letter = letters::get(&self.pool, id).await.map_err(status)?;
        letter.map(Response::new).ok_or_else(unknown)
    }

    async fn redrive_dead_letter(
        &self,
        request: Request<pb::RedriveDeadLetterRequest>,
    ) -> Result<Response<pb::RedriveDeadLetterResponse>, Status> {
        let pb::RedriveDeadLetterRequest { id, actor, dry_run } = request.into_inner();
        let wish = wish(&id, actor, dry_run)?;
        let desk = self.desk(wish.letter).await?;
        let redriven = desk.redrive(wish).await.map_err(refused)?;
        Ok(Response::new(told(redriven)))
    }

    async fn drop_dead_letter(
        &self,
        request: Request<pb::DropDeadLetterRequest>,
    ) -> Result<Response<pb::DropDeadLetterResponse>, Status> {
        let pb::DropDeadLetterRequest { id, actor, dry_run } = request.into_inner();
        let wish = wish(&id, actor, dry_run)?;
        let desk = self.desk(wish.letter).await?;
        let Dropped {
            dropped,
            applied,
            parked,
            action,
        } = desk.drop_letter(wish).await.map_err(refused)?;
        Ok(Response::new(pb::DropDeadLetterResponse {
            dropped,
            applied,
            parked,
            action_id: text(action),
        }))
    }

    async fn list_operator_actions(
        &self,
        request: Request<pb::ListOperatorActionsRequest>,
    ) -> Result<Response<pb::ListOperatorActionsResponse>, Status> {
        let limit = request.into_inner().limit;
        if !(1..=ACTIONS_MAX).contains(&limit) {
            return Err(Status::invalid_argument("limit must be 1 to 1000"));
        }
        let connection = self.pool.get().await.map_err(status)?;
        let actions = action::list(&connection, i64::from(limit)).await;
        let actions = actions.map_err(status)?;
        Ok(Response::new(pb::ListOperatorActionsResponse { actions }))
    }
}

fn wish(letter: &str, actor: String, dry_run: bool) -> Result<Wish, Status> {
    Ok(Wish {
        letter: id(letter)?,
        actor: self::actor(actor)?,
        dry_run,
    })
}

/// Who acts, when that is a name.
pub(crate) fn actor(name: String) -> Result<String, Status> {
    let chars = name.chars().count();
    if (1..=ACTOR_CHARS_MAX).contains(&chars) && !name.chars().any(char::is_control) {
        return Ok(name);
    }
    let said = format!("actor must have 1 to {ACTOR_CHARS_MAX} characters");
    Err(Status::invalid_argument(said))
}

fn id(text: &str) -> Result<Uuid, Status> {
    Uuid::try_parse(text).map_err(|_| Status::invalid_argument("id must be a UUID"))
}

fn told(redriven: Redriven) -> pb::RedriveDeadLetterResponse {
    let mut answer = pb::RedriveDeadLetterResponse {
        applied: redriven.applied,
        duplicates: redriven.duplicates,
        parked: redriven.parked,
        action_id: text(redriven.action),
        ..pb::RedriveDeadLetterResponse::default()
    };
    let result = match redriven.outcome {
        Outcome::Flows => pb::RedriveResult::Flows,
        Outcome::DoneBefore => pb::RedriveResult::DoneBefore,
        Outcome::Failed {
            open,
            reason,
            attempts,
        } => {
            (answer.open_id, answer.reason, answer.attempts) = (open.to_string(), reason, attempts);
            pb::RedriveResult::Failed
        }
    };
    answer.set_result(result);
    answer
}

fn text(id: Option<Uuid>) -> String {
    id.map_or_else(String::new, |id| id.to_string())
}

/// An instant on the wire.
pub(crate) fn instant(at: Instant) -> PbTimestamp {
    let at = brewline_kernel::Timestamp::from(at).as_micros();
    PbTimestamp {
        seconds: at.div_euclid(1_000_000),
        nanos: i32::try_from(at.rem_euclid(1_000_000) * 1_000).unwrap_or(0),
    }
}

fn unknown() -> Status {
    Status::not_found("there is no such dead letter")
}

fn refused(refusal: Refusal) -> Status {
    match refusal {
        Refusal::Unknown => unknown(),
        Refusal::Refused(why) => Status::failed_precondition(why),
        Refusal::Database(error) => status(error),
        Refusal::Handler(failure) => {
            tracing::warn!(error = %failure, "an operator's action met an outage");
            Status::unavailable("an outage came in between: nothing was done, ask again")
        }
    }
}

#[allow(
    clippy::needless_pass_by_value,
    reason = "it is what `map_err` hands over"
)]
pub(crate) fn status(error: postgres::Error) -> Status {
    tracing::warn!(%error, "the operator's question was not answered");
    if error.is_unavailable() {
        Status::unavailable("the database is not available")
    } else {
        Status::internal("the tables could not be read")
    }
}
