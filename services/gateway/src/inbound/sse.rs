//! Server-sent events: what every stream at the edge shares.
//!
//! A handler takes a [`Place`] first, opens its upstream with `Call::stream`, and hands both to
//! [`relay`]. A stream ends when its caller goes, its upstream ends, or the process shuts down; the
//! caller then comes again with `Last-Event-ID` and misses nothing. A slow reader is not waited for in
//! memory: while it does not read, nothing is taken from upstream.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::{StreamExt as _, stream};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tonic::Streaming;

use super::problem::Problem;
use crate::signals;

/// Where a caller was cut off.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The longest id: the boards' position names every partition of three topics.
const ID_CHARS_MAX: usize = 2_048;

/// How often a quiet stream says that it lives: proxies cut what is silent for a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How long a caller waits before it comes again after the end of a stream.
const RETRY: Duration = Duration::from_secs(1);

/// How many streams there may be, and when all of them end. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    places: Arc<Semaphore>,
    shutdown: CancellationToken,
}

/// A place for one stream, held until it ends.
#[derive(Debug)]
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    _open: signals::OpenStream,
    shutdown: CancellationToken,
}

/// The `Last-Event-ID` of a caller that was here before.
#[derive(Debug)]
pub(super) struct LastEventId(pub(super) Option<String>);

/// What a stream is made of.
struct Source<M, F> {
    upstream: Streaming<M>,
    show: F,
    place: Place,
}

/// Whether the caller wants a stream where there is JSON too.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    let names = |text: &str| {
        text.split(',').any(|range| {
            let essence = range.split(';').next().unwrap_or_default();
            essence.trim().eq_ignore_ascii_case("text/event-stream")
        })
    };
    let mut accepted = headers.get_all(header::ACCEPT).iter();
    accepted.any(|value| value.to_str().is_ok_and(names))
}

/// One event: where the stream is after it, what it is (unless there is only one kind), and its body.
///
/// # Errors
/// When the body cannot be written as JSON, or the id holds what no id may.
pub(super) fn event(
    id: &str,
    name: Option<&'static str>,
    body: &impl Serialize,
) -> Result<Event, Problem> {
    // The library panics at a line break in an id.
    if !id.bytes().all(|c| c.is_ascii_graphic()) {
        return Err(Problem::internal());
    }
    let event = match name {
        Some(name) => Event::default().event(name),
        None => Event::default(),
    };
    event
        .id(id)
        .json_data(body)
        .map_err(|_| Problem::internal())
}

/// Passes `upstream` on, message by message as `show` says.
pub(super) fn relay<M, F>(place: Place, upstream: Streaming<M>, show: F) -> Response
where
    M: Send + 'static,
    F: FnMut(M) -> Result<Event, Problem> + Send + 'static,
{
    let source = Source {
        upstream,
        show,
        place,
    };
    let first = stream::once(async { Ok(Event::default().retry(RETRY)) });
    let rest = stream::unfold(source, |mut source| async move {
        let event = source.next().await?;
        Some((Ok::<_, Infallible>(event), source))
    });
    Sse::new(first.chain(rest))
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
        .into_response()
}

// === impl Streams ===

impl Streams {
    pub(super) fn new(max: usize, shutdown: CancellationToken) -> Self {
        Self {
            places: Arc::new(Semaphore::new(max)),
            shutdown,
        }
    }

    /// A place for one more.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn place(&self) -> Result<Place, Problem> {
        let permit = Arc::clone(&self.places).try_acquire_owned();
        let permit = permit.map_err(|_| {
            signals::shed();
            Problem::overloaded()
        })?;
        Ok(Place {
            _permit: permit,
            _open: signals::OpenStream::enter(),
            shutdown: self.shutdown.clone(),
        })
    }
}

// === impl Place ===

impl Place {
    /// Ends when all streams have to end.
    pub(super) async fn shutdown_requested(&self) {
        self.shutdown.cancelled().await;
    }
}

// === impl Source ===

impl<M, F: FnMut(M) -> Result<Event, Problem>> Source<M, F> {
    /// `None` ends the stream: the caller comes again by itself.
    async fn next(&mut self) -> Option<Event> {
        let message = tokio::select! {
            biased;
            () = self.place.shutdown_requested() => return None,
            message = self.upstream.message() => message,
        };
        match message {
            Ok(message) => (self.show)(message?).ok(),
            Err(status) => {
                tracing::debug!(%status, "a stream was cut off");
                None
            }
        }
    }
}

// === impl LastEventId ===

impl<S: Sync> FromRequestParts<S> for LastEventId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let Some(value) = parts.headers.get(LAST_EVENT_ID) else {
            return Ok(Self(None));
        };
        let text = value.to_str().unwrap_or_default();
        if text.is_empty() || text.len() > ID_CHARS_MAX {
            let detail = format!("Last-Event-ID has 1 to {ID_CHARS_MAX} ASCII characters");
            return Err(Problem::malformed("invalid-last-event-id", detail));
        }
        Ok(Self(Some(text.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_stream_is_wanted_by_who_names_it() {
        for (accept, wanted) in [
            ("text/event-stream", true),
            ("application/json, Text/Event-Stream;q=0.9", true),
            ("*/*", false),
            ("application/json", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(is_wanted(&headers), wanted, "{accept}");
        }
        assert!(!is_wanted(&HeaderMap::new()));
    }

    #[test]
    fn an_id_with_a_line_break_is_refused_instead_of_a_panic() {
        assert!(event("7\n8", None, &1).is_err());
        assert!(event("7", Some("order.placed"), &1).is_ok());
    }

    #[test]
    fn places_are_given_back() {
        let streams = Streams::new(1, CancellationToken::new());
        let place = streams.place().unwrap();
        assert!(streams.place().is_err());
        drop(place);
        assert!(streams.place().is_ok());
    }
}
