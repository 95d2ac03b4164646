//! Readers of arguments: what can be told to make no sense is refused before anything is asked.

use anyhow::Context as _;
use brewline_chaos::evidence::topics;
use brewline_chaos::invariants;
use brewline_kernel::Timestamp;
use clap::builder::PossibleValuesParser;

use crate::stack::process::parse_signal;
use crate::stack::services::SERVICES;
use crate::stack::supervisor::Target;

/// What runs in a stack beside the services.
const SERVERS: [&str; 2] = ["postgres", "kafka"];

/// A service or server (`order`), by name.
pub(super) fn unit() -> PossibleValuesParser {
    PossibleValuesParser::new(SERVICES.into_iter().chain(SERVERS))
}

/// A service or server, or one instance of it (`order/2`).
pub(super) fn target(text: &str) -> anyhow::Result<String> {
    let target: Target = text.parse()?;
    let known = SERVICES.into_iter().chain(SERVERS);
    anyhow::ensure!(
        known.clone().any(|name| name == target.unit),
        "there is no service {} (there are {})",
        target.unit,
        known.collect::<Vec<_>>().join(", ")
    );
    anyhow::ensure!(target.instance != Some(0), "instances count from 1");
    Ok(text.to_owned())
}

/// A signal by name or number.
pub(super) fn signal(text: &str) -> anyhow::Result<String> {
    parse_signal(text)?;
    Ok(text.to_owned())
}

/// An instant.
pub(super) fn instant(text: &str) -> anyhow::Result<Timestamp> {
    let parsed: jiff::Timestamp = text.parse().context("write an RFC 3339 instant")?;
    Ok(Timestamp::from_micros(parsed.as_microsecond()))
}

/// An invariant's id.
pub(super) fn invariant() -> PossibleValuesParser {
    PossibleValuesParser::new(invariants::ids())
}

/// A topic of events.
pub(super) fn topic() -> PossibleValuesParser {
    PossibleValuesParser::new(topics().iter().map(|(topic, _)| *topic))
}

/// A value that may stand in a query as it is.
pub(super) fn plain(text: &str) -> anyhow::Result<String> {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "-_.~".contains(c);
    anyhow::ensure!(
        text.chars().all(harmless),
        "it holds characters that no id has"
    );
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_services_or_their_instances() {
        for good in ["order", "order/2", "kafka", "postgres/1"] {
            assert!(target(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "nope",
            "order/",
            "order/x",
            "order/0",
            "order/1/2",
            "/1",
        ] {
            assert!(target(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn queries_take_ids_only() {
        assert!(plain("customer-demo_1.2~3").is_ok());
        for bad in ["x' or 1=1", "a&b", "ä", "a b", "a%20"] {
            assert!(plain(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn instants_have_an_offset() {
        assert!(instant("2026-01-02T03:04:05Z").is_ok());
        assert!(instant("2026-01-02T03:04:05.123+02:00").is_ok());
        for bad in ["yesterday", "2026-01-02", "2026-01-02T03:04:05", "0"] {
            assert!(instant(bad).is_err(), "{bad}");
        }
    }
}
