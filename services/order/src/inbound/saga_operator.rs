//! What people on call ask about checkouts: `brewline.operator.v1.SagaService`.

use brewline_kernel::OrderId;
use brewline_order_domain::checkout::Phase;
use brewline_postgres::{self as postgres, Pool};
use brewline_proto::operator::v1 as wire;
use brewline_server::status;
use tonic::{Code, Request, Response, Status};
use wire::saga_service_server::SagaService;

use crate::outbound::event_codec::instant;
use crate::outbound::saga_store::{self, LogLine, Summary};

/// The most sagas in one answer.
const LIMIT_MAX: i32 = 1_000;
const LIMIT_DEFAULT: i32 = 100;

/// Shows sagas.
#[derive(Debug, Clone)]
pub struct SagaOperator {
    pool: Pool,
}

// === impl SagaOperator ===

impl SagaOperator {
    /// Reads through `pool`.
    #[must_use]
    pub const fn new(pool: Pool) -> Self {
        Self { pool }
    }
}

#[tonic::async_trait]
impl SagaService for SagaOperator {
    async fn list_sagas(
        &self,
        request: Request<wire::ListSagasRequest>,
    ) -> Result<Response<wire::ListSagasResponse>, Status> {
        let wire::ListSagasRequest { state, limit } = request.into_inner();
        if !state.is_empty() && !Phase::ALL.iter().any(|phase| phase.as_str() == state) {
            let detail = format!("`{state}` is no state of a saga");
            return Err(status::invalid(vec![("state".to_owned(), detail)]));
        }
        let limit = if limit <= 0 {
            LIMIT_DEFAULT
        } else {
            limit.min(LIMIT_MAX)
        };
        let state = (!state.is_empty()).then_some(state.as_str());
        let connection = self.pool.get().await.map_err(unavailable)?;
        let sagas = saga_store::list(&connection, state, i64::from(limit)).await;
        let sagas = sagas.map_err(unavailable)?.into_iter().map(saga).collect();
        Ok(Response::new(wire::ListSagasResponse { sagas }))
    }

    async fn get_saga(
        &self,
        request: Request<wire::GetSagaRequest>,
    ) -> Result<Response<wire::GetSagaResponse>, Status> {
        let order_id: OrderId =
            request
                .into_inner()
                .saga_id
                .parse()
                .map_err(|error: brewline_kernel::InvalidId| {
                    status::invalid(vec![("sagaId".to_owned(), error.to_string())])
                })?;
        let connection = self.pool.get().await.map_err(unavailable)?;
        let found = saga_store::get(&connection, order_id).await;
        let (summary, log) = found.map_err(unavailable)?.ok_or_else(|| {
            status::rejection(Code::NotFound, "unknown-saga", "there is no such saga")
        })?;
        Ok(Response::new(wire::GetSagaResponse {
            saga: Some(saga(summary)),
            log: log.into_iter().map(entry).collect(),
        }))
    }

    async fn retry_saga(
        &self,
        _: Request<wire::RetrySagaRequest>,
    ) -> Result<Response<wire::RetrySagaResponse>, Status> {
        Err(Status::unimplemented("sagas cannot be told to retry yet"))
    }

    async fn compensate_saga(
        &self,
        _: Request<wire::CompensateSagaRequest>,
    ) -> Result<Response<wire::CompensateSagaResponse>, Status> {
        Err(Status::unimplemented("sagas cannot be given up yet"))
    }
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
