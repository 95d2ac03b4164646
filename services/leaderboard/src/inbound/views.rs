//! The view `boards`, for people on call: `brewline.operator.v1.ViewService`.

use std::sync::Arc;

use brewline_kernel::IdGenerator;
use brewline_leaderboard_domain::{Difference, Differs};
use brewline_postgres::Pool;
use brewline_proto::operator::v1 as wire;
use brewline_server::status::rejection;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use serde_json::json;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, watch};
use tonic::{Code, Request, Response, Status};
use wire::view_service_server::ViewService;

use crate::app::rebuild::{Error, Progress, Rebuilder, Rebuilt, Switch};
use crate::outbound::actions::{self, Action, instant};

/// The view.
pub const VIEW: &str = "boards";
/// What its audit rows say was done.
const REBUILD: &str = "view-rebuild";
/// How often the caller hears how far it is.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);
/// The longest name of who asks, in bytes.
const ACTOR_BYTES_MAX: usize = 255;

/// Rebuilds the boards.
#[derive(Clone)]
pub struct ViewsGrpc {
    rebuilder: Rebuilder,
    pool: Pool,
    ids: Arc<dyn IdGenerator>,
    /// One at a time: each needs the memory of the boards once more.
    place: Arc<Semaphore>,
}

type Answer = Result<wire::RebuildViewResponse, Status>;

// === impl ViewsGrpc ===

impl ViewsGrpc {
    /// Rebuilds with `rebuilder`, and writes down who asked.
    #[must_use]
    pub fn new(rebuilder: Rebuilder, pool: Pool, ids: Arc<dyn IdGenerator>) -> Self {
        Self {
            rebuilder,
            pool,
            ids,
            place: Arc::new(Semaphore::new(1)),
        }
    }

    async fn rebuild(self, request: wire::RebuildViewRequest, answers: mpsc::Sender<Answer>) {
        let switch = match (request.dry_run, request.accept_differences) {
            (true, _) => Switch::Never,
            (false, false) => Switch::IfSame,
            (false, true) => Switch::Always,
        };
        let (told, progress) = watch::channel(Progress::default());
        let rebuilder = self.rebuilder.clone();
        let handle = Handle::current();
        // On a thread of its own: it folds for seconds, and queries go on.
        let mut work =
            tokio::task::spawn_blocking(move || handle.block_on(rebuilder.run(switch, &told)));
        let ended = loop {
            tokio::select! {
                ended = &mut work => break ended,
                () = tokio::time::sleep(PROGRESS_EVERY) => {}
            }
            let Progress { records, known } = *progress.borrow();
            let far = wire::RebuildViewResponse {
                records,
                records_known: known,
                result: None,
            };
            // A caller that has gone changes nothing: what was begun is ended.
            drop(answers.try_send(Ok(far)));
        };
        let answer = match ended {
            Ok(Ok(rebuilt)) => self.audited(&request, rebuilt).await,
            Ok(Err(error)) => Err(refused(&error)),
            Err(_) => Err(Status::internal("internal error")),
        };
        drop(answers.send(answer).await);
    }

    async fn audited(&self, request: &wire::RebuildViewRequest, rebuilt: Rebuilt) -> Answer {
        let mut result = result(&rebuilt);
        if !request.dry_run {
            let id = self.ids.next();
            let detail = json!({
                "switched": rebuilt.switched,
                "differences": rebuilt.differences,
                "events": rebuilt.records,
                "acceptDifferences": request.accept_differences,
            });
            let action = Action {
                id,
                actor: &request.actor,
                action: REBUILD,
                subject: VIEW,
                detail,
            };
            match actions::append(&self.pool, action).await {
                Ok(()) => result.action_id = id.to_string(),
                Err(error) => tracing::error!(%error, "a rebuild has no audit row"),
            }
        }
        let records = rebuilt.records;
        Ok(wire::RebuildViewResponse {
            records,
            records_known: records,
            result: Some(result),
        })
    }
}

impl std::fmt::Debug for ViewsGrpc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ViewsGrpc").finish_non_exhaustive()
    }
}

#[tonic::async_trait]
impl ViewService for ViewsGrpc {
    async fn list_views(
        &self,
        _: Request<wire::ListViewsRequest>,
    ) -> Result<Response<wire::ListViewsResponse>, Status> {
        let last = actions::last(&self.pool, REBUILD, VIEW)
            .await
            .map_err(|error| {
                tracing::warn!(%error, "the audit was not read");
                Status::unavailable("the database is not available")
            })?;
        let names = self.rebuilder.topics.names();
        let view = wire::View {
            name: VIEW.to_owned(),
            topics: names.map(str::to_owned).to_vec(),
            tables: vec!["memory".to_owned()],
            rebuilt_at: last.map(instant),
        };
        Ok(Response::new(wire::ListViewsResponse { views: vec![view] }))
    }

    type RebuildViewStream = BoxStream<'static, Answer>;

    async fn rebuild_view(
        &self,
        request: Request<wire::RebuildViewRequest>,
    ) -> Result<Response<Self::RebuildViewStream>, Status> {
        let request = request.into_inner();
        if request.name != VIEW {
            return Err(rejection(
                Code::NotFound,
                "unknown-view",
                "this service keeps the view `boards`",
            ));
        }
        if !(1..=ACTOR_BYTES_MAX).contains(&request.actor.len()) {
            return Err(Status::invalid_argument("actor has 1 to 255 bytes"));
        }
        let place = Arc::clone(&self.place).try_acquire_owned().map_err(|_| {
            rejection(
                Code::Aborted,
                "rebuild-in-progress",
                "the boards are being made anew already",
            )
        })?;
        let (sender, receiver) = mpsc::channel(4);
        let work = self.clone().rebuild(request, sender);
        #[allow(
            clippy::disallowed_methods,
            reason = "it goes on when the caller has gone, and a shutdown may cut it off: nothing is lost"
        )]
        tokio::spawn(async move {
            work.await;
            drop(place);
        });
        let answers = stream::unfold(receiver, |mut receiver| async move {
            let answer = receiver.recv().await?;
            Some((answer, receiver))
        });
        Ok(Response::new(answers.boxed()))
    }
}

fn result(rebuilt: &Rebuilt) -> wire::RebuildResult {
    let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    wire::RebuildResult {
        switched: rebuilt.switched,
        differences: count(rebuilt.differences),
        first_differences: rebuilt.first.iter().map(difference).collect(),
        rows: count(rebuilt.rows),
        events: rebuilt.records,
        elapsed_ms: millis(rebuilt.elapsed),
        stopped_ms: millis(rebuilt.stopped),
        action_id: String::new(),
    }
}

fn difference(difference: &Difference) -> wire::ViewDifference {
    let kind = match difference.differs {
        Differs::FirstOnly => wire::ViewDifferenceKind::LiveOnly,
        Differs::SecondOnly => wire::ViewDifferenceKind::NewOnly,
        Differs::Changed => wire::ViewDifferenceKind::Changed,
    };
    wire::ViewDifference {
        table: difference.table.to_owned(),
        key: difference.key.clone(),
        kind: kind.into(),
    }
}

fn refused(error: &Error) -> Status {
    tracing::warn!(%error, "the boards were not made anew");
    rejection(Code::Unavailable, "rebuild-failed", error.to_string())
}
