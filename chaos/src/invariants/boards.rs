//! The boards, folded from the log once more: from the rules alone, by code that shares nothing with
//! the service that keeps them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use brewline_kernel::Timestamp;
use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::{evidence, offered};
use crate::STUCK_AFTER;
use crate::evidence::{BoardKey, Boards, Evidence, Fact, LogRecord, Sale, Score, Sold, SoldLately};
use crate::verdict::{Finding, Judge};

const ORDERS: &str = "brewline.order.events.v1";

/// What trends is counted in stretches of five minutes, and forgotten ten half-lives of two hours before
/// the newest.
const BUCKET_MICROS: i64 = 5 * 60 * 1_000_000;
const BUCKETS_KEPT: i64 = 10 * 24;

/// I13: every board, what trends and the revenue are what the log says, as far as the boards have read
/// it: compared key by key, then row by row.
pub(super) fn boards_are_the_log(all: &Evidence, mut judge: Judge) -> Finding {
    let kept = offered!(judge, all.boards, "boards");
    let log = evidence!(judge, all.log);
    read_on(all, log, kept, &mut judge);
    let mut folded = match fold(log, &kept.positions) {
        Ok(folded) => folded,
        Err(why) => return judge.unknown(why),
    };
    let today = jiff::Timestamp::from_microsecond(all.now.as_micros());
    let today = today.map_or(Date::MIN, |now| now.to_zoned(TimeZone::UTC).date());
    folded.scores.retain(|key, _| is_kept(key, today));
    keys(kept, &folded, today, &mut judge);
    for (key, rows) in &folded.scores {
        judge.subject();
        let nobody = BTreeMap::new();
        members(
            key,
            rows,
            kept.scores.get(key).unwrap_or(&nobody),
            &mut judge,
        );
    }
    lately(kept, &folded, &mut judge);
    revenue(kept, &folded, &mut judge);
    judge.finish()
}

/// Boards that agree with what they have read have to read on, too.
fn read_on(all: &Evidence, log: &[LogRecord], kept: &Boards, judge: &mut Judge) {
    let next = |partition: i32| {
        let place = (ORDERS.to_owned(), partition);
        kept.positions.get(&place).copied().unwrap_or(0)
    };
    let late = log.iter().find(|record| {
        record.topic == ORDERS
            && record.offset >= next(record.partition)
            && all.now.since(record.at) > STUCK_AFTER
    });
    if let Some(late) = late {
        let (partition, offset) = (late.partition, late.offset);
        judge.violation(
            None,
            format!("the boards have not read {ORDERS}/{partition}/{offset}"),
        );
    }
}

/// Windows that are long over are forgotten: a day's after two months, a week's after a year, a
/// month's after three; and those that are about to be are left alone.
fn is_kept(key: &BoardKey, today: Date) -> bool {
    let days = match key.window.as_str() {
        "day" => 58,
        "week" => 380,
        "month" => 1_000,
        _ => return true,
    };
    let starts: Option<Date> = key.starts.parse().ok();
    starts.is_none_or(|starts| starts >= today.saturating_sub(jiff::Span::new().days(days)))
}

fn keys(kept: &Boards, folded: &Boards, today: Date, judge: &mut Judge) {
    for key in folded.scores.keys() {
        if !kept.scores.contains_key(key) {
            judge.violation(None, format!("there is no board {}", named(key)));
        }
    }
    for (key, rows) in &kept.scores {
        let is_known = folded.scores.contains_key(key) || !is_kept(key, today);
        if !rows.is_empty() && !is_known {
            judge.violation(None, format!("the log knows no board {}", named(key)));
        }
    }
}

fn members(
    key: &BoardKey,
    folded: &BTreeMap<String, Score>,
    kept: &BTreeMap<String, Score>,
    judge: &mut Judge,
) {
    for (id, score) in folded {
        let found = kept.get(id);
        if found != Some(score) {
            let (board, told) = (named(key), found.map_or("is missing".to_owned(), told));
            judge.violation(
                None,
                format!(
                    "{board}: {id} {told}; the log says it {}",
                    self::told(score)
                ),
            );
        }
    }
    for (id, score) in kept.iter().filter(|(id, _)| !folded.contains_key(*id)) {
        let (board, told) = (named(key), told(score));
        judge.violation(
            None,
            format!("{board}: {id} {told}; the log knows nothing of it"),
        );
    }
}

/// What trends is a question of the time it is asked at; what it is weighed from is not.
fn lately(kept: &Boards, folded: &Boards, judge: &mut Judge) {
    let both: BTreeSet<_> = kept.lately.keys().chain(folded.lately.keys()).collect();
    for key in both {
        judge.subject();
        let said = |boards: &Boards| boards.lately.get(key).map_or("is missing".to_owned(), told);
        let (has, wanted) = (said(kept), said(folded));
        if has != wanted {
            let (product, bucket) = (&key.product, key.bucket);
            let store = placed(&key.store);
            judge.violation(
                None,
                format!(
                    "what trends: {product} at {store} in bucket {bucket} {has}; in the log it {wanted}"
                ),
            );
        }
    }
}

fn revenue(kept: &Boards, folded: &Boards, judge: &mut Judge) {
    let both: BTreeSet<_> = kept.revenue.keys().chain(folded.revenue.keys()).collect();
    for key in both {
        judge.subject();
        let sum = |boards: &Boards| boards.revenue.get(key).copied().unwrap_or(0);
        let (has, wanted) = (sum(kept), sum(folded));
        if has != wanted {
            let (store, currency) = key;
            judge.violation(
                None,
                format!(
                    "the revenue of {store} is {has} {currency} on the boards, {wanted} in the log"
                ),
            );
        }
    }
}

fn named(key: &BoardKey) -> String {
    let store = placed(&key.store);
    format!("{} of {store}, {} {}", key.board, key.window, key.starts)
}

const fn placed(store: &str) -> &str {
    if store.is_empty() {
        "all stores"
    } else {
        store
    }
}

fn told(score: &Score) -> String {
    format!("has {} since {}", score.units, score.reached.as_micros())
}

/// What the boards must hold once they have read the log up to `positions`.
pub(super) fn fold(
    log: &[LogRecord],
    positions: &BTreeMap<(String, i32), i64>,
) -> Result<Boards, String> {
    let zones = zones(log)?;
    let mut counted = Counted::default();
    let mut seen: HashSet<(&str, i64)> = HashSet::new();
    for record in log.iter().filter(|record| record.topic == ORDERS) {
        let read = next_of(positions, record.partition);
        if record.offset >= read || !seen.insert((&record.subject, record.version)) {
            continue;
        }
        match record.fact.as_deref() {
            Some(Fact::Confirmed(sale)) => counted.count(sale, 1, record.happened, &zones)?,
            Some(Fact::Cancelled { sale, .. }) => {
                counted.count(sale, -1, record.happened, &zones)?;
            }
            _ => {}
        }
    }
    Ok(counted.boards())
}

fn next_of(positions: &BTreeMap<(String, i32), i64>, partition: i32) -> i64 {
    let found = positions.iter();
    let mut found = found.filter(|((topic, of), _)| topic == ORDERS && *of == partition);
    found.next().map_or(0, |(_, next)| *next)
}

/// A board, its store, its window and the window's first day: all borrowed, for there are many.
type Key<'a> = (&'static str, &'a str, &'static str, Option<Date>);

/// Boards while they are counted.
#[derive(Debug, Default)]
struct Counted<'a> {
    scores: HashMap<Key<'a>, HashMap<&'a str, Score>>,
    /// By bucket, store and product.
    lately: BTreeMap<(i64, &'a str, &'a str), Score>,
    revenue: BTreeMap<(&'a str, &'a str), i64>,
}

// === impl Counted ===

impl<'a> Counted<'a> {
    /// Counts a sale at the instant it was confirmed, or takes exactly that back.
    fn count(
        &mut self,
        sale: &'a Sale,
        sign: i64,
        happened: Timestamp,
        zones: &BTreeMap<&str, TimeZone>,
    ) -> Result<(), String> {
        let Some(confirmed_at) = sale.confirmed_at else {
            return Ok(());
        };
        let zone = zones.get(sale.store.as_str());
        let zone = zone.ok_or_else(|| format!("the log knows no store {}", sale.store))?;
        let windows = windows(confirmed_at, zone)?;
        *self
            .revenue
            .entry((&sale.store, &sale.currency))
            .or_default() += sign * sale.total_minor;
        let bucket = confirmed_at.as_micros().div_euclid(BUCKET_MICROS);
        for line in &sale.lines {
            for store in ["", sale.store.as_str()] {
                let place = (bucket, store, line.product.as_str());
                let score = self.lately.entry(place).or_default();
                score.units += sign * line.quantity;
                score.reached = score.reached.max(happened);
            }
            for (board, member) in memberships(sale, line) {
                for (window, starts) in windows {
                    for store in ["", sale.store.as_str()] {
                        let rows = self
                            .scores
                            .entry((board, store, window, starts))
                            .or_default();
                        let score = rows.entry(member).or_default();
                        score.units += sign * line.quantity;
                        score.reached = score.reached.max(happened);
                    }
                }
            }
        }
        Ok(())
    }

    /// The newest buckets with units sold.
    fn sold_lately(&self) -> BTreeMap<SoldLately, Score> {
        let newest = self.lately.keys().map(|(bucket, ..)| *bucket).max();
        let from = newest.map_or(0, |newest| newest - BUCKETS_KEPT + 1);
        let kept = self.lately.range((from, "", "")..);
        let sold = kept.filter(|(_, score)| score.units != 0);
        sold.map(|((bucket, store, product), score)| {
            let key = SoldLately {
                bucket: *bucket,
                store: (*store).to_owned(),
                product: (*product).to_owned(),
            };
            (key, *score)
        })
        .collect()
    }

    /// A board on which nobody has a score is no board.
    fn boards(self) -> Boards {
        let mut boards = Boards {
            lately: self.sold_lately(),
            ..Boards::default()
        };
        for ((board, store, window, starts), rows) in self.scores {
            let rows = rows.into_iter().filter(|(_, score)| score.units != 0);
            let rows: BTreeMap<String, Score> = rows
                .map(|(member, score)| (member.to_owned(), score))
                .collect();
            if !rows.is_empty() {
                let key = BoardKey {
                    board: board.to_owned(),
                    store: store.to_owned(),
                    window: window.to_owned(),
                    starts: starts.map_or_else(String::new, |date| date.to_string()),
                };
                boards.scores.insert(key, rows);
            }
        }
        let revenue = self.revenue.into_iter().filter(|(_, minor)| *minor != 0);
        boards.revenue = revenue
            .map(|((store, currency), minor)| ((store.to_owned(), currency.to_owned()), minor))
            .collect();
        boards
    }
}

/// The time zone of every store.
fn zones(log: &[LogRecord]) -> Result<BTreeMap<&str, TimeZone>, String> {
    let mut zones = BTreeMap::new();
    for record in log {
        if let Some(Fact::Store { id, time_zone }) = record.fact.as_deref() {
            let zone = TimeZone::get(time_zone).map_err(|why| format!("store {id}: {why}"))?;
            zones.insert(id.as_str(), zone);
        }
    }
    Ok(zones)
}

/// The boards that a line counts on, and as whom.
fn memberships<'a>(sale: &'a Sale, line: &'a Sold) -> Vec<(&'static str, &'a str)> {
    let mut all = vec![("products", line.product.as_str())];
    if line.drink {
        all.push(("coffee-lovers", &sale.customer));
    } else {
        all.push(("foods", &line.product));
    }
    if !line.origin.is_empty() {
        all.push(("origins", &line.origin));
    }
    if !line.method.is_empty() {
        all.push(("methods", &line.method));
    }
    all
}

/// The windows that an instant falls into, by the store's own calendar; weeks are those of ISO 8601.
fn windows(at: Timestamp, zone: &TimeZone) -> Result<[(&'static str, Option<Date>); 4], String> {
    let instant = jiff::Timestamp::from_microsecond(at.as_micros());
    let instant = instant.map_err(|why| format!("instant {}: {why}", at.as_micros()))?;
    let date: Date = zone.to_datetime(instant).date();
    let behind = i64::from(date.weekday().to_monday_zero_offset());
    let monday = date.saturating_sub(behind.days());
    Ok([
        ("day", Some(date)),
        ("week", Some(monday)),
        ("month", Some(date.first_of_month())),
        ("all", None),
    ])
}

#[cfg(test)]
mod tests {
    use super::super::sample::{self, CATALOGUE, SOLD_AT, append, record, sale};
    use super::*;

    /// One order sold, and boards that are right about it.
    fn evidence() -> Evidence {
        let mut all = sample::evidence();
        let positions = [ORDERS, CATALOGUE].map(|topic| ((topic.to_owned(), 0), 100));
        all.boards = Some(fold(all.log.as_ref().unwrap(), &positions.clone().into()));
        let boards = all.boards.as_mut().unwrap().as_mut().unwrap();
        boards.positions = positions.into();
        all
    }

    fn boards(all: &mut Evidence) -> &mut Boards {
        all.boards.as_mut().unwrap().as_mut().unwrap()
    }

    fn key(board: &str, store: &str, window: &str, starts: &str) -> BoardKey {
        let [board, store, window, starts] = [board, store, window, starts].map(str::to_owned);
        BoardKey {
            board,
            store,
            window,
            starts,
        }
    }

    fn damaged(told: &str, damage: impl FnOnce(&mut Evidence)) {
        let mut all = evidence();
        damage(&mut all);
        let wrong = sample::wrong("I13", &all);
        assert!(
            wrong.iter().any(|wrong| wrong.contains(told)),
            "{told:?} is not among {wrong:?}"
        );
    }

    #[test]
    fn a_sale_counts_on_its_stores_local_date_in_each_window() {
        let mut all = evidence();
        assert_eq!(sample::wrong("I13", &all), Vec::<String>::new());
        let boards = boards(&mut all);
        let units = |key: &BoardKey, id: &str| boards.scores[key][id].units;
        for store in ["", "lisbon"] {
            assert_eq!(
                units(&key("coffee-lovers", store, "day", "2026-01-31"), "ana"),
                2
            );
            assert_eq!(
                units(&key("products", store, "week", "2026-01-26"), "cake"),
                1
            );
            assert_eq!(
                units(&key("origins", store, "month", "2026-01-01"), "kenya"),
                2
            );
            assert_eq!(units(&key("methods", store, "all", ""), "v60"), 2);
            assert_eq!(units(&key("foods", store, "all", ""), "cake"), 1);
        }
        assert_eq!(boards.scores.len(), 5 * 4 * 2);
        assert_eq!(
            boards.revenue[&("lisbon".to_owned(), "EUR".to_owned())],
            900
        );
    }

    #[test]
    fn the_date_is_that_of_the_stores_zone() {
        let kyoto = TimeZone::get("Asia/Tokyo").unwrap();
        let [day, week, month, _] = windows(SOLD_AT, &kyoto).unwrap();
        let shown = [day, week, month].map(|(_, starts)| starts.unwrap().to_string());
        assert_eq!(shown, ["2026-02-01", "2026-01-26", "2026-02-01"]);
    }

    #[test]
    fn a_cancellation_takes_back_exactly_what_was_counted() {
        let mut all = sample::evidence();
        let fact = Fact::Cancelled {
            sale: sale(),
            payment_lost: false,
        };
        append(&mut all, record(ORDERS, 4, fact));
        let positions = BTreeMap::from([((ORDERS.to_owned(), 0), 100)]);
        let folded = fold(all.log.as_ref().unwrap(), &positions).unwrap();
        assert_eq!(folded, Boards::default());
    }

    #[test]
    fn a_duplicate_and_what_was_not_read_yet_do_not_count() {
        let mut all = evidence();
        append(&mut all, record(ORDERS, 2, Fact::Confirmed(sale())));
        boards(&mut all)
            .positions
            .insert((ORDERS.to_owned(), 0), 100);
        assert_eq!(sample::wrong("I13", &all), Vec::<String>::new());
        boards(&mut all).positions.insert((ORDERS.to_owned(), 0), 0);
        assert!(!sample::wrong("I13", &all).is_empty());
    }

    #[test]
    fn a_score_that_is_wrong_is_noticed() {
        let day = || key("coffee-lovers", "lisbon", "day", "2026-01-31");
        damaged("the log says it has 2", |all| {
            boards(all)
                .scores
                .get_mut(&day())
                .unwrap()
                .get_mut("ana")
                .unwrap()
                .units = 4;
        });
        damaged("ana is missing", |all| {
            boards(all).scores.get_mut(&day()).unwrap().clear();
        });
        damaged("the log knows nothing of it", |all| {
            let rows = boards(all).scores.get_mut(&day()).unwrap();
            rows.insert(
                "bob".to_owned(),
                Score {
                    units: 1,
                    reached: SOLD_AT,
                },
            );
        });
        damaged("since 7; the log says", |all| {
            let rows = boards(all).scores.get_mut(&day()).unwrap();
            rows.get_mut("ana").unwrap().reached = Timestamp::from_micros(7);
        });
    }

    #[test]
    fn a_board_that_is_missing_or_too_much_is_noticed() {
        damaged("there is no board foods", |all| {
            boards(all).scores.remove(&key("foods", "", "all", ""));
        });
        damaged("the log knows no board foods of oslo", |all| {
            let rows = BTreeMap::from([("cake".to_owned(), Score::default())]);
            boards(all)
                .scores
                .insert(key("foods", "oslo", "all", ""), rows);
        });
    }

    #[test]
    fn what_trends_is_counted_by_the_sales_five_minutes_and_judged() {
        let mut all = evidence();
        let lately = &mut boards(&mut all).lately;
        let sold: Vec<_> = lately
            .iter()
            .map(|(key, score)| (key.store.as_str(), key.product.as_str(), score.units))
            .collect();
        let both = [("", "cake", 1), ("", "filter", 2)];
        assert_eq!(sold[..2], both);
        assert_eq!(sold.len(), 4);
        damaged("in the log it has 1", |all| {
            boards(all).lately.values_mut().next().unwrap().units = 3;
        });
        damaged("is missing; in the log", |all| {
            boards(all).lately.pop_first();
        });
        damaged("in the log it is missing", |all| {
            let (mut key, score) = boards(all).lately.pop_last().unwrap();
            key.bucket += 1;
            boards(all).lately.insert(key, score);
        });
    }

    #[test]
    fn what_sold_twenty_hours_before_the_newest_is_forgotten() {
        let mut all = sample::evidence();
        let mut late = sale();
        late.confirmed_at = Some(Timestamp::from_micros(
            SOLD_AT.as_micros() + 240 * BUCKET_MICROS,
        ));
        let mut sold = record(ORDERS, 2, Fact::Confirmed(late));
        sold.subject = "another".to_owned();
        append(&mut all, sold);
        let positions = BTreeMap::from([((ORDERS.to_owned(), 0), 100)]);
        let folded = fold(all.log.as_ref().unwrap(), &positions).unwrap();
        let buckets: BTreeSet<_> = folded.lately.keys().map(|key| key.bucket).collect();
        assert_eq!(buckets.len(), 1, "only the newest");
    }

    #[test]
    fn a_revenue_that_is_wrong_is_noticed() {
        damaged("the revenue of lisbon is 1800 EUR", |all| {
            *boards(all).revenue.values_mut().next().unwrap() *= 2;
        });
        damaged("the revenue of lisbon is 0 EUR", |all| {
            boards(all).revenue.clear()
        });
    }
}
