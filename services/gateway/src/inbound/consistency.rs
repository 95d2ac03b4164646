//! "Read your own writes": the header `Brewline-Consistency`.
//!
//! A token is `topic:subject:version`; several are separated by commas. A topic holds no colon and a
//! version is a number, so that a subject may hold anything else.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue};
use brewline_proto::order::v1::ConsistencyToken;

use super::problem::Problem;

/// The header.
pub(super) const CONSISTENCY: HeaderName = HeaderName::from_static("brewline-consistency");

/// How many tokens a read may carry.
const TOKENS_MAX: usize = 8;

/// The longest topic (Kafka's own limit) and subject (two ids of 64 and what joins them), in characters.
const TOPIC_CHARS_MAX: usize = 249;
const SUBJECT_CHARS_MAX: usize = 140;

pub(super) const ORDERS: &str = "brewline.order.events.v1";
pub(super) const CUSTOMERS: &str = "brewline.customer.events.v1";
pub(super) const CATALOGUE: &str = "brewline.catalogue.events.v1";
pub(super) const FULFILMENT: &str = "brewline.fulfilment.events.v1";
/// What `notification` writes itself is in no topic: its tokens name the topic that it would be in.
pub(super) const NOTIFICATIONS: &str = "brewline.notification.events.v1";
pub(super) const INVENTORY: &str = "brewline.inventory.events.v1";

/// What the caller has seen: the answer must not be older.
#[derive(Debug)]
pub(super) struct Tokens(pub(super) Vec<ConsistencyToken>);

/// The token of a write.
pub(super) fn token(topic: &str, subject: &str, version: i64) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("{topic}:{subject}:{version}")).ok()
}

impl<S: Sync> FromRequestParts<S> for Tokens {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let mut tokens = Vec::new();
        for value in parts.headers.get_all(CONSISTENCY) {
            let text = value.to_str().map_err(|_| malformed("it is no ASCII"))?;
            for part in text.split(',').map(str::trim).filter(|it| !it.is_empty()) {
                if tokens.len() == TOKENS_MAX {
                    return Err(malformed(&format!("at most {TOKENS_MAX} tokens")));
                }
                let token = parse(part);
                tokens.push(token.ok_or_else(|| {
                    malformed("a token is `topic:subject:version`, as a write answered it")
                })?);
            }
        }
        Ok(Self(tokens))
    }
}

fn parse(text: &str) -> Option<ConsistencyToken> {
    let (topic, rest) = text.split_once(':')?;
    let (subject, version) = rest.rsplit_once(':')?;
    let plain = |c: u8| c.is_ascii_alphanumeric() || b".-_".contains(&c);
    let fits = (1..=TOPIC_CHARS_MAX).contains(&topic.len())
        && (1..=SUBJECT_CHARS_MAX).contains(&subject.len())
        && topic.bytes().all(plain)
        && subject.bytes().all(|c| plain(c) || c == b'/');
    let version = version.parse().ok().filter(|version| *version > 0)?;
    fits.then(|| ConsistencyToken {
        topic: topic.to_owned(),
        subject: subject.to_owned(),
        version,
    })
}

fn malformed(detail: &str) -> Problem {
    let detail = format!("Brewline-Consistency is malformed: {detail}");
    Problem::malformed("invalid-consistency-token", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_a_round_trip() {
        for subject in ["0190-a", "store/store-lisbon", "store-lisbon/cortado"] {
            let header = token(CATALOGUE, subject, 7).unwrap();
            let parsed = parse(header.to_str().unwrap()).unwrap();
            assert_eq!(
                (
                    parsed.topic.as_str(),
                    parsed.subject.as_str(),
                    parsed.version
                ),
                (CATALOGUE, subject, 7)
            );
        }
    }

    #[test]
    fn other_texts_are_no_tokens() {
        for wrong in [
            "",
            "a",
            "a:b",
            "a:b:",
            "a:b:0",
            "a:b:-1",
            "a:b:x",
            ":b:1",
            "a::1",
            "a:'; --:1",
        ] {
            assert!(parse(wrong).is_none(), "{wrong} was taken");
        }
    }
}
