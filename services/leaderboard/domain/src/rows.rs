use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{Board, Fold, Map, Standing, Window};

/// One score of one board, for whoever checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The board.
    pub board: Board,
    /// The window.
    pub window: Window,
    /// The store; empty: the chain.
    pub store: Arc<str>,
    /// Who or what.
    pub member: Arc<str>,
    /// How they stand; a score of 0 is left out.
    pub standing: Standing,
}

/// How a row differs between two folds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Differs {
    /// The first alone has it.
    FirstOnly,
    /// The second alone has it.
    SecondOnly,
    /// Both have it, with other values.
    Changed,
}

/// A row that two folds do not agree on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    /// Which kind of row: `boards`, `revenue`, `trending`.
    pub table: &'static str,
    /// Its key.
    pub key: String,
    /// How.
    pub differs: Differs,
}

type Key = (Board, Window, Arc<str>, Arc<str>);

// === impl Fold ===

impl Fold {
    /// Every score that is not 0, of the windows that `wanted` names.
    pub fn rows(&self, wanted: impl Fn(Window) -> bool) -> impl Iterator<Item = Row> {
        let rankings = self
            .tables
            .rankings()
            .filter(move |(window, ..)| wanted(*window));
        rankings.flat_map(|(window, store, board, ranking)| {
            let all = ranking.ranked().chain(ranking.unranked());
            let row = move |(member, standing): (&Arc<str>, Standing)| Row {
                board,
                window,
                store: Arc::clone(store),
                member: Arc::clone(member),
                standing,
            };
            all.filter(|(_, standing)| standing.score != 0).map(row)
        })
    }

    /// How many rows there are.
    #[must_use]
    pub fn rows_count(&self) -> usize {
        self.tables
            .rankings()
            .map(|(.., ranking)| ranking.len())
            .sum::<usize>()
            + self.revenue.len()
    }

    /// The rows in which `other` differs: how many, and the first `limit` of them by key.
    #[must_use]
    pub fn differences(&self, other: &Self, limit: usize) -> (usize, Vec<Difference>) {
        let mut all = board_differences(self, other);
        all.extend(differences(
            "revenue",
            &self.revenue_rows(),
            &other.revenue_rows(),
        ));
        all.extend(differences(
            "trending",
            &self.trending_rows(),
            &other.trending_rows(),
        ));
        all.sort();
        let count = all.len();
        all.truncate(limit);
        (count, all)
    }

    fn revenue_rows(&self) -> BTreeMap<String, (i64, i64)> {
        let row =
            |(store, currency, minor, orders)| (format!("{store}/{currency}"), (minor, orders));
        self.revenue().map(row).collect()
    }

    fn trending_rows(&self) -> BTreeMap<String, (i64, i64)> {
        let counts = self.trending.counts();
        counts
            .map(|(bucket, store, product, units, reached)| {
                (
                    format!("{}/{store}/{product}", bucket.0),
                    (units, reached.as_micros()),
                )
            })
            .collect()
    }
}

fn board_differences(first: &Fold, second: &Fold) -> Vec<Difference> {
    let mut left: Map<Key, Standing> = first.rows(|_| true).map(keyed).collect();
    let mut all = Vec::new();
    for (key, standing) in second.rows(|_| true).map(keyed) {
        let differs = match left.remove(&key) {
            Some(other) if other == standing => continue,
            Some(_) => Differs::Changed,
            None => Differs::SecondOnly,
        };
        all.push(difference(&key, differs));
    }
    all.extend(left.keys().map(|key| difference(key, Differs::FirstOnly)));
    all
}

fn keyed(row: Row) -> (Key, Standing) {
    ((row.board, row.window, row.store, row.member), row.standing)
}

fn difference((board, window, store, member): &Key, differs: Differs) -> Difference {
    let starts = window
        .starts()
        .map_or_else(String::new, |day| day.to_string());
    let key = format!("{board}/{}/{starts}/{store}/{member}", window.name());
    Difference {
        table: "boards",
        key,
        differs,
    }
}

fn differences(
    table: &'static str,
    first: &BTreeMap<String, (i64, i64)>,
    second: &BTreeMap<String, (i64, i64)>,
) -> Vec<Difference> {
    let of_first = first
        .iter()
        .filter_map(|(key, value)| match second.get(key) {
            Some(other) if other == value => None,
            Some(_) => Some((key, Differs::Changed)),
            None => Some((key, Differs::FirstOnly)),
        });
    let of_second = second
        .keys()
        .filter(|key| !first.contains_key(*key))
        .map(|key| (key, Differs::SecondOnly));
    let all = of_first.chain(of_second);
    all.map(|(key, differs)| Difference {
        table,
        key: key.clone(),
        differs,
    })
    .collect()
}
