use std::collections::BTreeMap;
use std::sync::Arc;

use brewline_kernel::Timestamp;

use crate::bytes::{Malformed, Reader, Writer};
use crate::{Board, Day, Ranking, Standing, Window};

/// The rankings of every board, window and store. The store "" is the whole chain.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    newest: Option<Day>,
    windows: BTreeMap<Window, BTreeMap<Arc<str>, Group>>,
}

/// All boards of one window and store.
#[derive(Clone, Debug, Default)]
struct Group([Ranking; 5]);

/// A change to one score, whatever the window.
pub(crate) struct Change {
    pub(crate) board: Board,
    pub(crate) member: Arc<str>,
    pub(crate) units: i64,
}

// === impl Tables ===

impl Tables {
    /// Counts changes of a store's local date, in each window that is still kept, for the store and for the
    /// chain.
    pub(crate) fn count(
        &mut self,
        day: Day,
        stores: &[Arc<str>; 2],
        changes: &[Change],
        at: Timestamp,
    ) {
        self.advance(day);
        let newest = self.newest.unwrap_or(day);
        for window in Window::of(day)
            .into_iter()
            .filter(|window| window.is_kept(newest))
        {
            let scopes = self.windows.entry(window).or_default();
            for store in stores {
                let group = match scopes.get_mut(store) {
                    Some(group) => group,
                    None => scopes.entry(Arc::clone(store)).or_default(),
                };
                group.count(changes, at);
            }
        }
    }

    /// One board of a window and a store; none where nothing was ever counted.
    #[must_use]
    pub fn ranking(&self, board: Board, store: &str, window: Window) -> Option<&Ranking> {
        Some(self.windows.get(&window)?.get(store)?.get(board))
    }

    /// The newest local date anything was counted on.
    #[must_use]
    pub const fn newest(&self) -> Option<Day> {
        self.newest
    }

    /// Everything, in a fixed order.
    pub fn rankings(&self) -> impl Iterator<Item = (Window, &Arc<str>, Board, &Ranking)> {
        self.windows.iter().flat_map(|(window, scopes)| {
            scopes.iter().flat_map(move |(store, group)| {
                Board::ALL
                    .into_iter()
                    .map(move |board| (*window, store, board, group.get(board)))
            })
        })
    }

    fn advance(&mut self, day: Day) {
        if self.newest.is_none_or(|newest| newest < day) {
            self.newest = Some(day);
            self.windows.retain(|window, _| window.is_kept(day));
        }
    }

    pub(crate) fn texts(&self) -> impl Iterator<Item = &Arc<str>> {
        self.windows.values().flat_map(|scopes| {
            scopes.iter().flat_map(|(store, group)| {
                let members = group.0.iter().flat_map(Ranking::members);
                std::iter::once(store).chain(members)
            })
        })
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        out.signed(self.newest.map_or(i64::MIN, |day| i64::from(day.as_days())));
        out.count(self.windows.len());
        for (window, scopes) in &self.windows {
            write_window(*window, out);
            out.count(scopes.len());
            for (store, group) in scopes {
                out.known(store);
                group
                    .0
                    .iter()
                    .for_each(|ranking| write_ranking(ranking, out));
            }
        }
    }

    pub(crate) fn read(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let newest = i32::try_from(from.signed()?).ok().map(Day::from_days);
        let mut windows = BTreeMap::new();
        for _ in 0..from.count()? {
            let window = read_window(from)?;
            let mut scopes = BTreeMap::new();
            for _ in 0..from.count()? {
                let store = from.known()?;
                let mut group = Group::default();
                for ranking in &mut group.0 {
                    read_ranking(ranking, from)?;
                }
                scopes.insert(store, group);
            }
            windows.insert(window, scopes);
        }
        Ok(Self { newest, windows })
    }
}

// === impl Group ===

impl Group {
    const fn get(&self, board: Board) -> &Ranking {
        let [lovers, origins, methods, foods, products] = &self.0;
        match board {
            Board::CoffeeLovers => lovers,
            Board::Origins => origins,
            Board::Methods => methods,
            Board::Foods => foods,
            Board::Products => products,
        }
    }

    fn count(&mut self, changes: &[Change], at: Timestamp) {
        let [lovers, origins, methods, foods, products] = &mut self.0;
        for change in changes {
            let ranking = match change.board {
                Board::CoffeeLovers => &mut *lovers,
                Board::Origins => &mut *origins,
                Board::Methods => &mut *methods,
                Board::Foods => &mut *foods,
                Board::Products => &mut *products,
            };
            ranking.add(&change.member, change.units, at);
        }
    }
}

fn write_window(window: Window, out: &mut Writer) {
    let kind = match window {
        Window::Day(_) => 0,
        Window::Week(_) => 1,
        Window::Month(_) => 2,
        Window::All => 3,
    };
    out.unsigned(kind);
    out.signed(window.starts().map_or(0, |day| i64::from(day.as_days())));
}

fn read_window(from: &mut Reader<'_>) -> Result<Window, Malformed> {
    let kind = from.unsigned()?;
    let day = i32::try_from(from.signed()?).map_err(|_| Malformed("a date"))?;
    let day = Day::from_days(day);
    match kind {
        0 => Ok(Window::Day(day)),
        1 => Ok(Window::Week(day)),
        2 => Ok(Window::Month(day)),
        3 => Ok(Window::All),
        _ => Err(Malformed("a window")),
    }
}

/// By rank, so that reading it back appends; the rest by id.
fn write_ranking(ranking: &Ranking, out: &mut Writer) {
    let rest = ranking.unranked();
    out.count(ranking.len() + rest.len());
    for (member, standing) in ranking.ranked().chain(rest) {
        out.known(member);
        out.signed(standing.score);
        out.signed(standing.reached.as_micros());
    }
}

fn read_ranking(ranking: &mut Ranking, from: &mut Reader<'_>) -> Result<(), Malformed> {
    let members = from.count()?;
    ranking.reserve(members);
    for _ in 0..members {
        let member = from.known()?;
        let standing = Standing {
            score: from.signed()?,
            reached: Timestamp::from_micros(from.signed()?),
        };
        ranking.put(member, standing);
    }
    Ok(())
}
