//! Boards as they are shown.

use std::sync::Arc;

use brewline_kernel::Timestamp;
use brewline_leaderboard_domain::{
    Board, Calendar, Day, Fold, Ranking, Standing, Suggestion, Window, Writer,
};
use brewline_proto::leaderboard::v1 as wire;
use tonic::Status;

use super::parse::{Asked, Selector, TRENDING, unknown_store};
use crate::app::live::{Offsets, State};

/// What is shown: the top, or those around a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Top(usize),
    Around(String, usize),
}

/// A board, ready to be counted off.
enum List<'a> {
    Ranked(Board, Option<&'a Ranking>),
    Trending(Vec<(Arc<str>, i64)>),
}

/// A part of a board, and the member that was asked for where it has a place.
pub(super) fn board(
    state: &State,
    selector: &Selector,
    part: &Part,
    (calendar, now): (&dyn Calendar, Timestamp),
) -> Result<(wire::Board, Option<wire::BoardRow>), Status> {
    let fold = &state.fold;
    let today = today(fold, &selector.store, calendar, now)?;
    let window = selector.window.of(selector.at.unwrap_or(today));
    let list = match selector.board {
        Asked::Ranked(board) => {
            List::Ranked(board, fold.tables().ranking(board, &selector.store, window))
        }
        Asked::Trending => List::Trending(fold.trending(&selector.store, now)),
    };
    let (from, limit, place) = match part {
        Part::Top(limit) => (0, *limit, None),
        Part::Around(member, around) => {
            let place = list.place(member);
            let from = place.unwrap_or(0).saturating_sub(*around);
            let end = place.map_or(0, |place| place + around + 1);
            (from, end.saturating_sub(from), place)
        }
    };
    let rows = list.rows(fold, from, limit);
    let member = place.and_then(|place| rows.get(place - from).cloned());
    let shown = shown(selector, window, (rows, list.len()), &state.offsets);
    Ok((shown, member))
}

fn shown(
    selector: &Selector,
    window: Window,
    rows: (Vec<wire::BoardRow>, usize),
    offsets: &Offsets,
) -> wire::Board {
    let (name, window) = match selector.board {
        Asked::Ranked(board) => (board.name(), Some(window)),
        Asked::Trending => (TRENDING, None),
    };
    wire::Board {
        board: name.to_owned(),
        window: window
            .map_or(wire::Window::Unspecified, window_to_wire)
            .into(),
        starts: window
            .and_then(Window::starts)
            .map_or_else(String::new, |day| day.to_string()),
        store_id: selector.store.clone(),
        rows: rows.0,
        members: i64::try_from(rows.1).unwrap_or(i64::MAX),
        position: position(offsets),
    }
}

/// The offsets consumed, as one text that means nothing to others.
pub(super) fn position(offsets: &Offsets) -> String {
    let mut out = Writer::default();
    for (place, next) in offsets {
        out.signed(i64::from(place.partition));
        out.signed(*next);
    }
    let mut text = "b1-".to_owned();
    for byte in out.bytes() {
        let digits = [byte >> 4, byte & 15].into_iter();
        text.extend(digits.filter_map(|digit| char::from_digit(digit.into(), 16)));
    }
    text
}

/// The local date at a store; in UTC for the chain.
fn today(fold: &Fold, store: &str, calendar: &dyn Calendar, now: Timestamp) -> Result<Day, Status> {
    if store.is_empty() {
        return Ok(calendar.local_day("UTC", now));
    }
    let known = fold.catalogue().store(store).ok_or_else(unknown_store)?;
    Ok(calendar.local_day(&known.time_zone, now))
}

pub(super) const fn window_to_wire(window: Window) -> wire::Window {
    match window {
        Window::Day(_) => wire::Window::Day,
        Window::Week(_) => wire::Window::Week,
        Window::Month(_) => wire::Window::Month,
        Window::All => wire::Window::All,
    }
}

/// Products and methods that a customer has not tried.
pub(super) fn recommendations(
    fold: &Fold,
    customer: &str,
    limit: usize,
) -> wire::RecommendResponse {
    let product = |suggestion: &Suggestion| wire::ProductSuggestion {
        product_id: suggestion.thing.to_string(),
        name: fold.product_name(&suggestion.thing),
        because: Some(because(suggestion, |likes| fold.product_name(likes))),
    };
    let methods = fold.suggest_methods(customer, limit);
    let method = |suggestion: &Suggestion| wire::MethodSuggestion {
        method: suggestion.thing.to_string(),
        because: Some(because(suggestion, str::to_owned)),
        r#try: fold
            .suggest_of_method(customer, &suggestion.thing)
            .as_ref()
            .map(product),
    };
    wire::RecommendResponse {
        methods: methods.iter().map(method).collect(),
        products: fold
            .suggest_products(customer, limit)
            .iter()
            .map(product)
            .collect(),
    }
}

fn because(suggestion: &Suggestion, name: impl Fn(&str) -> String) -> wire::Because {
    let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    match &suggestion.because {
        Some(reason) => wire::Because {
            likes: reason.likes.to_string(),
            likes_name: name(&reason.likes),
            both: count(reason.both),
            of: count(reason.of),
        },
        None => wire::Because {
            of: count(suggestion.fans),
            ..wire::Because::default()
        },
    }
}

// === impl List ===

impl List<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Ranked(_, ranking) => ranking.map_or(0, Ranking::len),
            Self::Trending(trends) => trends.len(),
        }
    }

    fn place(&self, member: &str) -> Option<usize> {
        match self {
            Self::Ranked(_, ranking) => ranking.and_then(|ranking| ranking.rank(member)),
            Self::Trending(trends) => trends
                .iter()
                .position(|(product, _)| product.as_ref() == member),
        }
    }

    fn rows(&self, fold: &Fold, from: usize, limit: usize) -> Vec<wire::BoardRow> {
        match self {
            Self::Ranked(board, ranking) => {
                let row = |(place, member, standing): (usize, &Arc<str>, Standing)| {
                    row(place, member, fold.name(*board, member), standing.score)
                };
                let pages = ranking.iter().flat_map(|ranking| ranking.page(from, limit));
                pages.map(row).collect()
            }
            Self::Trending(trends) => {
                let row = |(place, (product, score)): (usize, &(Arc<str>, i64))| {
                    row(place, product, fold.product_name(product), *score)
                };
                trends
                    .iter()
                    .enumerate()
                    .skip(from)
                    .take(limit)
                    .map(row)
                    .collect()
            }
        }
    }
}

fn row(place: usize, id: &str, name: String, score: i64) -> wire::BoardRow {
    wire::BoardRow {
        rank: i64::try_from(place.saturating_add(1)).unwrap_or(i64::MAX),
        id: id.to_owned(),
        name,
        score,
    }
}
