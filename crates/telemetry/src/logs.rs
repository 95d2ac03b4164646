use std::io;
use std::sync::LazyLock;

use tracing::Level;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt, reload};

use crate::metrics::{self, Counter, Family};

mod line;

use self::line::Lines;

type SetFilter = Box<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>;

static LINES: LazyLock<Family<[(&'static str, &'static str); 1], Counter>> = LazyLock::new(|| {
    metrics::register(
        "brewline_log_lines",
        "Log lines that were written, by level",
        Family::default(),
    )
});

/// Holds the log; through it the level changes at run time.
pub struct Guard {
    set_filter: SetFilter,
}

/// Why a filter cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("not a log filter such as `info` or `info,brewline_messaging=debug`")]
pub struct InvalidFilter;

/// Starts the log of this process: JSON lines on standard output.
///
/// # Errors
/// When the filter cannot be read.
pub fn init(service: &'static str, instance: &str, filter: &str) -> Result<Guard, InvalidFilter> {
    let (filter, handle) = reload::Layer::new(parse(filter)?);
    let lines = fmt::layer()
        .event_format(Lines::new(service, instance))
        .with_writer(io::stdout);
    // A second subscriber in one process (tests) changes nothing: the first one stays.
    let started = tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .try_init();
    if started.is_ok() {
        crate::process::tell(service, instance);
        // Told from the start: an alert on an increase never sees a first line that is the first thing told.
        for level in ["error", "warn", "info"] {
            LINES.get_or_create(&[("level", level)]).inc_by(0);
        }
        tracing::info!(version = env!("CARGO_PKG_VERSION"), "log started");
    }
    Ok(Guard {
        set_filter: Box::new(move |filter| handle.reload(filter)),
    })
}

fn count(level: Level) {
    let level = match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    };
    LINES.get_or_create(&[("level", level)]).inc();
}

// === impl Guard ===

impl Guard {
    /// Changes which lines are written from now on.
    ///
    /// # Errors
    /// When the filter cannot be read; the old one stays.
    pub fn set_filter(&self, filter: &str) -> Result<(), InvalidFilter> {
        (self.set_filter)(parse(filter)?).map_err(|_| InvalidFilter)
    }
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard").finish_non_exhaustive()
    }
}

/// The longest filter that is taken: a line for each of our crates fits.
const FILTER_BYTES_MAX: usize = 1_024;

fn parse(filter: &str) -> Result<EnvFilter, InvalidFilter> {
    // A lone word that is no level would be taken for the name of a module, and silence the rest.
    let lone = !filter.contains(['=', ',']);
    let level = filter.parse::<tracing_subscriber::filter::LevelFilter>();
    if filter.is_empty() || filter.len() > FILTER_BYTES_MAX || (lone && level.is_err()) {
        return Err(InvalidFilter);
    }
    EnvFilter::try_new(filter).map_err(|_| InvalidFilter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_levels_or_levels_by_module() {
        for filter in ["info", "WARN", "off", "info,brewline_messaging=debug"] {
            assert!(parse(filter).is_ok(), "{filter} was refused");
        }
        let long = "x".repeat(FILTER_BYTES_MAX + 1);
        for wrong in ["", "loud", "brewline=loud", "=", &long] {
            assert!(parse(wrong).is_err(), "{wrong} was taken");
        }
    }
}
