//! Local dates without a calendar library: the shell says which local date an instant is, everything from
//! there on is integers.

use std::fmt;
use std::str::FromStr;

/// Days kept: two months and the day before, so that "this day last month" is there.
const DAYS_KEPT: i32 = 62;
/// ISO weeks kept: a year and two months.
const WEEKS_KEPT: i32 = 60;
/// Months kept: three years.
const MONTHS_KEPT: i32 = 36;

/// A date of the proleptic Gregorian calendar, as days since 1970-01-01.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(i32);

/// A stretch of local dates that is counted apart, named by its first day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Window {
    /// One local date.
    Day(Day),
    /// An ISO week, from Monday.
    Week(Day),
    /// A month, from its first.
    Month(Day),
    /// Everything there ever was.
    All,
}

// === impl Day ===

impl Day {
    /// From days since 1970-01-01.
    #[must_use]
    pub const fn from_days(days: i32) -> Self {
        Self(days)
    }

    /// Days since 1970-01-01.
    #[must_use]
    pub const fn as_days(self) -> i32 {
        self.0
    }

    /// The date of a year, a month and a day of the month; none where there is no such date.
    #[must_use]
    pub fn from_civil(year: i32, month: i32, day: i32) -> Option<Self> {
        if !(1..=9_999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return None;
        }
        // Years begin in March here, so that the leap day is the last one.
        let shifted = if month <= 2 { year - 1 } else { year };
        let era = shifted.div_euclid(400);
        let of_era = shifted.rem_euclid(400);
        let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let days = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
        let date = Self(era * 146_097 + days - 719_468);
        (date.civil() == (year, month, day)).then_some(date)
    }

    /// Year, month, day of the month.
    #[must_use]
    pub const fn civil(self) -> (i32, i32, i32) {
        let days = self.0.saturating_add(719_468);
        let era = days.div_euclid(146_097);
        let of_era = days.rem_euclid(146_097);
        let years = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * years + years / 4 - years / 100);
        let shifted = (5 * of_year + 2) / 153;
        let day = of_year - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 {
            shifted + 3
        } else {
            shifted - 9
        };
        let year = years + era * 400 + if month <= 2 { 1 } else { 0 };
        (year, month, day)
    }

    /// The Monday of its ISO week.
    #[must_use]
    pub const fn monday(self) -> Self {
        // 1970-01-01 was a Thursday.
        Self(self.0 - (self.0 + 3).rem_euclid(7))
    }

    /// The first of its month.
    #[must_use]
    pub const fn first_of_month(self) -> Self {
        let (_, _, day) = self.civil();
        Self(self.0 - (day - 1))
    }

    /// Months since the year 0.
    const fn month_number(self) -> i32 {
        let (year, month, _) = self.civil();
        year * 12 + month - 1
    }
}

impl fmt::Display for Day {
    /// As ISO 8601 writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// A text is no date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no date such as 2026-01-31")]
pub struct InvalidDay;

impl FromStr for Day {
    type Err = InvalidDay;

    fn from_str(text: &str) -> Result<Self, InvalidDay> {
        let plain = text.len() == 10 && text.bytes().all(|c| c.is_ascii_digit() || c == b'-');
        let mut parts = text.split('-').map(|part| part.parse::<i32>().ok());
        let date = (parts.next(), parts.next(), parts.next(), parts.next());
        let (Some(Some(year)), Some(Some(month)), Some(Some(day)), None, true) =
            (date.0, date.1, date.2, date.3, plain)
        else {
            return Err(InvalidDay);
        };
        Self::from_civil(year, month, day).ok_or(InvalidDay)
    }
}

// === impl Window ===

impl Window {
    /// The windows that a date lies in.
    #[must_use]
    pub const fn of(day: Day) -> [Self; 4] {
        [
            Self::Day(day),
            Self::Week(day.monday()),
            Self::Month(day.first_of_month()),
            Self::All,
        ]
    }

    /// `day`, `week`, `month` or `all`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Day(_) => "day",
            Self::Week(_) => "week",
            Self::Month(_) => "month",
            Self::All => "all",
        }
    }

    /// Its first day; none of `all`.
    #[must_use]
    pub const fn starts(self) -> Option<Day> {
        match self {
            Self::Day(day) | Self::Week(day) | Self::Month(day) => Some(day),
            Self::All => None,
        }
    }

    /// Whether it is kept once sales of the date `newest` are counted. What is dropped is never counted
    /// again, so that the end does not depend on what was read first.
    #[must_use]
    pub const fn is_kept(self, newest: Day) -> bool {
        match self {
            Self::Day(day) => day.0 > newest.0 - DAYS_KEPT,
            Self::Week(monday) => monday.0 > newest.monday().0 - WEEKS_KEPT * 7,
            Self::Month(first) => first.month_number() > newest.month_number() - MONTHS_KEPT,
            Self::All => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    #[test]
    fn dates_survive_a_round_trip() {
        for days in -200_000..400_000 {
            let (year, month, of_month) = Day::from_days(days).civil();
            if (1..=9_999).contains(&year) {
                assert_eq!(Day::from_civil(year, month, of_month), Some(Day(days)));
            }
        }
        assert_eq!(day("1970-01-01"), Day(0));
        assert_eq!(day("2026-11-21").to_string(), "2026-11-21");
    }

    #[test]
    fn other_texts_are_no_dates() {
        for wrong in [
            "",
            "2026-2-1",
            "2026-02-30",
            "2026-13-01",
            "20260101xx",
            "2026-01-01-",
            "-026-01-01",
        ] {
            assert!(wrong.parse::<Day>().is_err(), "{wrong} was taken");
        }
    }

    #[test]
    fn weeks_begin_on_monday_and_cross_the_year() {
        assert_eq!(day("2026-11-22").monday(), day("2026-11-16"), "a Sunday");
        assert_eq!(day("2026-11-23").monday(), day("2026-11-23"), "a Monday");
        assert_eq!(day("2027-01-01").monday(), day("2026-12-28"));
        assert_eq!(day("2024-02-29").first_of_month(), day("2024-02-01"));
    }

    #[test]
    fn windows_are_kept_for_as_long_as_the_rule_says() {
        let newest = day("2026-11-21");
        assert!(Window::Day(day("2026-09-21")).is_kept(newest));
        assert!(!Window::Day(day("2026-09-20")).is_kept(newest));
        assert!(Window::Month(day("2023-12-01")).is_kept(newest));
        assert!(!Window::Month(day("2023-11-01")).is_kept(newest));
        assert!(!Window::Week(day("2025-09-22")).is_kept(newest));
        assert!(Window::Week(day("2025-09-29")).is_kept(newest));
    }
}
