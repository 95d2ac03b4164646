//! `/v1/boards`: as JSON, or a board as a stream for who asks for one.

use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::response::sse::Event;
use brewline_proto::leaderboard::v1 as wire;
use serde::{Deserialize, Serialize};

use super::call::Call;
use super::consistency::Tokens;
use super::edge::Edge;
use super::fields::Faults;
use super::prefer::{PREFERENCE_APPLIED, Patience};
use super::principal::Principal;
use super::problem::Problem;
use super::query::Query;
use super::respond::Answer;
use super::sse::{self, LastEventId};
use super::status::nonsense;
use super::views::List;

/// What a problem calls the service when it is away.
pub(super) const LEADERBOARD: &str = "leaderboard";
/// Rows unless told.
const LIMIT: i32 = 10;
const LIMIT_MAX: i32 = 1_000;
/// A stream sends all its rows again and again.
const STREAM_LIMIT_MAX: i32 = 100;
/// Rows above and below a member unless told.
const AROUND: i32 = 5;
const AROUND_MAX: i32 = 100;
/// The longest id of a member, in characters: an origin's is its name.
const MEMBER_CHARS_MAX: usize = 200;

/// Which rows of which board.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Filter {
    window: Option<String>,
    at: Option<String>,
    store_id: Option<String>,
    limit: Option<i32>,
}

/// Which member of which board.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct MemberFilter {
    window: Option<String>,
    at: Option<String>,
    store_id: Option<String>,
    around: Option<i32>,
}

/// The texts of a path, decoded.
#[derive(Debug)]
pub(super) struct Names<T>(T);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BoardInfoView {
    board: String,
    title: String,
    unit: String,
    windowed: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BoardView {
    board: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<&'static str>,
    #[serde(skip_serializing_if = "String::is_empty")]
    starts: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    store_id: String,
    items: Vec<RowView>,
    members: i64,
    position: String,
}

#[derive(Serialize)]
struct RowView {
    rank: i64,
    id: String,
    name: String,
    score: i64,
}

#[derive(Serialize)]
struct MemberView {
    member: RowView,
    board: BoardView,
}

/// `GET /v1/boards`
pub(super) async fn list(
    State(edge): State<Edge>,
    _: Principal,
    call: Call,
) -> Result<Response, Problem> {
    let mut boards = edge.upstreams().boards.clone();
    let answer = call
        .to(LEADERBOARD)
        .read(wire::ListBoardsRequest {}, async |request| {
            boards.list_boards(request).await
        })
        .await?;
    let list: List<BoardInfoView> = List::whole(answer.boards);
    Ok(Answer::json(StatusCode::OK, &list)?.finish())
}

/// `GET /v1/boards/{board}`
#[allow(
    clippy::too_many_arguments,
    reason = "extractors are what the request consists of"
)]
pub(super) async fn get(
    State(edge): State<Edge>,
    _: Principal,
    call: Call,
    Names(board): Names<String>,
    Query(filter): Query<Filter>,
    Tokens(tokens): Tokens,
    patience: Patience,
    LastEventId(last): LastEventId,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let limit = filter.limit.unwrap_or(LIMIT);
    let selector = selector(board, (filter.window, filter.at, filter.store_id))?;
    let mut boards = edge.upstreams().boards.clone();
    if sse::is_wanted(&headers) {
        within("limit", limit, (1, STREAM_LIMIT_MAX))?;
        let after = last.unwrap_or_default();
        let message = wire::WatchBoardRequest {
            selector,
            limit,
            after,
        };
        let place = edge.streams().place()?;
        let call = call.to(LEADERBOARD);
        let states = call
            .stream(message, async |request| boards.watch_board(request).await)
            .await?;
        return Ok(sse::relay(place, states, show));
    }
    within("limit", limit, (1, LIMIT_MAX))?;
    let wait_ms = patience.wait_ms();
    let message = wire::GetBoardRequest {
        selector,
        limit,
        tokens,
        wait_ms,
    };
    let call = call.to(LEADERBOARD).waiting(patience.wait());
    let answer = call
        .read(message, async |request| boards.get_board(request).await)
        .await?;
    let board = answer.board.ok_or_else(|| nonsense("the board"))?;
    let answer = Answer::json(StatusCode::OK, &BoardView::from(board))?;
    Ok(answer.with(PREFERENCE_APPLIED, patience.applied()).finish())
}

/// `GET /v1/boards/{board}/members/{memberId}`
#[allow(
    clippy::too_many_arguments,
    reason = "extractors are what the request consists of"
)]
pub(super) async fn member(
    State(edge): State<Edge>,
    _: Principal,
    call: Call,
    Names((board, id)): Names<(String, String)>,
    Query(filter): Query<MemberFilter>,
    Tokens(tokens): Tokens,
    patience: Patience,
) -> Result<Response, Problem> {
    if id.chars().count() > MEMBER_CHARS_MAX {
        let detail = format!("at most {MEMBER_CHARS_MAX} characters");
        return Err(Problem::malformed("invalid-id", detail).at("memberId"));
    }
    let around = filter.around.unwrap_or(AROUND);
    within("around", around, (0, AROUND_MAX))?;
    let selector = selector(board, (filter.window, filter.at, filter.store_id))?;
    let wait_ms = patience.wait_ms();
    let message = wire::GetMemberRequest {
        selector,
        id,
        around,
        tokens,
        wait_ms,
    };
    let mut boards = edge.upstreams().boards.clone();
    let call = call.to(LEADERBOARD).waiting(patience.wait());
    let answer = call
        .read(message, async |request| boards.get_member(request).await)
        .await?;
    let view = MemberView {
        member: answer.member.ok_or_else(|| nonsense("the member"))?.into(),
        board: answer.board.ok_or_else(|| nonsense("the board"))?.into(),
    };
    let answer = Answer::json(StatusCode::OK, &view)?;
    Ok(answer.with(PREFERENCE_APPLIED, patience.applied()).finish())
}

type Asked = (Option<String>, Option<String>, Option<String>);

/// What is left out means: this month, of the whole chain.
fn selector(
    board: String,
    (window, at, store): Asked,
) -> Result<Option<wire::BoardSelector>, Problem> {
    let window = match window.as_deref() {
        Some("day") => wire::Window::Day,
        Some("week") => wire::Window::Week,
        Some("month") | None => wire::Window::Month,
        Some("all") => wire::Window::All,
        Some(_) => {
            let mut faults = Faults::default();
            faults.add("window", "`day`, `week`, `month` or `all`");
            faults.finish()?;
            wire::Window::Unspecified
        }
    };
    Ok(Some(wire::BoardSelector {
        board,
        window: window.into(),
        at: at.unwrap_or_default(),
        store_id: store.unwrap_or_default(),
    }))
}

fn within(field: &str, number: i32, (min, max): (i32, i32)) -> Result<(), Problem> {
    let mut faults = Faults::default();
    if !(min..=max).contains(&number) {
        faults.add(field, format!("{min} to {max}"));
    }
    faults.finish()
}

fn show(message: wire::WatchBoardResponse) -> Result<Event, Problem> {
    let board = message.board.ok_or_else(|| nonsense("the board"))?;
    let board = BoardView::from(board);
    sse::event(&board.position, None, &board)
}

impl<T, S> FromRequestParts<S> for Names<T>
where
    T: serde::de::DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let names = Path::<T>::from_request_parts(parts, state).await;
        names
            .map(|Path(names)| Self(names))
            .map_err(|error| Problem::malformed("invalid-id", error.body_text()))
    }
}

// === impl views ===

impl From<wire::BoardInfo> for BoardInfoView {
    fn from(info: wire::BoardInfo) -> Self {
        Self {
            board: info.board,
            title: info.title,
            unit: info.unit,
            windowed: info.windowed,
        }
    }
}

impl From<wire::Board> for BoardView {
    fn from(board: wire::Board) -> Self {
        let window = match board.window() {
            wire::Window::Unspecified => None,
            wire::Window::Day => Some("day"),
            wire::Window::Week => Some("week"),
            wire::Window::Month => Some("month"),
            wire::Window::All => Some("all"),
        };
        Self {
            window,
            board: board.board,
            starts: board.starts,
            store_id: board.store_id,
            items: board.rows.into_iter().map(RowView::from).collect(),
            members: board.members,
            position: board.position,
        }
    }
}

impl From<wire::BoardRow> for RowView {
    fn from(row: wire::BoardRow) -> Self {
        Self {
            rank: row.rank,
            id: row.id,
            name: row.name,
            score: row.score,
        }
    }
}
