//! The orders' events, pulled.

use std::time::Duration;

use brewline_messaging::Monitor;
use brewline_postgres::Pool;
use tokio::time::Instant;

use crate::error::Error;
use crate::outbound::event_log::{self, Filter, Page};

/// The most events of a page.
pub const PAGE_EVENTS_MAX: usize = 100;
/// How much of the log a page looks at: bounds what a filter that matches little costs.
const STRETCH_EVENTS: i64 = 5_000;
/// A waiting pull looks again by itself this often: the commit may be another replica's.
const REREAD: Duration = Duration::from_millis(250);

/// The events after a position. Waits for the first one that is wanted, at most for `wait`.
///
/// # Errors
/// When the database fails.
pub async fn pull(
    pool: &Pool,
    monitor: &Monitor,
    after: i64,
    filter: &Filter,
    wait: Duration,
) -> Result<Page, Error> {
    let deadline = Instant::now() + wait;
    let (mut commits, mut from) = (monitor.commits(), after);
    loop {
        commits.mark_unchanged();
        let connection = pool.get().await?;
        let page =
            event_log::after(&connection, from, filter, PAGE_EVENTS_MAX, STRETCH_EVENTS).await?;
        // The connection goes back before the wait: those who wait hold none.
        drop(connection);
        if !page.events.is_empty() || Instant::now() >= deadline {
            return Ok(page);
        }
        // A stretch without anything wanted: on to the next one, at once.
        if page.next > from {
            from = page.next;
            continue;
        }
        tokio::select! {
            _ = commits.changed() => {}
            () = tokio::time::sleep_until(deadline.min(Instant::now() + REREAD)) => {}
        }
    }
}
