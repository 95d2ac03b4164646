use std::fmt;

use serde::Deserialize;

/// A duration as Prometheus writes it (`30s`, `5m`, `6h`, `3d`): one number, one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Span {
    millis: u64,
}

/// Units from the longest to the shortest, in milliseconds.
const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

// === impl Span ===

impl Span {
    /// So many seconds.
    #[must_use]
    pub const fn seconds(seconds: u64) -> Self {
        Self {
            millis: seconds.saturating_mul(1_000),
        }
    }

    /// Its length in whole seconds, at least 1.
    #[must_use]
    pub fn as_seconds(self) -> u64 {
        (self.millis / 1_000).max(1)
    }

    /// This duration at a time scale, never shorter than `floor`.
    #[must_use]
    pub fn scaled(self, scale: u32, floor: Self) -> Self {
        let millis = self.millis / u64::from(scale.max(1));
        Self { millis }.max(floor.min(self))
    }

    /// So many times this long.
    #[must_use]
    pub const fn times(self, count: u64) -> Self {
        Self {
            millis: self.millis.saturating_mul(count),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits =
            |(_, unit): &&(&str, u64)| self.millis.is_multiple_of(*unit) && self.millis >= *unit;
        match UNITS.iter().find(fits) {
            Some((name, unit)) => write!(f, "{}{name}", self.millis / unit),
            None => f.write_str("0s"),
        }
    }
}

impl std::str::FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let malformed = || format!("{text:?} is no duration such as 30s, 5m, 6h or 3d");
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = text.strip_prefix(digits).unwrap_or_default();
        let count: u64 = digits.parse().map_err(|_| malformed())?;
        let known = UNITS.iter().find(|(name, _)| *name == unit);
        let (_, millis) = known.ok_or_else(malformed)?;
        Ok(Self {
            millis: count.saturating_mul(*millis),
        })
    }
}

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_written_with_its_longest_whole_unit_as_prometheus_reads_it() {
        for (text, written) in [
            ("60s", "1m"),
            ("90s", "90s"),
            ("24h", "1d"),
            ("0s", "0s"),
            ("7500ms", "7500ms"),
        ] {
            assert_eq!(text.parse::<Span>().unwrap().to_string(), written);
        }
        assert!("5 minutes".parse::<Span>().is_err());
        assert!("".parse::<Span>().is_err());
    }

    #[test]
    fn a_scaled_span_keeps_the_floor_but_never_grows() {
        let floor = Span::seconds(4);
        let scaled = |text: &str, scale| text.parse::<Span>().unwrap().scaled(scale, floor);
        assert_eq!(scaled("1h", 60).to_string(), "1m");
        assert_eq!(scaled("1m", 60).to_string(), "4s");
        assert_eq!(scaled("0s", 60).to_string(), "0s");
        assert_eq!(scaled("2s", 1).to_string(), "2s");
    }
}
