//! Boards over gRPC: `brewline.leaderboard.v1.LeaderboardService`.

use std::sync::Arc;
use std::time::Duration;

use brewline_kernel::Clock;
use brewline_leaderboard_domain::{Calendar, Fold, Held, Row, Window};
use brewline_proto::leaderboard::v1 as wire;
use brewline_proto::order::v1::ConsistencyToken;
use brewline_server::status::rejection;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, Status};
use wire::leaderboard_service_server::LeaderboardService;

use super::parse::{self, Kind};
use super::records::Topics;
use super::show::{self, Part};
use super::watch;
use crate::app::await_versions;
use crate::app::live::{Live, Offsets};
use crate::outbound::actions::instant;

/// The most rows of one answer, and of one message of a stream.
const ROWS_MAX: i32 = 1_000;
const WATCHED_ROWS_MAX: i32 = 100;
/// The most suggestions of a kind.
const SUGGESTIONS_MAX: i32 = 20;
/// Streams open at once: each looks at its board five times a second.
const WATCHERS_MAX: usize = 2_000;
/// Scores in one message: well below gRPC's limit of 4 MiB.
const DUMPED_ROWS: usize = 2_000;

/// Serves the boards. Cheap to clone.
#[derive(Clone)]
pub struct BoardsGrpc {
    pub(super) live: Arc<Live>,
    pub(super) topics: Topics,
    pub(super) calendar: Arc<dyn Calendar + Send + Sync>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) watchers: Arc<Semaphore>,
    pub(super) shutdown: CancellationToken,
}

// === impl BoardsGrpc ===

impl BoardsGrpc {
    /// Serves these boards.
    #[must_use]
    pub fn new(
        live: Arc<Live>,
        topics: Topics,
        calendar: Arc<dyn Calendar + Send + Sync>,
        clock: Arc<dyn Clock>,
        shutdown: CancellationToken,
    ) -> Self {
        let watchers = Arc::new(Semaphore::new(WATCHERS_MAX));
        Self {
            live,
            topics,
            calendar,
            clock,
            watchers,
            shutdown,
        }
    }

    async fn hold(&self, tokens: &[ConsistencyToken], wait: Duration) -> Result<(), Status> {
        parse::tokens(tokens)?;
        if tokens.is_empty() {
            return Ok(());
        }
        let (reason, detail) =
            match await_versions::wait(&self.live, &self.topics, tokens, wait).await {
                Held::Yes => return Ok(()),
                Held::Behind => (
                    "view-behind",
                    "the boards do not hold yet what this read asks for",
                ),
                Held::Parked => (
                    "view-behind-parked",
                    "a record of what this read asks for could not be read",
                ),
            };
        Err(rejection(Code::Unavailable, reason, detail))
    }

    pub(super) fn board(
        &self,
        selector: &parse::Selector,
        part: &Part,
    ) -> Result<(wire::Board, Option<wire::BoardRow>), Status> {
        let calendar: &dyn Calendar = self.calendar.as_ref();
        let time = (calendar, self.clock.now());
        show::board(&self.live.read(), selector, part, time)
    }
}

impl std::fmt::Debug for BoardsGrpc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BoardsGrpc").finish_non_exhaustive()
    }
}

#[tonic::async_trait]
impl LeaderboardService for BoardsGrpc {
    async fn list_boards(
        &self,
        _: Request<wire::ListBoardsRequest>,
    ) -> Result<Response<wire::ListBoardsResponse>, Status> {
        let info = |(board, title, unit, windowed): (&str, &str, &str, bool)| wire::BoardInfo {
            board: board.to_owned(),
            title: title.to_owned(),
            unit: unit.to_owned(),
            windowed,
        };
        let boards = BOARDS.into_iter().map(info).collect();
        Ok(Response::new(wire::ListBoardsResponse { boards }))
    }

    async fn get_board(
        &self,
        request: Request<wire::GetBoardRequest>,
    ) -> Result<Response<wire::GetBoardResponse>, Status> {
        let request = request.into_inner();
        let selector = parse::selector(request.selector)?;
        let limit = parse::limit(request.limit, ROWS_MAX)?;
        self.hold(&request.tokens, parse::wait(request.wait_ms))
            .await?;
        let (board, _) = self.board(&selector, &Part::Top(limit))?;
        Ok(Response::new(wire::GetBoardResponse { board: Some(board) }))
    }

    async fn get_member(
        &self,
        request: Request<wire::GetMemberRequest>,
    ) -> Result<Response<wire::GetMemberResponse>, Status> {
        let request = request.into_inner();
        let selector = parse::selector(request.selector)?;
        parse::member(&request.id)?;
        let around = parse::around(request.around)?;
        self.hold(&request.tokens, parse::wait(request.wait_ms))
            .await?;
        let (board, member) = self.board(&selector, &Part::Around(request.id, around))?;
        if member.is_none() {
            let detail = "it has no score in this window";
            return Err(rejection(Code::NotFound, "not-on-board", detail));
        }
        Ok(Response::new(wire::GetMemberResponse {
            member,
            board: Some(board),
        }))
    }

    async fn recommend(
        &self,
        request: Request<wire::RecommendRequest>,
    ) -> Result<Response<wire::RecommendResponse>, Status> {
        let request = request.into_inner();
        parse::customer(&request.customer_id)?;
        let limit = parse::limit(request.limit, SUGGESTIONS_MAX)?;
        self.hold(&request.tokens, parse::wait(request.wait_ms))
            .await?;
        let state = self.live.read();
        Ok(Response::new(show::recommendations(
            &state.fold,
            &request.customer_id,
            limit,
        )))
    }

    type WatchBoardStream = BoxStream<'static, Result<wire::WatchBoardResponse, Status>>;

    async fn watch_board(
        &self,
        request: Request<wire::WatchBoardRequest>,
    ) -> Result<Response<Self::WatchBoardStream>, Status> {
        let request = request.into_inner();
        let selector = parse::selector(request.selector)?;
        let limit = parse::limit(request.limit, WATCHED_ROWS_MAX)?;
        // Refused now rather than in the stream.
        self.board(&selector, &Part::Top(1))?;
        let stream = watch::stream(self.clone(), selector, limit, request.after)?;
        Ok(Response::new(stream))
    }

    async fn get_revenue(
        &self,
        _: Request<wire::GetRevenueRequest>,
    ) -> Result<Response<wire::GetRevenueResponse>, Status> {
        let state = self.live.read();
        Ok(Response::new(wire::GetRevenueResponse {
            revenue: revenue(&state.fold),
            positions: positions(&state.offsets),
        }))
    }

    async fn get_digest(
        &self,
        _: Request<wire::GetDigestRequest>,
    ) -> Result<Response<wire::GetDigestResponse>, Status> {
        let live = Arc::clone(&self.live);
        let answer = blocking(move || {
            let (bytes, positions) = {
                let state = live.read();
                (state.fold.encode_shown(), positions(&state.offsets))
            };
            let digest = Sha256::digest(&bytes).to_vec();
            wire::GetDigestResponse { digest, positions }
        });
        Ok(Response::new(answer.await?))
    }

    type DumpBoardsStream = BoxStream<'static, Result<wire::DumpBoardsResponse, Status>>;

    async fn dump_boards(
        &self,
        request: Request<wire::DumpBoardsRequest>,
    ) -> Result<Response<Self::DumpBoardsStream>, Status> {
        let wanted: Vec<wire::Window> = request.into_inner().windows().collect();
        let live = Arc::clone(&self.live);
        let (first, rows) = blocking(move || dump(&live, &wanted)).await?;
        // Rows share their names with the boards; they become messages one by one, as the caller takes them.
        let messages = stream::unfold(rows.into_iter(), |mut rows| async move {
            let next: Vec<_> = rows.by_ref().take(DUMPED_ROWS).collect();
            let message = wire::DumpBoardsResponse {
                rows: next.iter().map(score_row).collect(),
                ..wire::DumpBoardsResponse::default()
            };
            (!next.is_empty()).then_some((message, rows))
        });
        let messages = stream::iter([first]).chain(messages);
        Ok(Response::new(messages.map(Ok).boxed()))
    }
}

const BOARDS: [(&str, &str, &str, bool); 6] = [
    ("coffee-lovers", "Coffee lovers", "drinks", true),
    ("origins", "Origins", "units", true),
    ("methods", "Methods", "units", true),
    ("foods", "Foods", "units", true),
    ("products", "Products", "units", true),
    (
        parse::TRENDING,
        "Trending now",
        "units, weighed by age",
        false,
    ),
];

/// Everything at one moment.
fn dump(live: &Live, wanted: &[wire::Window]) -> (wire::DumpBoardsResponse, Vec<Row>) {
    let kinds: Vec<wire::Window> = wanted.to_vec();
    let is_wanted = move |window: Window| {
        let kind = show::window_to_wire(window);
        kinds.is_empty()
            || kinds
                .iter()
                .any(|wanted| Kind::from_wire(*wanted) == Kind::from_wire(kind))
    };
    let state = live.read();
    let first = wire::DumpBoardsResponse {
        positions: positions(&state.offsets),
        revenue: revenue(&state.fold),
        rows: Vec::new(),
        trending: sold_lately(&state.fold),
    };
    (first, state.fold.rows(is_wanted).collect())
}

fn score_row(row: &Row) -> wire::ScoreRow {
    wire::ScoreRow {
        board: row.board.name().to_owned(),
        window: show::window_to_wire(row.window).into(),
        starts: row
            .window
            .starts()
            .map_or_else(String::new, |day| day.to_string()),
        store_id: row.store.to_string(),
        id: row.member.to_string(),
        score: row.standing.score,
        reached_at: Some(instant(row.standing.reached)),
    }
}

fn revenue(fold: &Fold) -> Vec<wire::Revenue> {
    let row = |(store, currency, minor, orders): (&Arc<str>, &Arc<str>, i64, i64)| wire::Revenue {
        store_id: store.to_string(),
        currency: currency.to_string(),
        amount_minor: minor,
        orders,
    };
    fold.revenue().map(row).collect()
}

fn sold_lately(fold: &Fold) -> Vec<wire::TrendingCount> {
    fold.sold_lately()
        .map(
            |(bucket, store, product, units, reached)| wire::TrendingCount {
                bucket: bucket.0,
                store_id: store.to_string(),
                product_id: product.to_string(),
                units,
                reached_at: Some(instant(reached)),
            },
        )
        .collect()
}

fn positions(offsets: &Offsets) -> Vec<wire::BoardsPosition> {
    let position = |(place, next): (&brewline_kafka::TopicPartition, &i64)| wire::BoardsPosition {
        topic: place.topic.to_string(),
        partition: place.partition,
        next_offset: *next,
    };
    offsets.iter().map(position).collect()
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Status> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Status::internal("internal error"))
}
