//! Requests, refused early where they break the rules.

use std::time::Duration;

use brewline_kernel::{CustomerId, StoreId};
use brewline_leaderboard_domain::{Board, Day, Window};
use brewline_proto::leaderboard::v1 as wire;
use brewline_proto::order::v1::ConsistencyToken;
use brewline_server::status::{invalid, rejection};
use tonic::{Code, Status};

/// The most tokens of one request.
const TOKENS_MAX: usize = 8;
/// The longest wait for them.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// The longest id of a member, in bytes.
const MEMBER_BYTES_MAX: usize = 800;
/// The board that has no windows.
pub(super) const TRENDING: &str = "trending";

/// Which board is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Selector {
    pub(super) board: Asked,
    pub(super) window: Kind,
    pub(super) at: Option<Day>,
    /// Empty: the chain.
    pub(super) store: String,
}

/// A board by units, or what trends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Ranked(Board),
    Trending,
}

/// A kind of window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Day,
    Week,
    Month,
    All,
}

// === impl Kind ===

impl Kind {
    /// The window of this kind that a date lies in.
    pub(super) const fn of(self, day: Day) -> Window {
        let [of_day, week, month, all] = Window::of(day);
        match self {
            Self::Day => of_day,
            Self::Week => week,
            Self::Month => month,
            Self::All => all,
        }
    }

    pub(super) const fn from_wire(window: wire::Window) -> Self {
        match window {
            wire::Window::Day => Self::Day,
            wire::Window::Week => Self::Week,
            wire::Window::Month | wire::Window::Unspecified => Self::Month,
            wire::Window::All => Self::All,
        }
    }
}

pub(super) fn selector(selector: Option<wire::BoardSelector>) -> Result<Selector, Status> {
    let selector = selector.unwrap_or_default();
    let window = Kind::from_wire(selector.window());
    let board = match selector.board.as_str() {
        TRENDING => Asked::Trending,
        other => Asked::Ranked(other.parse().map_err(|_| unknown_board())?),
    };
    let at = match selector.at.as_str() {
        "" => None,
        text => Some(
            text.parse::<Day>()
                .map_err(|error| field("at", error.to_string()))?,
        ),
    };
    if !selector.store_id.is_empty() && selector.store_id.parse::<StoreId>().is_err() {
        return Err(field("storeId", "is no store's id".to_owned()));
    }
    Ok(Selector {
        board,
        window,
        at,
        store: selector.store_id,
    })
}

pub(super) fn limit(limit: i32, max: i32) -> Result<usize, Status> {
    let fits = (1..=max).contains(&limit);
    let number = usize::try_from(limit).ok().filter(|_| fits);
    number.ok_or_else(|| field("limit", format!("1 to {max}")))
}

pub(super) fn around(around: i32) -> Result<usize, Status> {
    let fits = (0..=100).contains(&around);
    let number = usize::try_from(around).ok().filter(|_| fits);
    number.ok_or_else(|| field("around", "0 to 100".to_owned()))
}

pub(super) fn member(id: &str) -> Result<(), Status> {
    if (1..=MEMBER_BYTES_MAX).contains(&id.len()) {
        return Ok(());
    }
    Err(field("id", format!("has 1 to {MEMBER_BYTES_MAX} bytes")))
}

pub(super) fn customer(id: &str) -> Result<(), Status> {
    id.parse::<CustomerId>()
        .map(drop)
        .map_err(|error| field("customerId", error.to_string()))
}

pub(super) fn tokens(tokens: &[ConsistencyToken]) -> Result<(), Status> {
    if tokens.len() > TOKENS_MAX {
        return Err(field("tokens", format!("at most {TOKENS_MAX}")));
    }
    Ok(())
}

pub(super) fn wait(wait_ms: u32) -> Duration {
    Duration::from_millis(wait_ms.into()).min(WAIT_MAX)
}

pub(super) fn field(name: &str, detail: String) -> Status {
    invalid(vec![(name.to_owned(), detail)])
}

pub(super) fn unknown_store() -> Status {
    rejection(
        Code::NotFound,
        "unknown-store",
        "there is no store of this id",
    )
}

fn unknown_board() -> Status {
    let detail =
        "boards are `coffee-lovers`, `origins`, `methods`, `foods`, `products`, `trending`";
    rejection(Code::NotFound, "unknown-board", detail)
}
