//! The views of a service, as operators see them.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use brewline_kafka as kafka;
use brewline_postgres as postgres;
use brewline_postgres::{Instant, Pool};
use brewline_proto::operator::v1 as pb;
use brewline_proto::operator::v1::view_service_server::{ViewService, ViewServiceServer};
use futures_util::{Stream, stream};
use tokio::sync::mpsc;
use tonic::{Request, Response, Status};

use super::View;
use super::rebuild::{Error, Rebuild, Wish};
use crate::operator;

/// Progress that nobody has asked for yet.
const PROGRESS_QUEUED_MAX: usize = 16;
/// A comparison of whole tables may take so long.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(600);

const REBUILT: &str = "
    select max(at) from operator_action where action = 'rebuild' and subject = $1";

/// Lists views and makes them anew.
#[derive(Clone, Debug)]
pub struct Views {
    views: Arc<[View]>,
    pool: Pool,
    kafka: kafka::Config,
}

/// The service, to be mounted beside the others.
#[must_use]
pub fn service(
    views: Vec<View>,
    postgres: &postgres::Config,
    kafka: &kafka::Config,
) -> ViewServiceServer<Views> {
    ViewServiceServer::new(Views::new(views, postgres, kafka))
}

type Answers = Pin<Box<dyn Stream<Item = Result<pb::RebuildViewResponse, Status>> + Send>>;

// === impl Views ===

impl Views {
    /// These views, in the database of `postgres`, made from the log at `kafka`. Its connections are its
    /// own: a rebuild takes nothing away from those who serve.
    #[must_use]
    pub fn new(views: Vec<View>, postgres: &postgres::Config, kafka: &kafka::Config) -> Self {
        Self {
            views: views.into(),
            pool: Pool::new(&postgres.clone().answer_within(ANSWER_TIMEOUT)),
            kafka: kafka.clone(),
        }
    }

    async fn shown(&self, view: &View) -> Result<pb::View, postgres::Error> {
        let connection = self.pool.get().await?;
        let row = connection.query_one(REBUILT, &[&view.name]).await?;
        let rebuilt: Option<Instant> = row.try_get(0)?;
        let topics = view.consumer.topics.iter();
        Ok(pb::View {
            name: view.name.to_owned(),
            topics: topics.map(|topic| topic.name.to_owned()).collect(),
            tables: view
                .tables
                .iter()
                .map(|table| table.name.to_owned())
                .collect(),
            rebuilt_at: rebuilt.map(operator::instant),
        })
    }
}

#[tonic::async_trait]
impl ViewService for Views {
    async fn list_views(
        &self,
        _: Request<pb::ListViewsRequest>,
    ) -> Result<Response<pb::ListViewsResponse>, Status> {
        let mut views = Vec::new();
        for view in &*self.views {
            views.push(self.shown(view).await.map_err(operator::status)?);
        }
        Ok(Response::new(pb::ListViewsResponse { views }))
    }

    type RebuildViewStream = Answers;

    async fn rebuild_view(
        &self,
        request: Request<pb::RebuildViewRequest>,
    ) -> Result<Response<Answers>, Status> {
        let request = request.into_inner();
        let view = self.views.iter().find(|view| view.name == request.name);
        let view = view.cloned().ok_or_else(|| {
            let names: Vec<&str> = self.views.iter().map(|view| view.name).collect();
            let names = names.join(", ");
            Status::not_found(format!("there is no such view here; there are: {names}"))
        })?;
        let wish = Wish {
            actor: operator::actor(request.actor)?,
            accept_differences: request.accept_differences,
            dry_run: request.dry_run,
        };
        let (told, progress) = mpsc::channel(PROGRESS_QUEUED_MAX);
        let (pool, kafka) = (self.pool.clone(), self.kafka.clone());
        // The work is part of the answer: when the caller hangs up, it ends.
        let work = async move {
            let rebuild = Rebuild::begin(&view, &pool, &kafka, told).await;
            let result = rebuild.map_err(refused)?.run(&wish).await;
            result.map(last).map_err(refused)
        };
        Ok(Response::new(answers(progress, work)))
    }
}

/// Progress while the work goes on, then its end.
fn answers(
    progress: mpsc::Receiver<pb::RebuildViewResponse>,
    work: impl Future<Output = Result<pb::RebuildViewResponse, Status>> + Send + 'static,
) -> Answers {
    let progress = stream::unfold(progress, async |mut progress| {
        let next = progress.recv().await?;
        Some((Ok(next), progress))
    });
    Box::pin(stream::select(progress, stream::once(work)))
}

fn last(result: pb::RebuildResult) -> pb::RebuildViewResponse {
    pb::RebuildViewResponse {
        result: Some(result),
        ..pb::RebuildViewResponse::default()
    }
}

fn refused(error: Error) -> Status {
    match error {
        Error::Refused(why) => Status::failed_precondition(why),
        Error::Postgres(error) => operator::status(error),
        error @ (Error::Kafka(_) | Error::Applying(_)) => {
            tracing::warn!(%error, "a view was not rebuilt");
            Status::unavailable(format!("{error}; the live view goes on, ask again"))
        }
    }
}
