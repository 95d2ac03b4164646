use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use brewline_kernel::{Currency, Money, Timestamp};

use crate::Tally;

/// The most rules of one table: each costs a little at every authorisation.
const RULES_MAX: usize = 16;
/// The longest name of a rule, in characters.
const NAME_CHARS_MAX: usize = 40;
/// The longest window: what is counted is kept no longer.
const WINDOW_MAX: Duration = Duration::from_secs(3_600);
/// The highest limit.
const LIMIT_MAX: u32 = 1_000_000;

/// Whose authorisations a rule counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// One card's, whoever pays with it.
    Card,
    /// One customer's, whatever the card.
    Customer,
}

/// What a rule counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Authorisations that were let through to the card processor.
    Asked,
    /// Those that the card's bank declined.
    Declined {
        /// Only small ones; none: all.
        up_to: Option<Small>,
    },
}

/// Up to which amount an authorisation is small: in minor units, which are worth something else in each
/// currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Small {
    /// In currencies that are not named; none: nothing is small there.
    otherwise: Option<i64>,
    named: Vec<(Currency, i64)>,
}

/// What happened to an authorisation, as a tally is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It was let through to the card processor.
    Asked,
    /// The card's bank declined it.
    Declined(Money),
}

/// One rule: once `limit` were counted within `window`, the next authorisation is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What decisions call it.
    pub name: String,
    /// Whose authorisations it counts.
    pub subject: Subject,
    /// Which of them.
    pub counted: Counted,
    /// How many are let be.
    pub limit: u32,
    /// For how long one counts.
    pub window: Duration,
}

/// The table of rules. The first that is hit decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules(Vec<Rule>);

/// The rule that refuses an authorisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Its name.
    pub rule: String,
    /// What it counted, for people.
    pub detail: String,
}

/// Why a text is no table of rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRules {
    /// It is not written as a rule is.
    #[error(
        "`{0}` is no rule: NAME=card|customer asked|declined[<=MINOR] LIMIT/SECONDS, such as \
         card-testing=card declined<=1000,JPY:1500 5/600"
    )]
    Malformed(String),
    /// A number is out of bounds.
    #[error(
        "rule `{0}`: a limit is 1 to {LIMIT_MAX}, a window 1 to {seconds} s, an amount at least 1",
        seconds = WINDOW_MAX.as_secs()
    )]
    OutOfBounds(String),
    /// Two rules have one name.
    #[error("rule `{0}` is there twice")]
    Twice(String),
    /// There are too many.
    #[error("at most {RULES_MAX} rules")]
    TooMany,
}

// === impl Subject ===

impl Subject {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Card, Self::Customer];
}

// === impl Counted ===

impl Counted {
    pub(crate) fn counts(&self, seen: Seen) -> bool {
        match (self, seen) {
            (Self::Asked, Seen::Asked) => true,
            (Self::Declined { up_to }, Seen::Declined(amount)) => {
                up_to.as_ref().is_none_or(|small| small.holds(amount))
            }
            (Self::Asked, Seen::Declined(_)) | (Self::Declined { .. }, Seen::Asked) => false,
        }
    }
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked => f.write_str("asked for"),
            Self::Declined { up_to: None } => f.write_str("declined"),
            Self::Declined { up_to: Some(small) } => write!(f, "declined of up to {small}"),
        }
    }
}

// === impl Small ===

impl Small {
    fn holds(&self, amount: Money) -> bool {
        let named = self.named.iter().find(|(of, _)| *of == amount.currency);
        let max = named.map(|(_, max)| *max).or(self.otherwise);
        max.is_some_and(|max| amount.minor <= max)
    }

    /// The smallest of its amounts.
    fn least(&self) -> i64 {
        let named = self.named.iter().map(|(_, max)| *max);
        named.chain(self.otherwise).min().unwrap_or_default()
    }
}

impl FromStr for Small {
    type Err = ();

    /// `1000`, or `1000,JPY:1500`, or `EUR:1000,JPY:1500`: each currency once.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (mut otherwise, mut named) = (None, Vec::<(Currency, i64)>::new());
        for part in text.split(',') {
            match part.split_once(':') {
                None if otherwise.is_none() => otherwise = Some(part.parse().map_err(drop)?),
                None => return Err(()),
                Some((currency, max)) => {
                    let currency: Currency = currency.parse().map_err(drop)?;
                    if named.iter().any(|(known, _)| *known == currency) {
                        return Err(());
                    }
                    named.push((currency, max.parse().map_err(drop)?));
                }
            }
        }
        Ok(Self { otherwise, named })
    }
}

impl fmt::Display for Small {
    /// Amounts of named currencies as money; of the others it is not known what a minor unit is worth.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (currency, max)) in self.named.iter().enumerate() {
            let comma = if place > 0 { ", " } else { "" };
            write!(f, "{comma}{}", Money::new(*max, *currency))?;
        }
        match self.otherwise {
            Some(max) if self.named.is_empty() => write!(f, "{max} minor units"),
            Some(max) => write!(f, " or {max} minor units of another currency"),
            None => Ok(()),
        }
    }
}

// === impl Rules ===

impl Rules {
    /// The rules about a subject, in the table's order.
    pub fn of(&self, subject: Subject) -> impl Iterator<Item = &Rule> {
        self.0.iter().filter(move |rule| rule.subject == subject)
    }

    /// Whether any rule is about a subject.
    #[must_use]
    pub fn concern(&self, subject: Subject) -> bool {
        self.of(subject).next().is_some()
    }

    /// The first rule that refuses what these tallies are about; none lets it pass. A subject without
    /// a tally is not judged.
    #[must_use]
    pub fn judge(&self, tallies: &[(Subject, &Tally)], now: Timestamp) -> Option<Hit> {
        self.0.iter().find_map(|rule| {
            let (_, tally) = tallies.iter().find(|(of, _)| *of == rule.subject)?;
            let count = tally.count(rule, now);
            (count >= rule.limit).then(|| rule.hit(count))
        })
    }
}

impl FromStr for Rules {
    type Err = InvalidRules;

    /// Rules are separated by semicolons; `none` is a table without any.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.trim() == "none" {
            return Ok(Self::default());
        }
        let rules = text
            .split(';')
            .map(str::trim)
            .filter(|rule| !rule.is_empty())
            .map(Rule::from_str)
            .collect::<Result<Vec<_>, _>>()?;
        if rules.is_empty() {
            return Err(InvalidRules::Malformed(text.to_owned()));
        }
        if rules.len() > RULES_MAX {
            return Err(InvalidRules::TooMany);
        }
        for (place, rule) in rules.iter().enumerate() {
            if rules.iter().take(place).any(|it| it.name == rule.name) {
                return Err(InvalidRules::Twice(rule.name.clone()));
            }
        }
        Ok(Self(rules))
    }
}

// === impl Rule ===

impl Rule {
    fn hit(&self, count: u32) -> Hit {
        let detail = format!(
            "risk rule {}: {count} {} within {} s",
            self.name,
            self.counted,
            self.window.as_secs()
        );
        Hit {
            rule: self.name.clone(),
            detail,
        }
    }

    fn checked(self) -> Result<Self, InvalidRules> {
        let amount = match &self.counted {
            Counted::Declined { up_to: Some(small) } => small.least(),
            Counted::Declined { up_to: None } | Counted::Asked => 1,
        };
        let fits = (1..=LIMIT_MAX).contains(&self.limit)
            && (Duration::from_secs(1)..=WINDOW_MAX).contains(&self.window)
            && amount >= 1;
        if fits {
            Ok(self)
        } else {
            Err(InvalidRules::OutOfBounds(self.name))
        }
    }
}

impl FromStr for Rule {
    type Err = InvalidRules;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = || InvalidRules::Malformed(text.to_owned());
        let (name, rest) = text.split_once('=').ok_or_else(malformed)?;
        let mut words = rest.split_ascii_whitespace();
        let (Some(subject), Some(counted), Some(bound), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(malformed());
        };
        let (limit, seconds) = bound.split_once('/').ok_or_else(malformed)?;
        Self {
            name: rule_name(name.trim()).ok_or_else(malformed)?,
            subject: subject_named(subject).ok_or_else(malformed)?,
            counted: counted_named(counted).ok_or_else(malformed)?,
            limit: limit.parse().map_err(|_| malformed())?,
            window: Duration::from_secs(seconds.parse().map_err(|_| malformed())?),
        }
        .checked()
    }
}

fn rule_name(text: &str) -> Option<String> {
    let fits = (1..=NAME_CHARS_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-');
    fits.then(|| text.to_owned())
}

fn subject_named(text: &str) -> Option<Subject> {
    match text {
        "card" => Some(Subject::Card),
        "customer" => Some(Subject::Customer),
        _ => None,
    }
}

fn counted_named(text: &str) -> Option<Counted> {
    match text.split_once("<=") {
        None if text == "asked" => Some(Counted::Asked),
        None if text == "declined" => Some(Counted::Declined { up_to: None }),
        Some(("declined", max)) => Some(Counted::Declined {
            up_to: Some(max.parse().ok()?),
        }),
        None | Some(_) => None,
    }
}
