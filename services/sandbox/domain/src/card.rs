use std::fmt;
use std::str::FromStr;

use crate::{DeclineCode, Outcome};

/// The longest suffix of a token, in characters.
const SUFFIX_CHARS_MAX: usize = 64;

/// What stands for a card: `tok_ok`, `tok_declined` or `tok_insufficient`, each also with a suffix
/// (`tok_ok_7f3a`) that makes it a card of its own.
#[derive(Clone, PartialEq, Eq)]
pub struct CardToken(Box<str>);

/// Why a text is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a token is `tok_ok`, `tok_declined` or `tok_insufficient`, each with or without `_` and 1 to 64 letters or digits"
)]
pub struct InvalidCardToken;

// === impl CardToken ===

impl CardToken {
    /// The token as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the card's bank says to an authorisation.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match split(&self.0) {
            Some((outcome, _)) => outcome,
            // Parsing lets no other text through.
            None => Outcome::Declined(DeclineCode::CardDeclined),
        }
    }
}

impl FromStr for CardToken {
    type Err = InvalidCardToken;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (_, rest) = split(text).ok_or(InvalidCardToken)?;
        let fits = match rest.strip_prefix('_') {
            None => rest.is_empty(),
            Some(suffix) => {
                (1..=SUFFIX_CHARS_MAX).contains(&suffix.len())
                    && suffix.bytes().all(|c| c.is_ascii_alphanumeric())
            }
        };
        fits.then(|| Self(text.into())).ok_or(InvalidCardToken)
    }
}

impl fmt::Debug for CardToken {
    /// A token never enters a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tok_***")
    }
}

fn split(text: &str) -> Option<(Outcome, &str)> {
    let rest = text.strip_prefix("tok_")?;
    let strip = |name: &str, outcome: Outcome| rest.strip_prefix(name).map(|rest| (outcome, rest));
    strip("ok", Outcome::Done)
        .or_else(|| strip("declined", Outcome::Declined(DeclineCode::CardDeclined)))
        .or_else(|| {
            strip(
                "insufficient",
                Outcome::Declined(DeclineCode::InsufficientFunds),
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_decides_what_the_bank_says() {
        for (token, outcome) in [
            ("tok_ok", Outcome::Done),
            ("tok_ok_7f3a", Outcome::Done),
            ("tok_declined", Outcome::Declined(DeclineCode::CardDeclined)),
            (
                "tok_declined_x",
                Outcome::Declined(DeclineCode::CardDeclined),
            ),
            (
                "tok_insufficient",
                Outcome::Declined(DeclineCode::InsufficientFunds),
            ),
            (
                "tok_insufficient_9",
                Outcome::Declined(DeclineCode::InsufficientFunds),
            ),
        ] {
            assert_eq!(token.parse::<CardToken>().unwrap().outcome(), outcome);
        }
    }

    #[test]
    fn other_texts_are_no_tokens() {
        let long = format!("tok_ok_{}", "x".repeat(65));
        for wrong in [
            "",
            "tok_",
            "tok_oks",
            "tok_ok_",
            "tok_ok_a_b",
            "tok_ok_a b",
            "TOK_OK",
            "ok",
            &long,
        ] {
            assert_eq!(wrong.parse::<CardToken>(), Err(InvalidCardToken), "{wrong}");
        }
    }

    #[test]
    fn a_token_is_not_shown() {
        let token: CardToken = "tok_ok_7f3a".parse().unwrap();
        assert_eq!(format!("{token:?}"), "tok_***");
    }
}
