//! Wait until our copy of the catalogue holds what a caller has seen elsewhere.
//!
//! It happens before an order enters the queue: who waits here holds up nobody, and nothing is stored
//! under the key. The waiter registers first, then reads, then waits, and reads again every 100 ms: the
//! event may be applied by another replica. What it reads is the copy's own rows: the inbox forgets a
//! product that has not changed for two weeks, the copy does not.

use std::time::Duration;

use brewline_messaging::Monitor;
use brewline_postgres as postgres;
use tokio::time::Instant;

use crate::Parts;
use crate::outbound::catalogue_store::{self, Held, Token};

/// How often a waiting request looks again by itself.
const REREAD: Duration = Duration::from_millis(100);

/// Ends when the copy holds all of `tokens`, when one of them stands behind a dead letter, or after
/// `wait`.
///
/// # Errors
/// When the database fails.
pub async fn wait(
    parts: &Parts,
    monitor: &Monitor,
    consumer: &'static str,
    tokens: &[Token],
    wait: Duration,
) -> Result<Held, postgres::Error> {
    if tokens.is_empty() {
        return Ok(Held::Yes);
    }
    let deadline = Instant::now() + wait;
    let mut commits = monitor.commits();
    loop {
        commits.mark_unchanged();
        // The connection goes back before the wait.
        let held = {
            let connection = parts.pool.get().await?;
            catalogue_store::holds(&connection, consumer, tokens).await?
        };
        if held != Held::Behind || Instant::now() >= deadline {
            return Ok(held);
        }
        let again = deadline.min(Instant::now() + REREAD);
        // With nobody left to tell of commits, reading again remains.
        let told = async {
            if commits.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = told => {}
            () = tokio::time::sleep_until(again) => {}
        }
    }
}
