use serde::Deserialize;

use crate::expression;
use crate::span::Span;

/// All that is promised and all that is watched.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pack {
    /// So many times faster than the clock: 60 makes an hour of a window a minute.
    pub time_scale: u32,
    /// How often targets are asked, at time scale 1.
    pub scrape_interval: Span,
    /// The window over which an objective's budget is counted.
    pub budget_window: Span,
    /// Services that must be there in every installation.
    pub services: Vec<String>,
    /// The pairs of windows that a budget's burn is judged by.
    pub burns: Vec<Burn>,
    /// What is promised.
    pub objectives: Vec<Objective>,
    /// What is likely to break a promise, and can be told at once.
    pub causes: Vec<Cause>,
}

/// One pair of windows: the budget burns so many times too fast over both.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Burn {
    /// Who is told.
    pub severity: Severity,
    /// How many times faster than the budget allows.
    pub factor: String,
    /// Long enough that it matters.
    pub long: Span,
    /// Short enough that it is still going on.
    pub short: Span,
}

/// Who is told of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Somebody, now.
    Page,
    /// Somebody, on the next working day.
    Ticket,
}

/// A promise.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Objective {
    /// Its name in the label `slo`.
    pub name: String,
    /// What its alerts' names begin with.
    pub alert: String,
    /// The promise as a sentence.
    pub title: String,
    /// The share that must be good, in percent.
    pub target: String,
    /// How good and bad are told apart.
    pub indicator: Indicator,
    /// What it means for customers when the budget burns.
    pub meaning: String,
    /// Commands that show what is wrong.
    pub look: Vec<String>,
    /// What to do then.
    pub act: Vec<String>,
    /// What its alerts are tested with.
    pub tests: ObjectiveTests,
}

/// How good and bad are told apart.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Indicator {
    /// By counting: `$window` stands for the window.
    #[serde(rename_all = "camelCase")]
    Requests {
        /// The rate of what went wrong.
        bad: String,
        /// The rate of everything.
        total: String,
        /// Fewer bad ones in a window are no reason to wake anybody.
        bad_min: u32,
    },
    /// By looking: 1 while all is well, 0 while it is not.
    Moments {
        /// The expression that is looked at.
        good: String,
    },
}

/// Series that make an objective's alerts fire, or not, in the notation of promtool.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectiveTests {
    /// The budget burns fast.
    pub fast: Vec<Series>,
    /// It burns slowly.
    pub slow: Vec<Series>,
    /// It does not burn.
    pub quiet: Vec<Series>,
}

/// A cause that can be told at once.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cause {
    /// The alert's name.
    pub alert: String,
    /// Who is told.
    pub severity: Severity,
    /// When it is pending.
    pub expr: String,
    /// How long it must be so before it fires.
    #[serde(rename = "for")]
    pub lasting: Span,
    /// What is so, in one line; labels may be named.
    pub summary: String,
    /// What it means.
    pub meaning: String,
    /// Commands that show more.
    pub look: Vec<String>,
    /// What to do then.
    pub act: Vec<String>,
    /// What it is tested with.
    pub tests: Case,
}

/// Series that make a cause fire, or not.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// When the rule is looked at.
    pub at: Span,
    /// It fires.
    pub fires: Vec<Series>,
    /// It does not.
    pub quiet: Vec<Series>,
}

/// One series in the notation of promtool: its name with labels, and its values a minute apart.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// Name and labels.
    pub series: String,
    /// Values, such as `0+10x60`.
    pub values: String,
}

/// Why a pack cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidPack {
    /// It is not what this program understands.
    #[error("slo.yaml cannot be read: {0}")]
    Unreadable(String),
    /// It promises something impossible.
    #[error("slo.yaml: {0}")]
    Wrong(String),
}

// === impl Severity ===

impl Severity {
    /// As the label says it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Ticket => "ticket",
        }
    }

    /// The end of the name of an objective's alert.
    #[must_use]
    pub const fn burns(self) -> &'static str {
        match self {
            Self::Page => "BurnsFast",
            Self::Ticket => "BurnsSlowly",
        }
    }
}

// === impl Pack ===

impl Pack {
    /// Reads a pack.
    ///
    /// # Errors
    /// When it cannot be understood or names an alert twice.
    pub fn read(text: &str) -> Result<Self, InvalidPack> {
        let pack: Self = serde_saphyr::from_str(text)
            .map_err(|error| InvalidPack::Unreadable(error.to_string()))?;
        let mut names = pack.alerts();
        names.sort_unstable();
        if let Some([first, _]) = names.array_windows().find(|[a, b]| a == b) {
            return Err(InvalidPack::Wrong(format!("two alerts are called {first}")));
        }
        Ok(pack)
    }

    /// The committed pack.
    ///
    /// # Errors
    /// When this program was built with one that cannot be read.
    pub fn committed() -> Result<Self, InvalidPack> {
        Self::read(crate::SLO_YAML)
    }

    /// The same at another time scale.
    #[must_use]
    pub fn at_scale(mut self, time_scale: u32) -> Self {
        self.time_scale = time_scale.max(1);
        self
    }

    /// The names of all alerts, objectives' first.
    #[must_use]
    pub fn alerts(&self) -> Vec<String> {
        let burns = self.objectives.iter().flat_map(|objective| {
            [Severity::Page, Severity::Ticket].map(|severity| objective.alert_name(severity))
        });
        burns
            .chain(self.causes.iter().map(|cause| cause.alert.clone()))
            .collect()
    }

    /// How often targets are asked and rules looked at.
    #[must_use]
    pub fn interval(&self) -> Span {
        self.scrape_interval
            .scaled(self.time_scale, Span::seconds(1))
    }

    /// A window at this pack's scale: a rate needs four samples to bear a lost one.
    #[must_use]
    pub fn window(&self, span: Span) -> Span {
        span.scaled(self.time_scale, self.interval().times(4))
    }

    /// A waiting time at this pack's scale.
    #[must_use]
    pub fn waiting(&self, span: Span) -> Span {
        span.scaled(self.time_scale, self.interval())
    }

    /// An expression with its windows at this pack's scale.
    #[must_use]
    pub fn scaled(&self, expr: &str) -> String {
        expression::with_windows(expr, |span| self.window(span))
    }
}

// === impl Objective ===

impl Objective {
    /// The name of its alert for those who are told at this severity.
    #[must_use]
    pub fn alert_name(&self, severity: Severity) -> String {
        format!("{}{}", self.alert, severity.burns())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_alerts_of_one_name_are_refused() {
        let mut text = crate::SLO_YAML.to_owned();
        let pack = Pack::committed().unwrap();
        let [first, second, ..] = pack.causes.as_slice() else {
            panic!("the pack has causes");
        };
        text = text.replace(
            &format!("alert: {}\n", second.alert),
            &format!("alert: {}\n", first.alert),
        );
        let refused = Pack::read(&text).unwrap_err().to_string();
        assert!(refused.contains(&first.alert), "{refused}");
    }
}
