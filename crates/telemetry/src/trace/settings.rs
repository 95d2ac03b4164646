use std::str::FromStr;
use std::time::Duration;

use brewline_config::{Environment, Variable};

use super::export::Endpoint;

/// Where spans go, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// None: nothing is recorded.
    pub endpoint: Option<Endpoint>,
    /// Which share of new traces is recorded.
    pub ratio: Ratio,
    /// From when on an operation counts as slow, and is recorded in any case.
    pub slow_after: Duration,
    /// Spans that may wait to be sent.
    pub queue_spans_max: usize,
}

/// A share, in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio(u32);

/// Why a text is no share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a number from 0 to 1 with at most six decimals")]
pub struct InvalidRatio;

const ENDPOINT: Variable = Variable {
    name: "BREWLINE_OTLP_ENDPOINT",
    default: None,
    help: "Where spans are sent: the base URL of a collector that takes OTLP over HTTP, such as \
           `http://127.0.0.1:4318`. By default OTEL_EXPORTER_OTLP_ENDPOINT; with neither, nothing is \
           recorded.",
};
const STANDARD_ENDPOINT: Variable = Variable {
    name: "OTEL_EXPORTER_OTLP_ENDPOINT",
    default: None,
    help: "The same under the name that OpenTelemetry gives it.",
};
const RATIO: Variable = Variable {
    name: "BREWLINE_TRACE_RATIO",
    default: Some("0.01"),
    help: "Which share of the traces that begin here is recorded, from 0 to 1. One in a hundred shows \
           every kind of order within minutes and costs next to nothing; a caller whose traceparent says \
           `sampled` is always recorded.",
};
const SLOW_MS: Variable = Variable {
    name: "BREWLINE_TRACE_SLOW_MS",
    default: Some("1000"),
    help: "From when on a call or a batch is recorded whether its trace is or not, in milliseconds. A \
           second is what customers notice, and far from what is usual.",
};
const QUEUE_SPANS_MAX: Variable = Variable {
    name: "BREWLINE_TRACE_QUEUE_SPANS_MAX",
    default: Some("4096"),
    help: "How many spans may wait to be sent; more are dropped and counted. About 2 MiB, and two \
           seconds of a service whose every order is recorded.",
};

const MILLION: u32 = 1_000_000;
const DECIMALS: usize = 6;

// === impl Settings ===

impl Settings {
    /// Reads them.
    pub fn read(env: &mut Environment) -> Option<Self> {
        let endpoint = env.optional(&ENDPOINT);
        let standard = env.optional(&STANDARD_ENDPOINT);
        let ratio = env.read(&RATIO);
        let slow_after = env.millis(&SLOW_MS);
        let queue_spans_max = env.read(&QUEUE_SPANS_MAX);
        if queue_spans_max == Some(0) {
            env.fault("BREWLINE_TRACE_QUEUE_SPANS_MAX must be at least 1");
        }
        Some(Self {
            endpoint: endpoint?.or(standard?),
            ratio: ratio?,
            slow_after: slow_after?,
            queue_spans_max: queue_spans_max?,
        })
    }
}

// === impl Ratio ===

impl Ratio {
    /// Whether a trace belongs to the share. Ids are random, so their last digits are.
    #[must_use]
    pub fn takes(self, trace_id: u128) -> bool {
        trace_id % u128::from(MILLION) < u128::from(self.0)
    }
}

impl FromStr for Ratio {
    type Err = InvalidRatio;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        let digits = decimals.bytes().all(|c| c.is_ascii_digit());
        if !digits || decimals.len() > DECIMALS {
            return Err(InvalidRatio);
        }
        let whole: u32 = whole.parse().map_err(|_| InvalidRatio)?;
        let millionths: u32 = format!("{decimals:0<DECIMALS$}")
            .parse()
            .map_err(|_| InvalidRatio)?;
        let ratio = whole
            .checked_mul(MILLION)
            .and_then(|whole| whole.checked_add(millionths));
        ratio
            .filter(|ratio| *ratio <= MILLION)
            .map(Self)
            .ok_or(InvalidRatio)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read() {
        for (text, millionths) in [("0", 0), ("1", MILLION), ("0.01", 10_000), ("1.0", MILLION)] {
            assert_eq!(text.parse(), Ok(Ratio(millionths)), "{text}");
        }
        for wrong in ["", "2", "1.000001", "-1", "0.0000001", "a", "0.x"] {
            assert!(wrong.parse::<Ratio>().is_err(), "{wrong} was taken");
        }
    }

    #[test]
    fn nothing_is_recorded_unless_a_collector_is_named() {
        let none: [(&str, &str); 0] = [];
        let settings = Settings::read(&mut Environment::from_pairs(none)).unwrap();
        assert_eq!(settings.endpoint, None);
        let standard = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")];
        let settings = Settings::read(&mut Environment::from_pairs(standard)).unwrap();
        assert!(settings.endpoint.is_some());
    }

    #[test]
    fn about_as_many_traces_are_taken_as_the_share_says() {
        let ratio: Ratio = "0.25".parse().unwrap();
        let taken = (0..10_000).filter(|_| {
            let id = u128::from(brewline_kernel::system::random());
            ratio.takes(id)
        });
        let taken = taken.count();
        assert!((2_200..2_800).contains(&taken), "{taken} of 10000");
    }
}
