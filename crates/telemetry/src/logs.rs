use std::io;

use tracing::Subscriber;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, fmt, reload};

type SetFilter = Box<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>;

/// Holds the log; through it the level changes at run time.
pub struct Guard {
    set_filter: SetFilter,
}

/// Why a filter cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a log filter such as `info` or `info,brewline_messaging=debug`")]
pub struct InvalidFilter(String);

/// Starts the log of this process: JSON lines on standard output.
///
/// # Errors
/// When the filter cannot be read.
pub fn init(service: &str, instance: &str, filter: &str) -> Result<Guard, InvalidFilter> {
    let (filter, handle) = reload::Layer::new(parse(filter)?);
    // A second subscriber in one process (tests) changes nothing: the first one stays.
    let started = tracing_subscriber::registry()
        .with(filter)
        .with(json())
        .try_init();
    if started.is_ok() {
        tracing::info!(
            service,
            instance,
            version = env!("CARGO_PKG_VERSION"),
            "log started"
        );
    }
    Ok(Guard {
        set_filter: Box::new(move |filter| handle.reload(filter)),
    })
}

// === impl Guard ===

impl Guard {
    /// Changes which lines are written from now on.
    ///
    /// # Errors
    /// When the filter cannot be read; the old one stays.
    pub fn set_filter(&self, filter: &str) -> Result<(), InvalidFilter> {
        (self.set_filter)(parse(filter)?).map_err(|_| InvalidFilter(filter.to_owned()))
    }
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard").finish_non_exhaustive()
    }
}

fn parse(filter: &str) -> Result<EnvFilter, InvalidFilter> {
    EnvFilter::try_new(filter).map_err(|_| InvalidFilter(filter.to_owned()))
}

fn json<S>() -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_writer(io::stdout)
}
