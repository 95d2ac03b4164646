//! What people on call ask about checkouts: `brewline.operator.v1.SagaService`.

use brewline_kernel::OrderId;
use brewline_order_domain::checkout::Phase;
use brewline_postgres as postgres;
use brewline_proto::operator::v1 as wire;
use brewline_server::status;
use tonic::{Code, Request, Response, Status};
use wire::saga_service_server::SagaService;

use crate::Parts;
use crate::app::operate::{self, Asked};
use crate::outbound::event_codec::instant;
use crate::outbound::saga_store::{self, LogLine, Summary};

/// The most sagas in one answer.
const LIMIT_MAX: i32 = 1_000;
const LIMIT_DEFAULT: i32 = 100;
/// The longest name of who asks.
const ACTOR_CHARS_MAX: usize = 100;

/// Shows sagas, and moves those that stand aside.
#[derive(Debug, Clone)]
pub struct SagaOperator {
    parts: Parts,
}

// === impl SagaOperator ===

impl SagaOperator {
    /// Shows and moves what `parts` hold.
    #[must_use]
    pub const fn new(parts: Parts) -> Self {
        Self { parts }
    }

    async fn find(&self, order_id: OrderId) -> Result<(Summary, Vec<LogLine>), Status> {
        let connection = self.parts.pool.get().await.map_err(unavailable)?;
        let found = saga_store::get(&connection, order_id).await;
        found.map_err(unavailable)?.ok_or_else(unknown)
    }
}

#[tonic::async_trait]
impl SagaService for SagaOperator {
    async fn list_sagas(
        &self,
        request: Request<wire::ListSagasRequest>,
    ) -> Result<Response<wire::ListSagasResponse>, Status> {
        let wire::ListSagasRequest { state, limit } = request.into_inner();
        let phase = Phase::ALL.into_iter().find(|phase| phase.as_str() == state);
        if !state.is_empty() && phase.is_none() {
            let detail = format!("`{state}` is no state of a saga");
            return Err(status::invalid(vec![("state".to_owned(), detail)]));
        }
        let limit = if limit <= 0 {
            LIMIT_DEFAULT
        } else {
            limit.min(LIMIT_MAX)
        };
        let connection = self.parts.pool.get().await.map_err(unavailable)?;
        let sagas = saga_store::list(&connection, phase, i64::from(limit)).await;
        let sagas = sagas.map_err(unavailable)?.into_iter().map(saga).collect();
        Ok(Response::new(wire::ListSagasResponse { sagas }))
    }

    async fn get_saga(
        &self,
        request: Request<wire::GetSagaRequest>,
    ) -> Result<Response<wire::GetSagaResponse>, Status> {
        let order_id = parse(&request.into_inner().saga_id)?;
        let (summary, log) = self.find(order_id).await?;
        Ok(Response::new(wire::GetSagaResponse {
            saga: Some(saga(summary)),
            log: log.into_iter().map(entry).collect(),
        }))
    }

    async fn retry_saga(
        &self,
        request: Request<wire::RetrySagaRequest>,
    ) -> Result<Response<wire::RetrySagaResponse>, Status> {
        let request = request.into_inner();
        let order_id = parse(&request.saga_id)?;
        let asked = asked(&request.actor, request.dry_run)?;
        let done = operate::retry(&self.parts, order_id, asked).await;
        done.map_err(refused)?;
        let (summary, _) = self.find(order_id).await?;
        Ok(Response::new(wire::RetrySagaResponse {
            saga: Some(saga(summary)),
        }))
    }

    async fn compensate_saga(
        &self,
        request: Request<wire::CompensateSagaRequest>,
    ) -> Result<Response<wire::CompensateSagaResponse>, Status> {
        let request = request.into_inner();
        let order_id = parse(&request.saga_id)?;
        let asked = asked(&request.actor, request.dry_run)?;
        let done = operate::give_up(&self.parts, order_id, asked).await;
        done.map_err(refused)?;
        let (summary, _) = self.find(order_id).await?;
        Ok(Response::new(wire::CompensateSagaResponse {
            saga: Some(saga(summary)),
        }))
    }
}

fn parse(saga_id: &str) -> Result<OrderId, Status> {
    saga_id
        .parse()
        .map_err(|error: brewline_kernel::InvalidId| {
            status::invalid(vec![("sagaId".to_owned(), error.to_string())])
        })
}

/// The record of an action names somebody.
fn asked(actor: &str, dry_run: bool) -> Result<Asked<'_>, Status> {
    let chars = actor.chars().count();
    if !(1..=ACTOR_CHARS_MAX).contains(&chars) || actor.chars().any(char::is_control) {
        let detail = format!("who asks has 1 to {ACTOR_CHARS_MAX} characters");
        return Err(status::invalid(vec![("actor".to_owned(), detail)]));
    }
    Ok(Asked { actor, dry_run })
}

fn refused(error: operate::Error) -> Status {
    match error {
        operate::Error::NotFound => unknown(),
        operate::Error::Refused(detail) => {
            status::rejection(Code::FailedPrecondition, "saga-refused", detail)
        }
        operate::Error::Database(error) => unavailable(error),
        operate::Error::Stored(detail) => {
            tracing::error!(error = detail, "a saga could not be moved");
            Status::internal("the saga could not be moved; the log says why")
        }
    }
}

fn unknown() -> Status {
    status::rejection(Code::NotFound, "unknown-saga", "there is no such saga")
}

#[allow(clippy::needless_pass_by_value, reason = "it maps an error")]
fn unavailable(error: postgres::Error) -> Status {
    tracing::warn!(error = %error, "sagas could not be read");
    Status::unavailable("the database cannot be read at the moment")
}

fn saga(summary: Summary) -> wire::Saga {
    wire::Saga {
        saga_id: summary.order_id.to_string(),
        state: summary.state,
        step: summary.step,
        attempts: summary.attempts,
        due_at: summary.due_at.map(instant),
        started_at: Some(instant(summary.started_at)),
        updated_at: Some(instant(summary.updated_at)),
        parked_reason: summary.parked_reason.unwrap_or_default(),
    }
}

fn entry(line: LogLine) -> wire::SagaLogEntry {
    wire::SagaLogEntry {
        sequence: line.sequence,
        at: Some(instant(line.at)),
        from_state: line.from_state,
        to_state: line.to_state,
        trigger: line.trigger,
        actions: line.actions,
    }
}
